/* SPDX-License-Identifier: ISC */

/*
 * A session is told of its position before it gets anything of the room.
 */

#include <stdlib.h>

#include "base/config.h"
#include "db/feed.h"
#include "push/command.h"
#include "push/door.h"
#include "push/grant.h"
#include "push/member.h"
#include "push/tell.h"
#include "push/room.h"
#include "push/session.h"

static const struct config	*cfg;
static struct feed		*feed;

void
door_init(const struct config *config, struct feed *f)
{
	cfg = config;
	feed = f;
}

bool
door_is_full(struct session *s, size_t coming)
{
	return room_count(s) + coming >= (size_t)cfg->max_rooms;
}

/* A new member, from the command's position or the one it left at. */
static struct member *
door_admit(struct session *s, struct grants *g, const char *room,
    const struct command *cmd)
{
	char		*kept_epoch = NULL;
	const char	*epoch = cmd == NULL ? NULL : cmd->epoch;
	int64_t		 since = cmd == NULL ? -1 : cmd->since;
	int64_t		 kept = grant_rejoin(g, room, &kept_epoch);
	struct member	*m;

	if (since < 0) {
		since = kept;
		epoch = kept_epoch;
	}
	/* One position for all rooms cannot stay back for one: only what is
	 * at hand is made up for, and not where positions may only grow. */
	if (session_dialect(s)->merged && (!session_dialect(s)->rejoins ||
	    since < 0 || member_is_behind(s) ||
	    feed_ring_after(feed, since) < 0)) {
		since = -1;
		epoch = NULL;
	}
	m = member_join(s, room, since, epoch);
	free(kept_epoch);
	return m;
}

static int64_t
door_position(const struct member *m)
{
	int64_t	position = feed_position(feed);

	return m->behind || m->last > position ? m->last : position;
}

void
door_enter(struct session *s, struct grants *g, const char *room,
    struct command *cmd, bool more)
{
	struct member	*m = room_member(room, s);
	bool		 new = m == NULL;

	if (new && door_is_full(s, 0)) {
		tell_error(s, cmd, "too_many", "too many rooms");
		return;
	}
	if (new)
		m = door_admit(s, g, room, cmd);
	tell_joined(s, cmd, room, door_position(m));
	if (new && (!m->behind || !more))
		member_start(m);
}

void
door_leave(struct session *s, struct grants *g, const char *room)
{
	struct member	*m = room_member(room, s);

	if (m == NULL)
		return;
	grant_left(g, room, door_position(m), feed_epoch(feed));
	member_leave(m);
}
