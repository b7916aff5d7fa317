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

#endif
