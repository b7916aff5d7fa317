/* SPDX-License-Identifier: ISC */

/*
 * A line is put together in a buffer on the stack and goes out in one write,
 * so lines of several processes on one descriptor do not mix.  No memory is
 * allocated: this must work when there is none.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#define TEXT_MAX	2000		/* bytes, what the caller wrote */
#define LINE_MAX_BYTES	(64 + 4 * TEXT_MAX)
#define QUOTE_MAX	200		/* bytes of the source */
#define QUOTE_SLOTS	4

static enum log_level	log_level = LOG_LEVEL_INFO;

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR]	= "error",
	[LOG_LEVEL_WARNING]	= "warning",
	[LOG_LEVEL_INFO]	= "info",
	[LOG_LEVEL_DEBUG]	= "debug",
};

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

	clock_gettime(CLOCK_REALTIME, &now);
	if (gmtime_r(&now.tv_sec, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	n = snprintf(out, size, "time=%s.%03ldZ level=%s ", date,
	    now.tv_nsec / 1000000, level_names[level]);
	return (size_t)n;
}

static void
line_write(const char *p, size_t len)
{
	ssize_t	 n;

	while (len > 0) {
		n = write(STDERR_FILENO, p, len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return;		/* there is nowhere to complain */
		p += n;
		len -= (size_t)n;
	}
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
	n = line_start(line, sizeof(line), level);
	n += text_escape(line + n, text);
	line[n++] = '\n';
	line_write(line, n);
	errno = saved;
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
