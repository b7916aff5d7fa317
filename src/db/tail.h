/* SPDX-License-Identifier: ISC */
#ifndef TAIL_H
#define TAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "db/pg.h"

/*
 * This daemon's place in the log: its position and epoch, the statements that
 * find it and read on from it, and the ring of the newest entries.  Rows are
 * handed over in the order of their id, each once.
 */

struct config;
struct entry;
struct ring;
struct tail;

struct tail_ops {
	/* The next row; the ring keeps its own reference. */
	void	(*entry)(void *arg, struct entry *e);
	/* There are no more rows for now. */
	void	(*complete)(void *arg);
};

/* cfg and ops outlive it. */
struct tail	*tail_new(const struct config *cfg,
		    const struct tail_ops *ops, void *arg);
void		 tail_free(struct tail *t);

/* The id of the last row handed over; -1 before the first connection. */
int64_t		 tail_position(const struct tail *t);
/* The epoch that ids belong to; empty before the first connection. */
const char	*tail_epoch(const struct tail *t);
struct ring	*tail_ring(const struct tail *t);

/* Ask, as pg_send, where the log stands; and take the answer. */
enum tail_place {
	TAIL_GOES_ON,		/* from the position */
	TAIL_BEGINS,		/* the first time: tail_load, then read */
	TAIL_MISSED,		/* another log, or one purged too far: the
				 * same, and rows were missed */
};
int		 tail_place(struct tail *t, struct pg *pg, pg_done done,
		    void *arg);
enum tail_place	 tail_placed(struct tail *t, const struct pg_result *res);

/* Read, as pg_send, the newest rows into the ring. */
int		 tail_load(struct tail *t, struct pg *pg, pg_done done,
		    void *arg);
void		 tail_loaded(struct tail *t, const struct pg_result *res);

/* Read on, as pg_send, and hand over what came. */
enum tail_read {
	TAIL_END,		/* there is no more for now */
	TAIL_MORE,		/* read on */
	TAIL_PURGED,		/* the log no longer reaches back so far */
};
int		 tail_read(struct tail *t, struct pg *pg, pg_done done,
		    void *arg);
enum tail_read	 tail_read_done(struct tail *t, const struct pg_result *res);

/*
 * Hand over rows of the log, FEED_COLUMNS from column on.  False: one's data
 * was left out, so read on from there.
 */
bool		 tail_deliver(struct tail *t, const struct pg_result *res,
		    int column);

/*
 * Ask a connection for its epoch, now and when the tail's changes, and refuse
 * it if that is another one.  pg outlives the tail.
 */
void		 tail_vet(struct tail *t, struct pg *pg);

#endif
