/* SPDX-License-Identifier: ISC */
#ifndef MODE_H
#define MODE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * When a leader polls and when it sleeps until a bell rings, and how often it
 * moves while it polls: statistics of bells and moves.  Times are microseconds
 * of any clock that never goes back; nothing here reads one.
 */

struct config;
struct mode;

/* cfg outlives it. */
struct mode	*mode_new(const struct config *cfg);
void		 mode_free(struct mode *m);

/* The leader's role has changed: what was counted is of the other one. */
void		 mode_restart(struct mode *m, int64_t now_us);

/* A move was sent, and answered: so many rows. */
void		 mode_move_sent(struct mode *m, int64_t now_us);
void		 mode_move_done(struct mode *m, int64_t now_us, int64_t rows);

/* For a leader that polls: how long to wait until the next move. */
int64_t		 mode_wait_us(const struct mode *m, int64_t now_us);

/* For a leader that polls, after each move: whether it should sleep. */
bool		 mode_is_quiet(const struct mode *m, int64_t now_us);

/* For a leader that sleeps, at each bell: whether it should poll. */
bool		 mode_is_busy(struct mode *m, int64_t now_us);

#endif
