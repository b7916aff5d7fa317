/* SPDX-License-Identifier: ISC */
#ifndef CONNINFO_H
#define CONNINFO_H

#include <stddef.h>

/*
 * Whether libpq can read a connection string.  Returns 0, or -1 with libpq's
 * reason in err; a string with a password is not quoted there.
 */
int	 conninfo_check(const char *conninfo, char *err, size_t errlen)
    __attribute__((warn_unused_result));

/*
 * The same connection string with one parameter set to value.  The caller
 * frees.  NULL with the reason in err: it cannot be read, or there is no such
 * parameter.
 */
char	*conninfo_with(const char *conninfo, const char *parameter,
	    const char *value, char *err, size_t errlen)
    __attribute__((warn_unused_result));

/* A setting of the connection string or of libpq's environment, or NULL; the
 * caller frees. */
char	*conninfo_get(const char *conninfo, const char *keyword,
	    const char *env);
/* Move the first of a list with commas to its end, n times; takes the list,
 * returns another. */
char	*conninfo_turn(char *list, unsigned int n);

#endif
