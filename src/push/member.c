/* SPDX-License-Identifier: ISC */

/*
 * A member is live or behind.  Live: it gets each event of its room as the
 * feed brings it.  Behind, because it resumes or because its connection's
 * output is full: it gets nothing live and is served in order, from the feed's
 * ring if that reaches back far enough, else from the log, until it has
 * arrived at the feed's position.  The database is the buffer of a slow reader.
 *
 * A read of the log (db/reader.h) is for a room: from the least of a group of
 * members that have about as much to catch up, and those with least go first.
 * It never goes past the position at which it was sent: what revokes a right is
 * thus always seen before what comes after it.  What it brought is handed out
 * in slices, so that a large room holds up nothing else.
 *
 * A session of a merged dialect has one position, and so its members are behind
 * together: they are served in one order, by reads for the session.
 */

#include <sys/queue.h>
#include <event2/event.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "db/entry.h"
#include "db/feed.h"
#include "base/log.h"
#include "push/member.h"
#include "db/reader.h"
#include "base/stats.h"
#include "base/text.h"
#include "push/room.h"
#include "push/session.h"
#include "base/table.h"
#include "base/xmalloc.h"

#define SLICE_FRAMES	4096		/* handed out in one turn of the loop */
#define SLICE_MEMBERS	4096		/* looked at */

/*
 * A room whose members need the log, or a merged session that does: one read at
 * a time.
 */
struct catchup {
	struct reader_turn	 read;		/* first */
	TAILQ_ENTRY(catchup)	 entry;		/* giving */
	struct room		*room;		/* NULL: none, or gone */
	struct session		*session;	/* NULL: none, or gone */
	unsigned int		 turn;		/* reads before it */
	bool			 giving;	/* in slices */
	unsigned int		 era;
	/* what came */
	struct entry		**entries;	/* owned, by id */
	size_t			 n;
	int64_t			 complete;	/* they are all up to here */
	struct member		*next;		/* to be given them */
};
TAILQ_HEAD(catchup_list, catchup);

static const struct config	*cfg;
static struct feed		*feed;
static uint64_t			 ahead;	/* ask, this time, for the newest id:
					 * somebody is ahead of us; 0: nobody */
static struct event		*slice_timer;
static struct catchup_list	 giving = TAILQ_HEAD_INITIALIZER(giving);
static uint64_t			 given;		/* events to members, ever */
static unsigned int		 era;		/* of resets of all */

static void	session_serve(struct session *s);

/* Giving */

void
member_send(struct member *m, struct entry *e)
{
	struct session	*s = m->session;

	if (e->origin[0] != '\0' && strcmp(e->origin, session_id(s)) == 0)
		return;
	if (e->dup[0] != '\0' && session_seen(s, e->dup, e->id))
		return;
	session_send_entry(s, e, room_is_large(m->room));
}

/*
 * Whether the member must let another of its session's rooms come on first:
 * that one is farther behind, and from there on the session has been given so
 * many happenings that they are half of what it remembers.  The other half is
 * for those of before, of which that room may bring another row.
 */
static bool
member_must_wait(const struct member *m, const struct entry *e)
{
	const struct member	*x;
	int64_t			 least = e->id - 1;

	if (e->dup[0] == '\0' || session_dialect(m->session)->merged)
		return false;
	LIST_FOREACH(x, session_members(m->session), by_session)
		if (x != m && x->behind && x->last < least)
			least = x->last;
	return least < e->id - 1 &&
	    session_seen_after(m->session, least) >= SESSION_SEEN / 2;
}

/*
 * Behind from this event on.  Nothing of its room was before it that it has
 * not had: it may be long ago that something was, and the log purged.
 */
static void
member_fall_behind(struct member *m, const struct entry *e)
{
	m->behind = true;
	if (m->last < e->id - 1)
		m->last = e->id - 1;
}

bool
member_give(struct member *m, struct entry *e)
{
	struct member	*x;

	m->is_held = member_must_wait(m, e);
	if (m->is_held || session_is_full(m->session)) {
		member_fall_behind(m, e);
		if (session_dialect(m->session)->merged)
			LIST_FOREACH(x, session_members(m->session),
			    by_session)
				member_fall_behind(x, e);
		return false;
	}
	m->last = e->id;
	member_send(m, e);
	given++;
	return true;
}

