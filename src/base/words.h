/* SPDX-License-Identifier: ISC */
#ifndef WORDS_H
#define WORDS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Walk a list ("a, b c"): copies the next item into out[size] and returns
 * true, or false at the end.  *pos starts as the list.  An item that does not
 * fit is cut.
 */
bool	 words_next(const char **pos, char *out, size_t size);
bool	 words_has(const char *list, const char *item);

#endif
