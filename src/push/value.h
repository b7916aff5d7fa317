/* SPDX-License-Identifier: ISC */
#ifndef VALUE_H
#define VALUE_H

#include <stddef.h>

#include "base/span.h"

/*
 * What the database says in JSON, as strings and lists of names.
 */

/* The text of a string, which the caller frees; NULL if it is none, or holds
 * what is no text, such as U+0000. */
char	*value_string(const struct span *v)
	    __attribute__((warn_unused_result));

/*
 * Copy an array of strings, or a lone string, to *names and their number to
 * *n, both of which must be 0; nothing for null and for what is not there.
 * Returns -1 if it is anything else.  Free with value_free_names in either
 * case.
 */
int	 value_names(const struct span *v, char ***names, size_t *n)
	    __attribute__((warn_unused_result));
void	 value_free_names(char **names, size_t n);

#endif
