/* SPDX-License-Identifier: ISC */
#ifndef DUTY_H
#define DUTY_H

#include <stdbool.h>
#include <stdint.h>

#include "db/pg.h"

/*
 * What a leader does besides moving, and how it becomes one: statements, sent
 * as by pg_send.
 */

/* Statements without parameters; all but the last answer true or false. */
enum duty {
	DUTY_LEAD_TRY,		/* take L */
	DUTY_FOLLOW,		/* hold F shared */
	DUTY_UNFOLLOW,		/* no longer */
	DUTY_COUNT,		/* are there followers? */
	DUTY_ARM,		/* try K */
	DUTY_DISARM,		/* give K up */
	DUTY_LEAD,		/* L is ours: begin a term, "tag first" */
};
int	 duty_send(enum duty duty, struct pg *pg, pg_done done, void *arg);

/* Tell followers of new rows up to this id. */
int	 duty_ring(struct pg *pg, int64_t id, pg_done done, void *arg);

/* Delete what is older than retain; whether there may be more of it. */
int	 duty_purge(struct pg *pg, int64_t retain_ms, pg_done done, void *arg);
bool	 duty_purged(const struct pg_result *res);

#endif
