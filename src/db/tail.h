/* SPDX-License-Identifier: ISC */
#ifndef TAIL_H
#define TAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "db/pg.h"

/*
 * This daemon's place in the log: its position and term, the statements that
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
	/* Another term, which begins with this id: positions have another tag
	 * from now on. */
	void	(*term)(void *arg, int64_t first);
};

/* cfg and ops outlive it. */
struct tail	*tail_new(const struct config *cfg,
		    const struct tail_ops *ops, void *arg);
void		 tail_free(struct tail *t);

/* The id of the last row handed over; -1 before the first connection. */
int64_t		 tail_position(const struct tail *t);
/* The tag of the term that is now; empty before the first one. */
const char	*tail_tag(const struct tail *t);
/* Whether a position is of this history, as far as this daemon knows. */
bool		 tail_knows(const struct tail *t, const char *tag, int64_t id);
/*
 * This daemon has begun a term: "tag first".  False: what we heard is beyond
 * its beginning, so tail_place must tell what is ours.
 */
bool		 tail_begin_term(struct tail *t, const char *term);
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
/* replica: it may lack what is in our past.  Nothing changes unless it goes
 * on: sessions still go by the old history. */
enum tail_place	 tail_placed(struct tail *t, const struct pg_result *res,
		    bool replica);
/* Else begin where the answer says. */
void		 tail_begin(struct tail *t, const struct pg_result *res);

/* Read, as pg_send, the newest rows into the ring. */
int		 tail_load(struct tail *t, struct pg *pg, pg_done done,
		    void *arg);
void		 tail_loaded(struct tail *t, const struct pg_result *res);

/* Read on, as pg_send, and hand over what came. */
enum tail_read {
	TAIL_END,		/* there is no more for now */
	TAIL_MORE,		/* read on */
	TAIL_PURGED,		/* the log no longer reaches back so far */
	TAIL_FORKED,		/* a term begins before our position: place */
};
int		 tail_read(struct tail *t, struct pg *pg, pg_done done,
		    void *arg);
enum tail_read	 tail_read_done(struct tail *t, const struct pg_result *res);

/* Hand over rows that were just moved, FEED_COLUMNS from column on. */
enum tail_moved {
	TAIL_ALL,
	TAIL_LEFT_OUT,		/* one's data was: read on from there */
	TAIL_FOREIGN,		/* their ids were given before: this is not
				 * the log that it was */
};
enum tail_moved	 tail_moved(struct tail *t, const struct pg_result *res,
		    int column);

/*
 * Ask a connection for its epoch, now and when the tail's changes, and refuse
 * it if that is another one.  pg outlives the tail.
 */
void		 tail_vet(struct tail *t, struct pg *pg);

#endif
