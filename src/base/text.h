/* SPDX-License-Identifier: ISC */
#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>
#include <stdint.h>

/*
 * A string that grows: JSON, or lines for the wire.  len is kept; the caller
 * frees buf.  All zero: empty.
 */
struct text {
	char		*buf;		/* ends with a NUL, unless it is NULL */
	size_t		 len;
	size_t		 cap;
};

/* Append the text as it is. */
void	 text_add(struct text *t, const char *s);
void	 text_add_bytes(struct text *t, const char *s, size_t len);
void	 text_add_number(struct text *t, int64_t n);
/* Append a JSON string: in quotes, with what must be escaped escaped. */
void	 text_add_string(struct text *t, const char *s);

#endif
