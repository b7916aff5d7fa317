/* SPDX-License-Identifier: ISC */
#ifndef CHECK_H
#define CHECK_H

#include <stddef.h>

/*
 * What of the settings can be found wrong before anything is started, beyond
 * what each value by itself shows.
 */

struct config;

/* Returns 0, or -1 with where and what in err.  What is dubious is said by
 * warn, a sentence at a time. */
int	 check_config(const struct config *cfg, const char *file,
	    void (*warn)(const char *text), char *err, size_t errlen)
    __attribute__((warn_unused_result));

#endif
