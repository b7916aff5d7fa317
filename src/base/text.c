/* SPDX-License-Identifier: ISC */

/*
 * Strings that grow, each time to twice what is needed.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/xmalloc.h"

static void
text_reserve(struct text *t, size_t more)
{
	if (t->cap - t->len > more)
		return;
	t->cap = (t->len + more + 1) * 2;
	t->buf = xrealloc(t->buf, t->cap);
}

void
text_add_bytes(struct text *t, const char *s, size_t len)
{
	text_reserve(t, len);
	memcpy(t->buf + t->len, s, len);
	t->len += len;
	t->buf[t->len] = '\0';
}

void
text_add(struct text *t, const char *s)
{
	text_add_bytes(t, s, strlen(s));
}

void
text_add_number(struct text *t, int64_t n)
{
	char	buf[24];
	int	len = snprintf(buf, sizeof(buf), "%" PRId64, n);

	text_add_bytes(t, buf, (size_t)len);
}

void
text_add_string(struct text *t, const char *s)
{
	char	esc[8];
	size_t	n;

	text_add_bytes(t, "\"", 1);
	while (*s != '\0') {
		for (n = 0; (uint8_t)s[n] >= ' ' && s[n] != '"' &&
		    s[n] != '\\'; n++)
			;
		text_add_bytes(t, s, n);
		if (s[n] == '\0')
			break;
		(void)snprintf(esc, sizeof(esc), "\\u%04x", (uint8_t)s[n]);
		text_add(t, esc);
		s += n + 1;
	}
	text_add_bytes(t, "\"", 1);
}
