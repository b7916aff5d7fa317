/* SPDX-License-Identifier: ISC */
#ifndef ROOM_H
#define ROOM_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"

/*
 * A room is a name and the sessions that hear it.  It appears with its first
 * member and goes with its last.  A member is one session in one room: its
 * subscription, with the position up to which it has heard everything.
 */

#define ROOM_NAME_MAX	200		/* bytes */

struct catchup;
struct session;

struct room {
	struct link		 link;		/* of all rooms, by name */
	LIST_HEAD(, member)	 members;	/* never empty for long */
	int64_t			 newest;	/* id of the last event, or of
						 * the feed as it appeared */
	struct catchup		*catchup;	/* member.c's; or NULL */
	uint32_t		 nmembers;
	char			 name[];
};

struct member {
	LIST_ENTRY(member)	 by_room;
	LIST_ENTRY(member)	 by_session;
	struct room		*room;		/* owns us */
	struct session		*session;	/* outlives us */
	int64_t			 last;		/* heard up to this id */
	uint64_t		 asked;		/* feed_asked() when it came */
	bool			 behind;	/* gets nothing live */
	bool			 reset;		/* to be told so first */
	bool			 wants_log;	/* behind, for a read */
	bool			 is_held;	/* behind, for another room */
};

/* The room of that name, whose table_hash is given too, or NULL. */
struct room	*room_find(const char *name, uint32_t hash);
/* This session's member in the room of that name, or NULL. */
struct member	*room_member(const char *name, struct session *s);

/*
 * Make the session a member, complete up to last.  It must not be one yet.
 * newest is for a room that appears now: the id of the last event that may
 * have been in it.
 */
struct member	*room_join(const char *name, struct session *s, int64_t last,
		    int64_t newest);
/* End a membership, and its room's if that was the last. */
void		 room_leave(struct member *m);

/* So many members that others should not wait for them all. */
bool		 room_is_large(const struct room *r);

/* How many rooms the session is in. */
size_t		 room_count(struct session *s);

/* 1 to ROOM_NAME_MAX bytes, no control characters. */
bool		 room_name_ok(const char *name);

#endif
