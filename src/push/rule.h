/* SPDX-License-Identifier: ISC */
#ifndef RULE_H
#define RULE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "db/pg.h"

/*
 * Questions to the rules of pgpush.greet and pgpush.allow, on a few
 * connections, on which users take turns.
 */

struct ask;
struct config;
struct event_base;
struct feed;
struct session;

/* All outlive the module. */
void	 rule_init(struct event_base *base, const struct config *cfg,
	    struct feed *feed, struct pg *cancels);
void	 rule_exit(void);
bool	 rule_is_up(void);
bool	 rule_is_idle(void);
/* Append ",pid" for each connection. */
void	 rule_backends(struct text *out);

/*
 * Whether there is such a user, and the rooms it is in from the first moment.
 * rooms, a JSON array or NULL, are such that it asks for besides.  The answer
 * has rows (no such user, room, whether it may be in it): the third is NULL
 * for a room of the greeting, and the room NULL if there is none.  As pool_ask.
 */
struct ask	*rule_greet(const struct session *s, const char *rooms,
		    pg_done done, void *arg)
		    __attribute__((warn_unused_result));

/*
 * Whether the session may join these rooms, a JSON array, which are of the
 * same kind as the one given: a row with true or false for each, in order.
 */
struct ask	*rule_allow(const struct session *s, const char *room,
		    const char *rooms, pg_done done, void *arg)
		    __attribute__((warn_unused_result));

/* The part of a room's name that tells its kind: up to the first colon. */
size_t		 rule_kind(const char *room);

#endif
