/* SPDX-License-Identifier: ISC */
#ifndef FAIR_H
#define FAIR_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Who comes next: statements of many users on a few connections.  Users take
 * turns, and each has one statement running at most.  A user whose statement
 * took longer than slow_ms is slow until one is quick; so is a kind of
 * statement that was slow for as many users as there are connections, with
 * none quick in between.  What is slow shares half of the connections, and of
 * those all but one only when nothing quick waits.  So a quick statement waits
 * at most until each of the others has hung once.
 *
 * Pure: the caller gives the time, in milliseconds.
 */

struct fair;
struct party;

/* A statement; the caller embeds it, all zero at first. */
struct turn {
	TAILQ_ENTRY(turn)	 entry;
	struct party		*user;
	struct party		*kind;
	int64_t			 began_ms;	/* if it runs */
	bool			 is_running;
	bool			 was_slow;	/* as it began */
	bool			 is_noted;	/* it took too long, and all
						 * that follows from it */
};

struct fair	*fair_new(unsigned int connections, int64_t slow_ms);
/* No turn may be left. */
void		 fair_free(struct fair *f);

/* It waits; user and kind are copied. */
void		 fair_add(struct fair *f, struct turn *t, const char *user,
		    const char *kind);
/* The next to run, which runs from now on; NULL: none may. */
struct turn	*fair_next(struct fair *f, int64_t now_ms);
/* It has ended, or waits no longer. */
void		 fair_end(struct fair *f, struct turn *t, int64_t now_ms);

/* How many wait. */
size_t		 fair_waiting(const struct fair *f);
/* Any of those that wait, or NULL. */
struct turn	*fair_any(const struct fair *f);

#endif
