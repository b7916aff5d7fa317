/* SPDX-License-Identifier: ISC */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The Test Anything Protocol on standard output: ok() for each point, and
 * "return tap_done()" at the end of main.
 */

static int	tap_points, tap_failures;

static void	ok(bool good, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), unused));
static int	tap_done(void) __attribute__((unused));
static void	*tap_copy(const void *p, size_t len) __attribute__((unused));

static void
ok(bool good, const char *fmt, ...)
{
	va_list	 ap;

	tap_points++;
	if (!good)
		tap_failures++;
	printf("%sok %d - ", good ? "" : "not ", tap_points);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static int
tap_done(void)
{
	printf("1..%d\n", tap_points);
	return tap_failures == 0 ? 0 : 1;
}

/* Exactly len bytes on the heap, so that a sanitizer sees one read too many.
 * The caller frees. */
static void *
tap_copy(const void *p, size_t len)
{
	void	*copy = malloc(len > 0 ? len : 1);

	if (copy == NULL)
		abort();
	if (len > 0)
		memcpy(copy, p, len);
	return copy;
}

#endif
