/* SPDX-License-Identifier: ISC */
#ifndef NETLOG_H
#define NETLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

/*
 * How connections end and requests are turned away: a line of the log, limited
 * by kind, and a count by reason.
 */

/* What the log says of one connection; its owner fills it in. */
struct netlog {
	uint64_t	 id;
	bool		 is_quiet;	/* the log need not know, or knows */
	char		*user;		/* owned by the connection; NULL until a
					 * token has said it */
	char		 peer[ADDR_MAX];
};

/* The connection has ended: with this close code, for this reason; early: it
 * had not asked for anything.  Said once. */
void	 netlog_ended(struct netlog *who, bool is_early, int code,
	    const char *why);
/* A request was answered by this status, which is 400 or more.  Nothing more
 * is said of it. */
void	 netlog_refused(struct netlog *who, int status, const char *why);

#endif
