/* SPDX-License-Identifier: ISC */
#ifndef ADDR_H
#define ADDR_H

#include <sys/socket.h>

/*
 * Addresses of sockets as text: read from the configuration, written to the
 * log.
 */

#define ADDR_MAX	64		/* "[address]:port" and its NUL */

/*
 * Read "127.0.0.1:80" or "[::1]:80": numbers only, and a port that is not 0.
 * Returns 0, or -1 if it is anything else.
 */
int	 addr_parse(const char *text, struct sockaddr_storage *ss,
	    socklen_t *len) __attribute__((warn_unused_result));

/* The address as "127.0.0.1:80", "[::1]:80" or "unix" into out. */
void	 addr_name(const struct sockaddr *sa, char out[ADDR_MAX]);

#endif
