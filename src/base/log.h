/* SPDX-License-Identifier: ISC */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Log lines on standard error, in logfmt: time (UTC, milliseconds), level, and
 * what the caller wrote, which should start with msg="…" or conn=….  Control
 * bytes in the line are escaped, so that nothing from outside can forge one.
 * Under systemd, where JOURNAL_STREAM names standard error, a line starts with
 * the <N> that journald reads in place of the time that journald keeps.
 * errno is kept by every function.
 *
 * Logging never waits: while a reader of standard error takes nothing, lines
 * are dropped and counted, and the first line that gets through again is
 * preceded by one that says how many are missing.
 */

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* What clients can cause as often as they like, limited each by itself. */
enum log_kind {
	LOG_ACCEPT,		/* connections turned away */
	LOG_CLIENT,		/* clients that come */
	LOG_CLOSE,		/* and go */
	LOG_TOKEN,		/* tokens refused */
	LOG_REQUEST,		/* requests and commands refused */
	LOG_CHANNEL,		/* what stands on channel pgpush */
	LOG_ANSWER,		/* what functions answer */
	LOG_STATEMENT,		/* and how they fail */
	LOG_KINDS,
};

/*
 * Give standard error a description of its own, so that writing to it need not
 * wait.  Without this call a write waits no more than the kernel does for 4 KiB
 * in a pipe that it has just called writable.
 */
void	 log_open(void);
void	 log_set_level(enum log_level);
/* Lines of a kind within a second; 0: as many as there are. */
void	 log_set_rate(int64_t lines);
/* Once a second: what was held back of a kind that has become quiet is said. */
void	 log_tick(void);
/* Lines dropped since the start. */
int64_t	 log_dropped(void);

void	 log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Something is wrong and was dealt with. */
void	 log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	 log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	 log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * A line at this level unless its kind has had its lines of this second: then
 * one line says that the others are left out, and one says at the end how many
 * they were.
 */
void	 log_limited(enum log_kind kind, enum log_level level,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * s[len] as a logfmt value: quoted, bytes outside printable ASCII escaped as
 * \xNN, cut at 200 bytes.  Valid until four more calls.
 */
const char *log_quote(const char *s, size_t len);

/* Log at level error and exit(1).  Only before the event loop starts, or for
 * a broken invariant of our own. */
void	 fatal(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));

#endif
