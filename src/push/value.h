/* SPDX-License-Identifier: ISC */
#ifndef VALUE_H
#define VALUE_H

#include <jansson.h>
#include <stddef.h>

/*
 * JSON values between jansson's form and ours: text, and lists of names.
 */

/* A value as JSON text, or "null" for a number that no longer fits; the
 * caller frees. */
char	*value_text(const json_t *j) __attribute__((warn_unused_result));

/* An object or array that the database wrote, or NULL.  Its integers have no
 * end; those that do not fit become reals. */
json_t	*value_load(const char *text) __attribute__((warn_unused_result));

/*
 * Copy an array of strings, or a lone string, to *names and their number to
 * *n, both of which must be 0; nothing for NULL and null.  Returns -1 if it is
 * neither.  Free with value_free_names in either case.
 */
int	 value_names(const json_t *j, char ***names, size_t *n)
	    __attribute__((warn_unused_result));
void	 value_free_names(char **names, size_t n);

#endif
