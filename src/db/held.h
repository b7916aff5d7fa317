/* SPDX-License-Identifier: ISC */
#ifndef HELD_H
#define HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "db/pg.h"

/*
 * What the leader does with rows that are more than an event, by turns: it
 * moves on, row by row, up to a release or a recheck (a cut) or until a held
 * event is due; there the application is asked, on another connection; the
 * answer is put into the order with the next step.
 */

struct config;
struct held;

/* cfg outlives it. */
struct held	*held_new(const struct config *cfg);
void		 held_free(struct held *h);
/* Another connection, or no leader any more: forget what was under way. */
void		 held_restart(struct held *h);

/* Move on, as pg_send, with what was rendered; and take the answer. */
struct held_step {
	bool	found;		/* the log may have new rows */
	bool	asks;		/* held_render comes next */
	bool	has_due;	/* an event is held, and is due */
	int64_t	due_ms;		/* in so many milliseconds */
};
int		 held_step(struct held *h, struct pg *pg, pg_done done,
		    void *arg);
struct held_step held_stepped(struct held *h, const struct pg_result *res);

/* A held event is due. */
void		 held_due(struct held *h);

/* Whether a step waits for the application, or is next: a move would come to
 * the same row. */
bool		 held_is_busy(const struct held *h);
/* Whether the application must be asked before the next step. */
bool		 held_asks(const struct held *h);
/*
 * Ask it, as pg_send.  give_up: all that was asked for becomes a resync, and
 * nothing of the application runs.
 */
int		 held_render(struct held *h, struct pg *pg, bool give_up,
		    pg_done done, void *arg);
/* The answer: NULL or an error if it failed. */
void		 held_rendered(struct held *h, const struct pg_result *res);
/* It failed several times in a row: give up. */
bool		 held_fails(const struct held *h);

#endif
