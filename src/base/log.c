/* SPDX-License-Identifier: ISC */

/*
 * A line is put together in a buffer on the stack and goes out in one write,
 * so lines of several processes on one descriptor do not mix.  What of a line
 * the kernel did not take is kept and goes out before any other.  No memory is
 * allocated: this must work when there is none.
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#define TEXT_MAX	2000		/* bytes, what the caller wrote */
#define GAP_MAX		160
#define LINE_MAX_BYTES	(GAP_MAX + 64 + 4 * TEXT_MAX)
#define QUOTE_MAX	200		/* bytes of the source */
#define QUOTE_SLOTS	4
#define PIECE		4096		/* PIPE_BUF: taken whole or not */

/* How standard error is written to without waiting. */
enum way {
	WAY_PLAIN,		/* a file; or asked first with poll(2) */
	WAY_NONBLOCK,		/* a descriptor of our own says EAGAIN */
	WAY_SOCKET,		/* MSG_DONTWAIT */
};

struct kind {
	int64_t	lines;		/* since the last tick */
	int64_t	held;		/* back, since the limit was said */
	bool	held_now;	/* one since the last tick */
};

static enum log_level	 log_level = LOG_LEVEL_INFO;
static enum way		 way = WAY_PLAIN;
static int		 out_fd = STDERR_FILENO;
static bool		 to_journal;
static int64_t		 rate;
static struct kind	 kinds[LOG_KINDS];
static char		 rest[LINE_MAX_BYTES];	/* of a line cut short */
static size_t		 rest_len;
static int64_t		 dropped, unsaid;

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR]	= "error",
	[LOG_LEVEL_WARNING]	= "warning",
	[LOG_LEVEL_INFO]	= "info",
	[LOG_LEVEL_DEBUG]	= "debug",
};

/* Of syslog(3). */
static const int priorities[] = {
	[LOG_LEVEL_ERROR]	= 3,
	[LOG_LEVEL_WARNING]	= 4,
	[LOG_LEVEL_INFO]	= 6,
	[LOG_LEVEL_DEBUG]	= 7,
};

static const char *const kind_names[LOG_KINDS] = {
	[LOG_ACCEPT]	= "accept",
	[LOG_CLIENT]	= "client",
	[LOG_CLOSE]	= "close",
	[LOG_TOKEN]	= "token",
	[LOG_REQUEST]	= "request",
	[LOG_CHANNEL]	= "channel",
	[LOG_ANSWER]	= "answer",
	[LOG_STATEMENT]	= "statement",
};

/* JOURNAL_STREAM is the device and inode of the journal's stream. */
static bool
is_journal(const struct stat *st)
{
	const char	*name = getenv("JOURNAL_STREAM");
	char		 ours[64];

	(void)snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)st->st_dev,
	    (uintmax_t)st->st_ino);
	return name != NULL && strcmp(name, ours) == 0;
}

void
log_open(void)
{
	struct stat	st;
	int		fd, saved = errno;

	if (fstat(STDERR_FILENO, &st) == -1)
		return;
	to_journal = is_journal(&st);
	if (out_fd != STDERR_FILENO)
		close(out_fd);
	out_fd = STDERR_FILENO;
	way = WAY_PLAIN;
	if (S_ISSOCK(st.st_mode))
		way = WAY_SOCKET;
	else if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
		fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK |
		    O_NOCTTY | O_CLOEXEC);
		if (fd != -1) {
			out_fd = fd;
			way = WAY_NONBLOCK;
		}
	}
	errno = saved;
}

void
log_set_rate(int64_t lines)
{
	rate = lines;
}

int64_t
log_dropped(void)
{
	return dropped;
}

void
log_set_level(enum log_level level)
{
	log_level = level;
}

static size_t
byte_escape(char *out, unsigned char byte)
{
	static const char	 hex[] = "0123456789abcdef";

	out[0] = '\\';
	out[1] = 'x';
	out[2] = hex[byte >> 4];
	out[3] = hex[byte & 0x0f];
	return 4;
}

/* C0, DEL, and C1 in its UTF-8 form: what a terminal might obey. */
static bool
control_at(const unsigned char *p)
{
	return p[0] < 0x20 || p[0] == 0x7f ||
	    (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f);
}

static size_t
text_escape(char *out, const char *text)
{
	const unsigned char	*p = (const unsigned char *)text;
	size_t			 n = 0;

	for (; *p != '\0'; p++) {
		if (control_at(p))
			n += byte_escape(out + n, *p);
		else
			out[n++] = (char)*p;
	}
	return n;
}

