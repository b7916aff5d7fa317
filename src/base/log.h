/* SPDX-License-Identifier: ISC */
#ifndef LOG_H
#define LOG_H

#include <stddef.h>

/*
 * Log lines on standard error, in logfmt: time (UTC, milliseconds), level, and
 * what the caller wrote, which should start with msg="…" or conn=….  Control
 * bytes in the line are escaped, so that nothing from outside can forge one.
 * errno is kept by every function.
 */

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

void	 log_set_level(enum log_level);

void	 log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Something is wrong and was dealt with. */
void	 log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	 log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	 log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

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
