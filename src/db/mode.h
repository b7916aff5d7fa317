/* SPDX-License-Identifier: ISC */
#ifndef MODE_H
#define MODE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * When a leader polls and when it sleeps until a bell rings: statistics of
 * bells and moves.  Times are of any clock in milliseconds that never goes
 * back; nothing here reads one.
 */

struct config;
struct mode;

/* cfg outlives it. */
struct mode	*mode_new(const struct config *cfg);
void		 mode_free(struct mode *m);

/* The leader's role has changed: what was counted is of the other one. */
void		 mode_restart(struct mode *m);

/* A move was sent, and answered. */
void		 mode_move_sent(struct mode *m, int64_t now_ms);
void		 mode_move_done(struct mode *m, int64_t now_ms);

/* For a leader that polls, after each move: whether it should sleep. */
bool		 mode_is_quiet(struct mode *m, bool found);

/* For a leader that sleeps, at each bell: whether it should poll. */
bool		 mode_is_busy(struct mode *m, int64_t now_ms);

#endif