static size_t
line_start(char *out, size_t size, enum log_level level)
{
	struct timespec	 now;
	struct tm	 tm;
	char		 date[32];
	int		 n;

	if (to_journal) {
		n = snprintf(out, size, "<%d>level=%s ", priorities[level],
		    level_names[level]);
		return (size_t)n;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	if (gmtime_r(&now.tv_sec, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	n = snprintf(out, size, "time=%s.%03ldZ level=%s ", date,
	    now.tv_nsec / 1000000, level_names[level]);
	return (size_t)n;
}

/* One write that does not wait: what it took, or -1. */
static ssize_t
piece_write(const char *p, size_t len)
{
	struct pollfd	pfd = { out_fd, POLLOUT, 0 };
	ssize_t		n;

	do {
		switch (way) {
		case WAY_SOCKET:
			n = send(out_fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
			break;
		case WAY_NONBLOCK:
			n = write(out_fd, p, len);
			break;
		case WAY_PLAIN:
			if (poll(&pfd, 1, 0) == 0)
				return -1;
			n = write(out_fd, p, len < PIECE ? len : PIECE);
			break;
		}
	} while (n == -1 && errno == EINTR);
	return n;
}

/* Returns how much of p[len] went out. */
static size_t
bytes_write(const char *p, size_t len)
{
	size_t	done = 0;
	ssize_t	n;

	while (done < len) {
		if ((n = piece_write(p + done, len - done)) <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

/* Whether nothing is left of a line that was cut short. */
static bool
rest_write(void)
{
	size_t	done = bytes_write(rest, rest_len);

	rest_len -= done;
	memmove(rest, rest + done, rest_len);
	return rest_len == 0;
}

/* -1: nothing of it went out. */
static int
line_write(const char *p, size_t len)
{
	size_t	done;

	if (!rest_write() || (done = bytes_write(p, len)) == 0)
		return -1;
	memcpy(rest, p + done, len - done);
	rest_len = len - done;
	return 0;
}

/* A line that says how many are missing here, if any are. */
static size_t
gap_print(char *out, size_t size)
{
	size_t	n;

	if (unsaid == 0)
		return 0;
	n = line_start(out, size, LOG_LEVEL_WARNING);
	n += (size_t)snprintf(out + n, size - n,
	    "msg=\"log lines dropped\" count=%" PRId64
	    " why=\"nobody took them\"\n", unsaid);
	return n;
}

static void
log_text(enum log_level level, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void
log_text(enum log_level level, const char *fmt, va_list ap)
{
	char	 text[TEXT_MAX], line[LINE_MAX_BYTES];
	size_t	 n;
	int	 saved = errno;

	if (level > log_level)
		return;
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	n = gap_print(line, sizeof(line));
	n += line_start(line + n, sizeof(line) - n, level);
	n += text_escape(line + n, text);
	line[n++] = '\n';
	if (line_write(line, n) == 0)
		unsaid = 0;
	else {
		dropped++;
		unsaid++;
	}
	errno = saved;
}

/*
 * A kind over its limit stays limited, to as many lines a second, until a
 * second has passed in which none was held back.
 */
static bool
kind_may(enum log_kind kind)
{
	struct kind	*k = &kinds[kind];

	if (rate == 0 || k->lines++ < rate)
		return true;
	if (k->held++ == 0)
		log_info("msg=\"too many lines, some are left out\" kind=%s "
		    "log_rate=%" PRId64, kind_names[kind], rate);
	k->held_now = true;
	return false;
}

void
log_tick(void)
{
	struct kind	*k;
	int		 i;

	for (i = 0; i < LOG_KINDS; i++) {
		k = &kinds[i];
		if (k->held > 0 && !k->held_now) {
			log_info("msg=\"lines left out\" kind=%s count=%" PRId64,
			    kind_names[i], k->held);
			k->held = 0;
		}
		k->lines = 0;
		k->held_now = false;
	}
	(void)rest_write();
}

void
log_limited(enum log_kind kind, enum log_level level, const char *fmt, ...)
{
	va_list	 ap;

	if (level > log_level || !kind_may(kind))
		return;
	va_start(ap, fmt);
	log_text(level, fmt, ap);
	va_end(ap);
}

void
log_error(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_text(LOG_LEVEL_ERROR, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_text(LOG_LEVEL_WARNING, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_text(LOG_LEVEL_INFO, fmt, ap);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_text(LOG_LEVEL_DEBUG, fmt, ap);
	va_end(ap);
}

const char *
log_quote(const char *s, size_t len)
{
	static char	 slots[QUOTE_SLOTS][4 * QUOTE_MAX + sizeof("\"\"...")];
	static size_t	 next;
	char		*out = slots[next++ % QUOTE_SLOTS];
	size_t		 i, n = 0;

	out[n++] = '"';
	for (i = 0; i < len && i < QUOTE_MAX; i++) {
		if (s[i] == '"' || s[i] == '\\')
			out[n++] = '\\';
		if (s[i] >= 0x20 && s[i] < 0x7f)
			out[n++] = s[i];
		else
			n += byte_escape(out + n, (unsigned char)s[i]);
	}
	if (i < len) {
		memcpy(out + n, "...", 3);
		n += 3;
	}
	out[n++] = '"';
	out[n] = '\0';
	return out;
}

void
fatal(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_text(LOG_LEVEL_ERROR, fmt, ap);
	va_end(ap);
	exit(1);
}
