/* SPDX-License-Identifier: ISC */
#ifndef XMALLOC_H
#define XMALLOC_H

#include <stddef.h>

/*
 * Memory that is there or the process ends: a daemon that cannot get a few
 * bytes cannot keep any promise either.  Sizes that come from outside are
 * bounded by settings before they get here.
 */

void	*xmalloc(size_t size);
void	*xcalloc(size_t n, size_t size);
void	*xrealloc(void *p, size_t size);
char	*xstrdup(const char *s);
/* The first len bytes of s, with a NUL appended. */
char	*xmemdup(const void *s, size_t len);
/* As asprintf(3); never returns NULL.  The caller frees. */
char	*xasprintf(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), warn_unused_result));

#endif
