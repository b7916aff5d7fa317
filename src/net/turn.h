/* SPDX-License-Identifier: ISC */
#ifndef TURN_H
#define TURN_H

#include <sys/queue.h>
#include <stdbool.h>

/*
 * The end of a turn of the loop, when all that has something new to write is
 * written, however much of it came together.  If that is many it is done in
 * slices, one in each turn, and those of which it is enough that they are
 * written after all others go last.
 */

struct event_base;

enum turn_due {
	TURN_NOT,
	TURN_NOW,
	TURN_LATE,
};

/* Something to be written; all zero at first.  Only turn.c touches it. */
struct turn {
	TAILQ_ENTRY(turn)	 entry;		/* on a list of those due */
	enum turn_due		 due;
};

/* write is called for each that is due, once; end is called when a turn's
 * writing is done. */
void	 turn_init(struct event_base *base, void (*write)(struct turn *t),
	    void (*end)(void));
/* Forget all that is due, and call end. */
void	 turn_exit(void);

/* It is to be written, or is late.  Due already, it is not made late. */
void	 turn_add(struct turn *t, bool is_late);
/* It is not to be written: harmless if it was not due. */
void	 turn_remove(struct turn *t);
/* Call end, although nothing may be due. */
void	 turn_wake(void);

#endif
