/* SPDX-License-Identifier: ISC */
#ifndef ALIVE_H
#define ALIVE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Keep-alive: our pings, the peer's signs of life, and the token's end.
 */

struct config;
struct session;

struct alive {
	int64_t		 ping_ms;	/* when the next is due */
	bool		 warned;	/* that the token expires */
};

/* cfg outlives the module. */
void	 alive_init(const struct config *cfg);

/* The session was welcomed, or has a new token: its time runs from here. */
void	 alive_begin(struct alive *a);
void	 alive_renew(struct alive *a);

/*
 * Do what is due, and set the timer for what is due next.  Ends a session
 * that shows no life, or its token's time being up.
 */
void	 alive_tick(struct alive *a, struct session *s);

#endif
