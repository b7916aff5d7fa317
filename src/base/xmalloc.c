/* SPDX-License-Identifier: ISC */

/*
 * Every function here returns memory or does not return.
 */

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/xmalloc.h"

void *
xmalloc(size_t size)
{
	void	*p;

	/* malloc(0) may be NULL without meaning a failure. */
	if ((p = malloc(size > 0 ? size : 1)) == NULL)
		fatal("msg=\"out of memory\" bytes=%zu", size);
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	void	*p;

	if (n == 0 || size == 0)
		n = size = 1;
	if ((p = calloc(n, size)) == NULL)
		fatal("msg=\"out of memory\" items=%zu bytes=%zu", n, size);
	return p;
}

void *
xrealloc(void *p, size_t size)
{
	void	*q;

	if ((q = realloc(p, size > 0 ? size : 1)) == NULL)
		fatal("msg=\"out of memory\" bytes=%zu", size);
	return q;
}

char *
xstrdup(const char *s)
{
	return xmemdup(s, strlen(s));
}

char *
xmemdup(const void *s, size_t len)
{
	char	*p;

	if (len == SIZE_MAX)
		fatal("msg=\"out of memory\" bytes=%zu", len);
	p = xmalloc(len + 1);
	if (len > 0)
		memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *
xasprintf(const char *fmt, ...)
{
	va_list	 ap;
	char	*p;
	int	 n;

	va_start(ap, fmt);
	n = vasprintf(&p, fmt, ap);
	va_end(ap);
	if (n == -1)
		fatal("msg=\"out of memory\" where=xasprintf");
	return p;
}
