/* SPDX-License-Identifier: ISC */

/* Log lines, read back from a file in the place of standard error. */

#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "tap.h"

static FILE	*capture;
static char	 line[16384];

/* What has been written since the last call. */
static const char *
captured(void)
{
	size_t	 n;

	rewind(capture);
	n = fread(line, 1, sizeof(line) - 1, capture);
	line[n] = '\0';
	if (ftruncate(fileno(capture), 0) == -1)
		abort();
	rewind(capture);
	return line;
}

/* time=2026-01-02T03:04:05.678Z */
static bool
time_ok(const char *p)
{
	static const char	 form[] = "time=0000-00-00T00:00:00.000Z ";
	size_t			 i;

	for (i = 0; form[i] != '\0'; i++)
		if (form[i] == '0' ? p[i] < '0' || p[i] > '9' : p[i] != form[i])
			return false;
	return true;
}

static bool
ends_with(const char *text, const char *end)
{
	size_t	 n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

static void
test_lines(void)
{
	log_warn("msg=\"%s\" n=%d", "it is", 42);
	captured();
	ok(time_ok(line), "a line starts with the time: %.40s", line);
	ok(ends_with(line, "Z level=warning msg=\"it is\" n=42\n"),
	    "then the level and the text");
	log_error("msg=a");
	ok(strstr(captured(), " level=error msg=a\n") != NULL, "error");
	log_info("msg=a");
	ok(strstr(captured(), " level=info msg=a\n") != NULL, "info");
}

static void
test_levels(void)
{
	log_debug("msg=a");
	ok(captured()[0] == '\0', "no debug lines unless asked for");
	log_set_level(LOG_LEVEL_ERROR);
	log_warn("msg=a");
	log_info("msg=a");
	ok(captured()[0] == '\0', "level error hides the others");
	log_error("msg=b");
	ok(strstr(captured(), "msg=b") != NULL, "but not itself");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("msg=c");
	ok(strstr(captured(), " level=debug msg=c\n") != NULL, "debug");
	log_set_level(LOG_LEVEL_INFO);
}

static void
test_forgery(void)
{
	char	 big[5000];

	log_info("msg=\"%s\"", "a\nlevel=error\r\x1b[2J\x7f");
	ok(ends_with(captured(),
	    "msg=\"a\\x0alevel=error\\x0d\\x1b[2J\\x7f\"\n"),
	    "control bytes are escaped");
	log_info("msg=%s", "\xc2\x9b" "2J \xc3\xa9");
	ok(ends_with(captured(), "msg=\\xc2\x9b" "2J \xc3\xa9\n"),
	    "C1 controls too, letters not");
	memset(big, '\n', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_info("%s", big);
	captured();
	ok(strlen(line) < 9000 && strchr(line, '\n') == strrchr(line, '\n'),
	    "a huge line is cut and stays one");
}

static void
test_errno(void)
{
	int	 saved = dup(STDERR_FILENO);

	errno = EXDEV;
	log_info("msg=a");
	log_debug("msg=a");
	log_quote("a", 1);
	ok(errno == EXDEV, "errno is kept");
	captured();

	close(STDERR_FILENO);
	errno = EXDEV;
	log_info("msg=a");
	ok(errno == EXDEV, "also where the line cannot be written");
	dup2(saved, STDERR_FILENO);
	close(saved);
}

static void
test_quote(void)
{
	char		 big[300];
	const char	*a, *b, *c, *d;

	ok(strcmp(log_quote("plain", 5), "\"plain\"") == 0, "quotes");
	ok(strcmp(log_quote("a\"b\\", 4), "\"a\\\"b\\\\\"") == 0,
	    "quotes inside are escaped");
	ok(strcmp(log_quote("\0\n\xff", 3), "\"\\x00\\x0a\\xff\"") == 0,
	    "bytes outside ASCII too");
	ok(strcmp(log_quote("", 0), "\"\"") == 0, "nothing");
	memset(big, '\xff', sizeof(big));
	a = log_quote(big, sizeof(big));
	ok(strlen(a) == 2 + 4 * 200 + 3 && ends_with(a, "...\""),
	    "cut at 200 bytes, and it shows");
	ok(strlen(log_quote(big, 200)) == 2 + 4 * 200, "200 bytes are whole");
	a = log_quote("a", 1);
	b = log_quote("b", 1);
	c = log_quote("c", 1);
	d = log_quote("d", 1);
	ok(a[1] == 'a' && b[1] == 'b' && c[1] == 'c' && d[1] == 'd',
	    "four at a time");
}

static void
test_fatal(void)
{
	int	 status = 0;
	pid_t	 pid;

	fflush(stdout);
	if ((pid = fork()) == 0)
		fatal("msg=end");
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 1, "fatal exits with 1");
	ok(strstr(captured(), " level=error msg=end\n") != NULL,
	    "and says why");
}

/* How often a text stands in what was captured. */
static int
times(const char *text)
{
	const char	*p = line;
	int		 n = 0;

	for (; (p = strstr(p, text)) != NULL; p += strlen(text))
		n++;
	return n;
}

static void
test_limits(void)
{
	int	 i;

	log_set_rate(3);
	for (i = 0; i < 10; i++)
		log_limited(LOG_TOKEN, LOG_LEVEL_INFO, "msg=bad i=%d", i);
	log_limited(LOG_CLOSE, LOG_LEVEL_INFO, "msg=bye");
	captured();
	ok(times("msg=bad") == 3 && times("msg=bye") == 1,
	    "each kind has its lines of a second");
	ok(times("kind=token log_rate=3") == 1, "the limit is said once");
	log_tick();
	log_limited(LOG_TOKEN, LOG_LEVEL_INFO, "msg=again");
	ok(times("left out\" kind=token count=") == 0,
	    "a kind that was over its limit just now is not done");
	log_tick();
	captured();
	ok(times("msg=again") == 1 && times("kind=token count=7") == 1,
	    "a second without any says how many were left out");
	log_tick();
	ok(captured()[0] == '\0', "once");
	log_limited(LOG_TOKEN, LOG_LEVEL_DEBUG, "msg=hidden");
	ok(captured()[0] == '\0', "the level counts too");
	log_set_rate(0);
}

/* Write until lines are dropped, then read everything: what came? */
static void
stall(int out, int in, const char *what)
{
	int		 saved = dup(STDERR_FILENO), i;
	struct pollfd	 pfd = { in, POLLIN, 0 };
	int64_t		 before = log_dropped(), lost;
	char		 want[80];
	static char	 all[4 << 20];
	ssize_t		 n;
	size_t		 len = 0;

	dup2(out, STDERR_FILENO);
	log_open();
	alarm(30);		/* a write that waits is a failure */
	for (i = 0; i < 20000 && log_dropped() < before + 3; i++)
		log_info("msg=%d text=%0*d", i, 300, 7);
	alarm(0);
	lost = log_dropped() - before;
	ok(lost == 3, "%s that nobody reads drops lines and goes on", what);
	for (i = 0; i < 2; i++) {
		while (poll(&pfd, 1, 0) == 1 && len < sizeof(all) - 1 &&
		    (n = read(in, all + len, sizeof(all) - 1 - len)) > 0)
			len += (size_t)n;
		log_info("msg=after");
	}
	while (poll(&pfd, 1, 0) == 1 && len < sizeof(all) - 1 &&
	    (n = read(in, all + len, sizeof(all) - 1 - len)) > 0)
		len += (size_t)n;
	all[len] = '\0';
	dup2(saved, STDERR_FILENO);
	close(saved);
	log_open();
	snprintf(want, sizeof(want), "dropped\" count=%d why=", (int)lost);
	ok(strstr(all, want) != NULL && strstr(all, "msg=after\n") >
	    strstr(all, want), "%s: the gap is said before the next line",
	    what);
}

static void
test_stall(void)
{
	int	 p[2];

	if (pipe(p) == -1)
		abort();
	stall(p[1], p[0], "a pipe");
	ok((fcntl(p[1], F_GETFL) & O_NONBLOCK) == 0,
	    "the pipe of others stays as it was");
	close(p[0]);
	close(p[1]);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, p) == -1)
		abort();
	stall(p[1], p[0], "a socket");
	close(p[0]);
	close(p[1]);
}

static void
test_journal(void)
{
	struct stat	 st;
	char		 name[64];

	fstat(STDERR_FILENO, &st);
	snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", name, 1);
	log_open();
	log_warn("msg=a");
	ok(strcmp(captured(), "<4>level=warning msg=a\n") == 0,
	    "journald gets a priority, and no time");
	setenv("JOURNAL_STREAM", "1:2", 1);
	log_open();
	log_warn("msg=a");
	ok(time_ok(captured()), "somebody else's journal is none");
	unsetenv("JOURNAL_STREAM");
}

int
main(void)
{
	if ((capture = tmpfile()) == NULL ||
	    dup2(fileno(capture), STDERR_FILENO) == -1)
		return 1;
	test_lines();
	test_levels();
	test_forgery();
	test_errno();
	test_quote();
	test_limits();
	test_stall();
	test_journal();
	test_fatal();
	return tap_done();
}