void
member_give_run(struct member *m, struct run *run)
{
	size_t	i;

	if (run->is_plain && run->n > 1 && !m->behind &&
	    run->entries[0]->id > m->last && !session_is_full(m->session)) {
		m->last = run->entries[run->n - 1]->id;
		session_send_run(m->session, run, room_is_large(m->room));
		given += run->n;
		return;
	}
	for (i = 0; i < run->n; i++)
		if (!m->behind && run->entries[i]->id > m->last)
			(void)member_give(m, run->entries[i]);
}

static uint32_t
entry_hash(struct entry *e)
{
	if (e->hash == 0)
		e->hash = table_hash(e->room);
	return e->hash;
}

struct room *
member_room(struct entry *e)
{
	return room_find(e->room, entry_hash(e));
}

static bool
entry_is_in(struct entry *e, const struct room *r)
{
	return entry_hash(e) == r->link.hash && strcmp(e->room, r->name) == 0;
}

/* Catching up: who waits for a read */

static unsigned int
member_distance(const struct member *m)
{
	return reader_distance(m->last);
}

static struct catchup *
catchup_of(struct reader_turn *t)
{
	return (struct catchup *)(void *)((char *)t -
	    offsetof(struct catchup, read));
}

/* For a room or a session; the other is NULL. */
static struct catchup *
catchup_new(struct room *r, struct session *s, unsigned int distance)
{
	struct catchup	*c = xcalloc(1, sizeof(*c));

	c->room = r;
	c->session = s;
	if (r != NULL)
		r->catchup = c;
	else
		session_set_catchup(s, c);
	reader_wait(&c->read, distance);
	return c;
}

static void
catchup_free(struct catchup *c)
{
	reader_end(&c->read);
	if (c->giving)
		TAILQ_REMOVE(&giving, c, entry);
	while (c->n > 0)
		entry_unref(c->entries[--c->n]);
	free(c->entries);
	if (c->room != NULL)
		c->room->catchup = NULL;
	if (c->session != NULL)
		session_set_catchup(c->session, NULL);
	free(c);
}

static void
member_want_log(struct member *m)
{
	struct catchup	*c = m->room->catchup;
	unsigned int	 distance = member_distance(m);

	m->wants_log = true;
	if (c == NULL)
		(void)catchup_new(m->room, NULL, distance);
	else if (c->read.state == READER_WAITING)
		reader_wait(&c->read, distance);
}

/* The least distance of those in the room who want the log, or the largest;
 * -1: nobody does. */
static int
room_distance(const struct room *r, bool largest)
{
	const struct member	*m;
	int			 d, found = -1;

	LIST_FOREACH(m, &r->members, by_room) {
		if (!m->wants_log)
			continue;
		d = (int)member_distance(m);
		if (found < 0 || (largest ? d > found : d < found))
			found = d;
	}
	return found;
}

/* Done with what it read: wait for another read, if somebody wants one. */
static void
catchup_end(struct catchup *c)
{
	struct room	*r = c->room;
	struct session	*s = c->session;
	unsigned int	 turn = c->turn + 1;
	int		 d = r == NULL ? -1 : room_distance(r, false);

	catchup_free(c);
	if (s != NULL)
		session_serve(s);
	if (d >= 0)
		catchup_new(r, NULL, (unsigned int)d)->turn = turn;
}

/* Its room or session goes: free it, unless an answer is still to come. */
static void
catchup_abandon(struct catchup *c)
{
	if (c->read.state == READER_WAITING) {
		catchup_free(c);
		return;
	}
	if (c->room != NULL)
		c->room->catchup = NULL;
	if (c->session != NULL)
		session_set_catchup(c->session, NULL);
	c->room = NULL;
	c->session = NULL;
	c->read.dropped = true;
}

/* The member leaves: nobody may find it in a read's hands. */
static void
member_detach(struct member *m)
{
	struct room	*r = m->room;
	struct catchup	*c = r->catchup;

	m->wants_log = false;
	if (c == NULL)
		return;
	if (c->next == m)
		c->next = LIST_NEXT(m, by_room);
	if (LIST_FIRST(&r->members) != m || LIST_NEXT(m, by_room) != NULL)
		return;
	/* The last: the room goes with it. */
	catchup_abandon(c);
}

