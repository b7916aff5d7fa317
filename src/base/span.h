/* SPDX-License-Identifier: ISC */
#ifndef SPAN_H
#define SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Parts of a JSON text (RFC 8259) found where they lie, so that they can be
 * handed on as they were written: a number keeps its digits.  Pure: nothing
 * here allocates, or changes a byte.  The text is UTF-8, checked before.
 */

#define SPAN_DEPTH_MAX	2048		/* arrays and objects in one another */

enum span_kind {
	SPAN_NONE,			/* there is no such part */
	SPAN_NULL,
	SPAN_FALSE,
	SPAN_TRUE,
	SPAN_NUMBER,
	SPAN_STRING,
	SPAN_ARRAY,
	SPAN_OBJECT,
};

/* One value: its bytes, without white space around it. */
struct span {
	const char	*p;		/* not NUL-terminated */
	size_t		 len;
	enum span_kind	 kind;
};

/*
 * Check that the len bytes at p are one JSON value, and nothing else but white
 * space; returns it, or one of kind SPAN_NONE.  Every value inside of it can
 * then be asked for without fear.
 */
struct span
	 span_parse(const char *p, size_t len);

/*
 * Whether PostgreSQL's jsonb takes the value: it refuses an escaped U+0000, half
 * of a surrogate pair, and numbers with too many digits.  All the numbers
 * together, written out as jsonb writes them (1e9 as ten digits), may have at
 * most max bytes.  Of values from span_parse.
 */
bool	 span_is_jsonb(const struct span *v, size_t max);

/*
 * The member of that name of an object, the last if there are several; or of
 * kind SPAN_NONE, also if v is no object.  An escaped name is the same name.
 */
struct span
	 span_member(const struct span *v, const char *name);

/*
 * Walk over an array: *at is 0 at first, and moves on.  Returns the next
 * element, or SPAN_NONE at the end.
 */
struct span
	 span_next(const struct span *array, size_t *at);

/*
 * The text of a string, its escapes resolved, with a NUL behind it.  Returns
 * its length; or -1 if v is no string, has a U+0000 or half of a surrogate
 * pair, or needs more than size bytes with the NUL.  v->len bytes are always
 * enough.
 */
long	 span_string(const struct span *v, char *out, size_t size);

/* A number that is an integer of 64 bits, as it is written: no fraction and no
 * exponent.  Returns -1 if it is anything else. */
int	 span_integer(const struct span *v, int64_t *n);

#endif
