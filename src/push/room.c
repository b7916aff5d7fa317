/* SPDX-License-Identifier: ISC */

/*
 * Rooms: who hears what.
 *
 * A member sits on two lists, its room's and its session's, so a publish walks
 * one, a goodbye walks the other, and neither has to search.
 */

#include <stdlib.h>
#include <string.h>

#include "push/room.h"
#include "base/stats.h"
#include "push/session.h"
#include "base/text.h"
#include "base/table.h"
#include "base/xmalloc.h"

#define LARGE		256		/* members */

static struct table	rooms;

struct room *
room_find(const char *name, uint32_t hash)
{
	struct link	*l;
	struct room	*r;

	for (l = table_first(&rooms, hash); l != NULL; l = table_next(l)) {
		r = table_object(l, struct room, link);
		if (strcmp(r->name, name) == 0)
			return r;
	}
	return NULL;
}

static struct room *
room_create(const char *name, uint32_t hash, int64_t newest)
{
	struct room	*r;

	r = xmalloc(sizeof(*r) + strlen(name) + 1);
	LIST_INIT(&r->members);
	r->newest = newest;
	r->catchup = NULL;
	r->nmembers = 0;
	memcpy(r->name, name, strlen(name) + 1);
	table_add(&rooms, &r->link, hash);
	stats_add(STAT_ROOMS, 1);
	return r;
}

struct member *
room_member(const char *name, struct session *s)
{
	struct member	*m;

	LIST_FOREACH(m, session_members(s), by_session)
		if (strcmp(m->room->name, name) == 0)
			break;
	return m;
}

struct member *
room_join(const char *name, struct session *s, int64_t last, int64_t newest)
{
	uint32_t	 hash = table_hash(name);
	struct member	*m = xcalloc(1, sizeof(*m));

	if ((m->room = room_find(name, hash)) == NULL)
		m->room = room_create(name, hash, newest);
	m->session = s;
	m->last = last;
	m->room->nmembers++;
	stats_add(STAT_MEMBERS, 1);
	LIST_INSERT_HEAD(&m->room->members, m, by_room);
	LIST_INSERT_HEAD(session_members(s), m, by_session);
	session_changed(s);
	return m;
}

void
room_leave(struct member *m)
{
	struct room	*r = m->room;

	session_changed(m->session);
	LIST_REMOVE(m, by_session);
	LIST_REMOVE(m, by_room);
	r->nmembers--;
	stats_add(STAT_MEMBERS, -1);
	free(m);

	if (LIST_EMPTY(&r->members)) {
		table_remove(&rooms, &r->link);
		stats_add(STAT_ROOMS, -1);
		free(r);
	}
}

bool
room_is_large(const struct room *r)
{
	return r->nmembers > LARGE;
}

size_t
room_count(struct session *s)
{
	struct member	*m;
	size_t		 n = 0;

	LIST_FOREACH(m, session_members(s), by_session)
		n++;
	return n;
}

char *
room_names(struct session *s)
{
	struct text	 t = { NULL, 0, 0 };
	struct member	*m;

	text_add(&t, "[");
	LIST_FOREACH(m, session_members(s), by_session) {
		if (t.len > 1)
			text_add(&t, ",");
		text_add_string(&t, m->room->name);
	}
	text_add(&t, "]");
	return t.buf;
}

bool
room_name_ok(const char *name)
{
	size_t	n;

	for (n = 0; name[n] != '\0'; n++)
		if (n == ROOM_NAME_MAX || (uint8_t)name[n] < ' ' ||
		    name[n] == 0x7f)
			return false;
	return n > 0;
}
