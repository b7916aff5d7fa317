/* SPDX-License-Identifier: ISC */
#ifndef DOOR_H
#define DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Entering and leaving rooms, for sessions that may.
 */

struct command;
struct config;
struct feed;
struct grants;
struct session;

/* Both outlive the module. */
void	 door_init(const struct config *cfg, struct feed *feed);

/* Whether there is no room for one more, beside so many on their way in. */
bool	 door_is_full(struct session *s, size_t coming);

/*
 * Put the session into a room, and tell it so: as the answer to its join, or
 * if cmd is NULL because a handler says so.  A room that it left a moment ago
 * continues where it left.  more: other joins follow at once, so begin to
 * bring it up to date with the last of them, that it gets an event of several
 * rooms once.
 */
void	 door_enter(struct session *s, struct grants *g, const char *room,
	    struct command *cmd, bool more);

/* Out of the room, if it is in it; its position is kept for a while. */
void	 door_leave(struct session *s, struct grants *g, const char *room);

#endif