/* Catching up: serving */

/* The position moved to another place by decree. */
static void
member_reset(struct member *m)
{
	struct session	*s = m->session;

	m->behind = m->reset = m->is_held = m->wants_log = false;
	m->last = feed_position(feed);
	stats_add(STAT_RESETS, 1);
	session_send(s, session_dialect(s)->reset(s, m->room->name, m->last,
	    feed_epoch(feed)));
}

/*
 * Of the positions beyond ours some are of a daemon that is ahead of us; one
 * beyond the newest id is of no daemon.
 */
void
member_newest(int64_t newest, uint64_t asked)
{
	struct session	*s;
	struct member	*m;

	if (ahead == 0 || asked < ahead)
		return;
	ahead = 0;
	for (s = TAILQ_FIRST(&sessions); s != NULL; s = session_next(s))
		LIST_FOREACH(m, session_members(s), by_session)
			if (m->last > newest && m->asked < asked)
				member_reset(m);
}

void
member_begin_term(struct session *s, int64_t first)
{
	struct member	*m;

	LIST_FOREACH(m, session_members(s), by_session)
		if (m->last >= first && m->last > feed_position(feed))
			member_reset(m);
	member_tell_at(s);
}

void
member_tell_at(struct session *s)
{
	session_send(s, session_dialect(s)->at(s, member_at(s),
	    feed_epoch(feed)));
}

void
member_reset_all(struct session *s)
{
	struct member	*m;

	LIST_FOREACH(m, session_members(s), by_session)
		member_reset(m);
	/* A position for all of them must not come before the last reset. */
	if (session_dialect(s)->merged)
		session_send(s, session_dialect(s)->at(s, feed_position(feed),
		    feed_epoch(feed)));
}

/* Serve what the ring has from index on; false if it cannot take all. */
static bool
member_serve_ring(struct member *m, int64_t index)
{
	struct entry	*e;

	for (;; index++) {
		index = feed_ring_find(feed, index, m->room->link.hash);
		if ((e = feed_ring_get(feed, index)) == NULL)
			return true;
		if (entry_is_in(e, m->room) && !member_give(m, e))
			return false;
	}
}

/* The session's member in the room of an entry, or NULL. */
static struct member *
session_member_of(struct session *s, struct entry *e)
{
	struct member	*m;

	LIST_FOREACH(m, session_members(s), by_session)
		if (entry_is_in(e, m->room))
			break;
	return m;
}

/* Of a merged session: hand it over to whom it is new; false: no more now. */
static bool
session_give(struct session *s, struct entry *e)
{
	struct member	*m = session_member_of(s, e);

	return m == NULL || e->id <= m->last || member_give(m, e);
}

/* All its rooms are complete up to id; live, or not yet. */
static void
session_arrive(struct session *s, int64_t id, bool live)
{
	struct member	*m;

	LIST_FOREACH(m, session_members(s), by_session) {
		if (m->last < id)
			m->last = id;
		if (live)
			m->behind = false;
	}
	if (live && session_dialect(s)->live != NULL)
		session_dialect(s)->live(s);
}

/* As member_serve, for all rooms of a merged session. */
static void
session_serve(struct session *s)
{
	int64_t		 index, from = member_at(s);
	struct entry	*e;

	if (session_catchup(s) != NULL || session_is_full(s))
		return;
	if ((index = feed_ring_after(feed, from)) < 0) {
		(void)catchup_new(NULL, s, reader_distance(from));
		return;
	}
	while ((e = feed_ring_get(feed, index++)) != NULL)
		if (!session_give(s, e))
			return;
	session_arrive(s, feed_position(feed), true);
}

/*
 * Bring a member on: it arrives, or a read of the log will call again, or the
 * drained connection will, or another room of the session that comes on.
 */
