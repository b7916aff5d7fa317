/* SPDX-License-Identifier: ISC */
#ifndef GRANT_H
#define GRANT_H

#include <sys/queue.h>
#include <stdint.h>

#include "push/answer.h"

/*
 * What a session keeps of the rooms it may enter: rights that need not be
 * asked for again until they are revoked, and the positions of rooms that it
 * left a moment ago.
 */

/* A right. */
struct grant {
	LIST_ENTRY(grant)	 entry;
	char			*event;		/* owned; "" for a join */
	char			*room;		/* owned */
	struct answer		 answer;	/* empty for a join */
};

struct left;

struct grants {
	LIST_HEAD(, grant)	 grants;	/* newest first */
	TAILQ_HEAD(, left)	 left;
	unsigned int		 ngrants;
	unsigned int		 nleft;
	unsigned int		 max;		/* grants; the oldest goes */
};

void	 grants_init(struct grants *g, unsigned int max);
void	 grants_clear(struct grants *g);

/* The right to join the room (event ""), or to what a handler answered. */
const struct grant *
	 grant_find(const struct grants *g, const char *event,
	    const char *room);
/* Keep a right; takes the answer's contents (NULL: of a join, none). */
void	 grant_add(struct grants *g, const char *event, const char *room,
	    struct answer *answer);

/* A room was left, having been heard up to last in that epoch. */
void	 grant_left(struct grants *g, const char *room, int64_t last,
	    const char *epoch);
/*
 * The position where a rejoin of the room continues, or -1; it is kept for
 * some seconds, and given once.  *epoch is its epoch, which the caller frees.
 */
int64_t	 grant_rejoin(struct grants *g, const char *room, char **epoch);

/* Forget the rights and positions of a room; "" is every room. */
void	 grants_forget(struct grants *g, const char *room);

#endif
