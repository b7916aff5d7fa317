/* SPDX-License-Identifier: ISC */
#ifndef NETLOG_H
#define NETLOG_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How connections end and requests are turned away: a line of the log, limited
 * by kind, and a count by reason.
 */

/* Whose connection it is.  user is NULL until a token has said it. */
struct netlog {
	uint64_t	 id;
	const char	*peer;
	const char	*user;
};

/* A client's connection ended: with this close code, for this reason. */
void	 netlog_closed(const struct netlog *who, int code, const char *why);
/* A connection ended before it had asked for anything; by itself, or not. */
void	 netlog_mute(const struct netlog *who, bool by_itself,
	    const char *why);
/* A request was answered by this status, which is 400 or more. */
void	 netlog_refused(const struct netlog *who, int status,
	    const char *why);

#endif