static void
member_serve(struct member *m)
{
	int64_t	index;

	if (!m->behind || m->wants_log || m->is_held ||
	    session_is_full(m->session))
		return;
	if (session_dialect(m->session)->merged) {
		session_serve(m->session);
		return;
	}
	if (m->room->newest <= m->last) {
		m->behind = false;
		return;
	}
	if ((index = feed_ring_after(feed, m->last)) < 0) {
		member_want_log(m);
		return;
	}
	if (!member_serve_ring(m, index))
		return;
	if (m->last < feed_position(feed))
		m->last = feed_position(feed);
	m->behind = false;
}

/* Of the session's members that are behind the farthest, if it is held. */
static struct member *
session_held(struct session *s)
{
	struct member	*m, *least = NULL;

	LIST_FOREACH(m, session_members(s), by_session)
		if (m->behind && (least == NULL || m->last < least->last))
			least = m;
	return least != NULL && least->is_held ? least : NULL;
}

/* Another room has come on, or gone: who was held may be the next. */
static void
session_unhold(struct session *s)
{
	struct member	*m;

	while (!session_is_full(s) && (m = session_held(s)) != NULL) {
		m->is_held = false;
		member_serve(m);
	}
}

static void
member_bring_on(struct member *m)
{
	member_serve(m);
	session_unhold(m->session);
}

/* Catching up: what a read brought */

/* Give a member what came that is new to it. */
static void
catchup_give(const struct catchup *c, struct member *m)
{
	size_t	lo = 0, hi = c->n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (c->entries[mid]->id <= m->last)
			lo = mid + 1;
		else
			hi = mid;
	}
	m->wants_log = false;
	for (; lo < c->n; lo++)
		if (!member_give(m, c->entries[lo]))
			return;
	if (m->last < c->complete)
		m->last = c->complete;
}

/* Begin to give a room's members what came. */
static void
catchup_give_room(struct catchup *c)
{
	c->giving = true;
	c->next = LIST_FIRST(&c->room->members);
	TAILQ_INSERT_TAIL(&giving, c, entry);
	if (!evtimer_pending(slice_timer, NULL))
		clock_start(slice_timer, 0);
}

/* Give a merged session what came, and go on from there. */
static void
catchup_give_session(struct catchup *c)
{
	struct session	*s = c->session;
	size_t		 i;

	for (i = 0; i < c->n; i++)
		if (!session_give(s, c->entries[i]))
			break;
	if (i == c->n)
		session_arrive(s, c->complete, false);
	catchup_free(c);
	session_serve(s);
}

/* Hand out to one member after the other; false if there are more. */
static bool
catchup_slice(struct catchup *c)
{
	uint64_t	 end = given + SLICE_FRAMES;
	size_t		 n = 0;
	struct member	*m;

	while ((m = c->next) != NULL && given < end && n++ < SLICE_MEMBERS) {
		c->next = LIST_NEXT(m, by_room);
		if (!m->wants_log || m->last < c->read.from)
			continue;
		catchup_give(c, m);
		member_bring_on(m);
	}
	return c->next == NULL;
}

static void
catchup_on_slice(evutil_socket_t fd, short what, void *arg)
{
	struct catchup	*c = TAILQ_FIRST(&giving);

	(void)fd;
	(void)what;
	(void)arg;
	if (c == NULL)
		return;
	if (c->era != era || catchup_slice(c))
		catchup_end(c);
	else {
		/* By turns with the others. */
		TAILQ_REMOVE(&giving, c, entry);
		TAILQ_INSERT_TAIL(&giving, c, entry);
	}
	if (!TAILQ_EMPTY(&giving))
		clock_start(slice_timer, 0);
	reader_run();
}

/* Rows below the floor are gone: who would need them starts afresh. */
static void
catchup_below(struct reader_turn *t, int64_t floor)
{
	struct catchup	*c = catchup_of(t);
	struct session	*s = c->session;
	struct member	*m;

	if (c->era != era) {
		catchup_end(c);
		return;
	}
	if (s != NULL) {
		member_reset_all(s);
		catchup_free(c);
		return;
	}
	LIST_FOREACH(m, &c->room->members, by_room)
		if (m->wants_log && m->last < floor) {
			member_reset(m);
			session_unhold(m->session);
		}
	catchup_end(c);
}

static void
catchup_rows(struct reader_turn *t, struct entry **entries, size_t n,
    int64_t complete)
{
	struct catchup	*c = catchup_of(t);

	c->entries = entries;
	c->n = n;
	c->complete = complete;
	if (c->era != era)
		catchup_end(c);
	else if (c->session != NULL)
		catchup_give_session(c);
	else
		catchup_give_room(c);
}

