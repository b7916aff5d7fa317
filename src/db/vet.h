/* SPDX-License-Identifier: ISC */
#ifndef VET_H
#define VET_H

#include <stdbool.h>
#include <stddef.h>

#include "db/pg.h"

/*
 * The first question on every connection: is this a server of our own, and does
 * it have the schema that this daemon knows?
 */

extern const struct pg_stmt vet_stmt;

/* What the answer says. */
struct vet {
	int	 client_pid;	/* of the backend, as the protocol told it */
	int	 server_pid;	/* and as the backend says itself */
	bool	 has_schema;
	int	 schema;	/* the newest number of sql/tables; 0: none */
};

enum vet_verdict {
	VET_GOOD,
	VET_DUBIOUS,		/* go on, and say why */
	VET_BAD,
};

/*
 * Whether the connection is good for a daemon whose newest number is known.
 * why[size] gets the reason, which says what to do; "" if it is good.  A newer
 * schema is dubious only: the daemons of an earlier version go on while an
 * upgrade is under way.
 */
enum vet_verdict
	 vet_judge(const struct vet *v, int known, char *why, size_t size);

/* The newest number of sql/tables when this was compiled. */
int	 vet_known(void);

#endif
