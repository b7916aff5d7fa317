/* SPDX-License-Identifier: ISC */
#ifndef MOVE_H
#define MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "db/pg.h"

/*
 * The move: one statement takes plain events from pgpush.outbox to pgpush.log
 * and returns them.  It stops at the first row that is more than an event, see
 * held.h.  Only the leader moves.
 */

struct config;
struct move;

/* cfg outlives it. */
struct move	*move_new(const struct config *cfg);
void		 move_free(struct move *m);

/* The next move looks at all of the outbox: another connection, or a belt. */
void		 move_forget(struct move *m);
/* Another connection: forget, and begin with small moves. */
void		 move_restart(struct move *m);

/* What a move has done. */
struct moved {
	int64_t	rows;		/* that were moved */
	bool	full;		/* as many as a move takes: there are more */
	bool	is_bulk;	/* and none of them are in the answer */
	bool	is_odd;		/* it has come to a row that is no event */
};
#define MOVE_COLUMN	3	/* where rows of the log begin in the answer */

/*
 * As pg_send.  Large data is not in the answer: tail_deliver stops there, and
 * the log is read.  After a full move the next ones take ten times as many
 * rows and return none.
 */
int		 move_send(struct move *m, struct pg *pg, pg_done done,
		    void *arg);
/* Its answer, which was not an error. */
struct moved	 move_done(struct move *m, const struct pg_result *res);

#endif