static void
catchup_dropped(struct reader_turn *t)
{
	catchup_free(catchup_of(t));
}

/*
 * Who is served by the read: those of the room's least distance, now and then
 * those of its largest, or somebody might wait for ever.  From the first of
 * them on.
 */
static void
catchup_ask_room(struct catchup *c, struct reader_range *range)
{
	struct member	*m;
	unsigned int	 n = 0;
	int		 distance = room_distance(c->room, c->turn %
			    READER_FAIR == READER_FAIR - 1);

	LIST_FOREACH(m, &c->room->members, by_room) {
		if (!m->wants_log || (int)member_distance(m) != distance)
			continue;
		if (n++ == 0 || m->last < range->from)
			range->from = m->last;
	}
	range->members = n;
	range->rooms = xstrdup(c->room->name);
}

static void
catchup_ask(struct reader_turn *t, struct reader_range *range)
{
	struct catchup	*c = catchup_of(t);

	c->era = era;
	range->upto = feed_position(feed);
	range->merged = c->session != NULL;
	if (!range->merged) {
		catchup_ask_room(c, range);
		return;
	}
	range->from = member_at(c->session);
	range->rooms = room_names(c->session);
}

static const struct reader_ops reader_ops = { catchup_ask, catchup_rows,
	catchup_below, catchup_dropped };

/* Members */

/* Out of the room, and nothing else. */
static void
member_remove(struct member *m)
{
	member_detach(m);
	room_leave(m);
}

void
member_leave(struct member *m)
{
	struct session	*s = m->session;

	member_remove(m);
	session_unhold(s);
}

void
member_leave_all(struct session *s)
{
	struct catchup	*c = session_catchup(s);

	if (c != NULL)
		catchup_abandon(c);
	while (!LIST_EMPTY(session_members(s)))
		member_remove(LIST_FIRST(session_members(s)));
}

struct member *
member_join(struct session *s, const char *room, int64_t since,
    const char *epoch)
{
	int64_t		 position = feed_position(feed), at = position;
	bool		 foreign;
	struct member	*m;

	/* One position for all: who is ahead of us is so in every room. */
	if (session_dialect(s)->merged)
		at = member_at(s);
	foreign = epoch != NULL && since >= 0 &&
	    !feed_knows(feed, epoch, since);
	if (since < 0 || foreign)
		since = at > position ? at : position;
	m = room_join(room, s, since, position);
	m->reset = foreign;
	m->behind = at < position || since < position;
	m->asked = feed_asked(feed);
	if (since > position)
		ahead = m->asked + 1;
	return m;
}

void
member_start(struct member *m)
{
	if (m->reset)
		member_reset(m);
	else {
		member_bring_on(m);
		reader_run();
	}
}

void
member_drained(struct session *s)
{
	struct member	*m;

	LIST_FOREACH(m, session_members(s), by_session)
		member_bring_on(m);
	reader_run();
}

bool
member_is_behind(struct session *s)
{
	const struct member	*m;

	LIST_FOREACH(m, session_members(s), by_session)
		if (m->behind)
			break;
	return m != NULL;
}

int64_t
member_at(struct session *s)
{
	int64_t		 position = feed_position(feed), at = -1, here;
	struct member	*m;

	LIST_FOREACH(m, session_members(s), by_session) {
		/* It may have heard more, from who is ahead of us. */
		here = m->behind || m->last > position ? m->last : position;
		if (at < 0 || here < at)
			at = here;
	}
	return at < 0 ? position : at;
}

void
member_begin_era(void)
{
	era++;
}

/* The beginning and the end */

void
member_init(struct event_base *base, const struct config *config,
    struct feed *f)
{
	cfg = config;
	feed = f;
	slice_timer = clock_new(base, catchup_on_slice, NULL);
	reader_init(base, cfg, feed, &reader_ops);
}

void
member_exit(void)
{
	struct catchup	*c;

	reader_exit();
	while ((c = TAILQ_FIRST(&giving)) != NULL)
		catchup_free(c);
	event_free(slice_timer);
}
