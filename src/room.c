/* SPDX-License-Identifier: ISC */

/*
 * Rooms: who hears what.
 *
 * A member sits on two lists, its room's and its session's, so a publish walks
 * one, a goodbye walks the other, and neither has to search.  Names are found
 * by a hash that doubles its buckets as rooms come; it never shrinks, which
 * costs eight bytes for each room of the busiest hour.
 */

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "room.h"
#include "session.h"
#include "xmalloc.h"

#define MIN_BUCKETS	256
#define LARGE		256		/* members */

LIST_HEAD(bucket, room);

static struct bucket	*buckets;
static size_t		 nbuckets;	/* a power of two */
static size_t		 nrooms;
static uint32_t		 seed;

/* FNV-1a from a random start: names are the client's to choose. */
uint32_t
room_hash(const char *name)
{
	uint32_t	h = 2166136261U ^ seed;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 16777619U;
	h ^= h >> 15;
	return h == 0 ? 1 : h;
}

static struct bucket *
room_bucket(uint32_t hash)
{
	return &buckets[hash & (nbuckets - 1)];
}

static void
room_grow(void)
{
	struct bucket	*old = buckets;
	struct room	*r;
	size_t		 n = nbuckets, i;

	nbuckets = n == 0 ? MIN_BUCKETS : n * 2;
	buckets = xcalloc(nbuckets, sizeof(*buckets));
	for (i = 0; i < n; i++)
		while ((r = LIST_FIRST(&old[i])) != NULL) {
			LIST_REMOVE(r, entry);
			LIST_INSERT_HEAD(room_bucket(r->hash), r, entry);
		}
	free(old);
}

struct room *
room_find(const char *name, uint32_t hash)
{
	struct room	*r;

	LIST_FOREACH(r, room_bucket(hash), entry)
		if (r->hash == hash && strcmp(r->name, name) == 0)
			break;
	return r;
}

static struct room *
room_create(const char *name, uint32_t hash, int64_t newest)
{
	struct room	*r;

	if (nrooms >= nbuckets)
		room_grow();
	r = xmalloc(sizeof(*r) + strlen(name) + 1);
	LIST_INIT(&r->members);
	r->newest = newest;
	r->catchup = NULL;
	r->hash = hash;
	r->nmembers = 0;
	memcpy(r->name, name, strlen(name) + 1);
	LIST_INSERT_HEAD(room_bucket(hash), r, entry);
	nrooms++;
	return r;
}

void
room_init(void)
{
	(void)RAND_bytes((unsigned char *)&seed, sizeof(seed));
	room_grow();
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
	uint32_t	 hash = room_hash(name);
	struct member	*m = xcalloc(1, sizeof(*m));

	if ((m->room = room_find(name, hash)) == NULL)
		m->room = room_create(name, hash, newest);
	m->session = s;
	m->last = last;
	m->room->nmembers++;
	LIST_INSERT_HEAD(&m->room->members, m, by_room);
	LIST_INSERT_HEAD(session_members(s), m, by_session);
	return m;
}

void
room_leave(struct member *m)
{
	struct room	*r = m->room;

	LIST_REMOVE(m, by_session);
	LIST_REMOVE(m, by_room);
	r->nmembers--;
	free(m);

	if (LIST_EMPTY(&r->members)) {
		LIST_REMOVE(r, entry);
		nrooms--;
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
