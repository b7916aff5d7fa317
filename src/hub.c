/* SPDX-License-Identifier: ISC */

/*
 * A member is live or behind.  Live: it gets each event of its room as the
 * feed brings it.  Behind, because it resumes or because its connection's
 * output is full: it gets nothing live and is served in order, from the feed's
 * ring if that reaches back far enough, else from the log, until it has
 * arrived at the feed's position.  A read of the log never goes past the
 * position at which it was sent: what revokes a right is thus always seen
 * before what comes after it.  The database is the buffer of a slow reader.
 */

#include <sys/queue.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "config.h"
#include "entry.h"
#include "feed.h"
#include "hub.h"
#include "log.h"
#include "pg.h"
#include "proto.h"
#include "room.h"
#include "session.h"
#include "xmalloc.h"

#define RETRY_MS	1000		/* after a read that failed */

/* A read of the log for one member, waiting or under way. */
struct catchup {
	TAILQ_ENTRY(catchup)	 entry;		/* while it waits */
	struct member		*member;	/* NULL: it has left; never
						 * while it waits */
	bool			 is_waiting;
	int64_t			 last;		/* as sent */
	int64_t			 upto;
};

static const struct config	*cfg;
static struct feed		*feed;
static struct pg		*query;
static const struct hub_ops	*ops;
static struct event		*retry_timer;
static TAILQ_HEAD(, catchup)	 waiting = TAILQ_HEAD_INITIALIZER(waiting);
static int64_t			 reading;	/* reads under way */
static uint64_t			 signals;	/* ever, to tell them apart */

static const struct pg_stmt read_stmt = { "catchup",
	"SELECT f.id, r.* FROM pgpush.floor f LEFT JOIN (SELECT " FEED_COLUMNS
	" FROM (SELECT *, sum(bytes) OVER (ORDER BY id) - bytes AS before"
	"  FROM (SELECT * FROM pgpush.log WHERE room = $2 AND id > $3::bigint"
	"    AND id <= $4::bigint AND kind IN ('event', 'resync')"
	"    ORDER BY id LIMIT $5::bigint) l) w"
	"  WHERE before < $6::bigint) r ON true ORDER BY r.id", 6 };

static void	hub_serve(struct member *m);
static void	hub_run_reads(void);

/* Giving */

/* Send it, but not to whom it came from, nor one happening twice. */
static void
hub_send(struct session *s, struct entry *e)
{
	if (e->origin[0] != '\0' && strcmp(e->origin, session_id(s)) == 0)
		return;
	if (e->dup[0] != '\0' && session_seen(s, e->dup))
		return;
	session_send_entry(s, e);
}

/* Hand a logged event to a member: it has heard it then, or must not. */
static void
member_give(struct member *m, struct entry *e)
{
	m->last = e->id;
	hub_send(m->session, e);
}

static void
hub_event(struct entry *e)
{
	struct room	*r = room_find(e->room);
	struct member	*m;

	if (r == NULL)
		return;
	r->newest = e->id;
	LIST_FOREACH(m, &r->members, by_room) {
		if (m->behind || e->id <= m->last)
			continue;
		if (session_is_full(m->session))
			m->behind = true;
		else
			member_give(m, e);
	}
}

/* Ephemeral: who is behind or has gone quiet does without. */
static void
hub_signal(struct entry *e)
{
	struct room	*r = room_find(e->room);
	struct member	*m;
	struct session	*s;

	if (r == NULL)
		return;
	LIST_FOREACH(m, &r->members, by_room) {
		s = m->session;
		if (!m->behind && !session_is_full(s) &&
		    session_mark(s, signals))
			hub_send(s, e);
	}
}

/* Catching up */

static void
catchup_wait(struct catchup *c, bool first)
{
	c->is_waiting = true;
	if (first)
		TAILQ_INSERT_HEAD(&waiting, c, entry);
	else
		TAILQ_INSERT_TAIL(&waiting, c, entry);
}

static void
catchup_unwait(struct catchup *c)
{
	TAILQ_REMOVE(&waiting, c, entry);
	c->is_waiting = false;
}

/* The member needs its read no more: one under way ends by itself. */
static void
catchup_detach(struct member *m)
{
	struct catchup	*c = m->catchup;

	m->catchup = NULL;
	if (c == NULL)
		return;
	c->member = NULL;
	if (c->is_waiting) {
		catchup_unwait(c);
		free(c);
	}
}

static void
member_reset(struct member *m)
{
	struct session	*s = m->session;

	catchup_detach(m);
	m->behind = m->reset = false;
	m->last = feed_position(feed);
	session_send(s, session_dialect(s)->reset(m->room->name, m->last,
	    feed_epoch(feed)));
}

/* Serve what the ring has from index on; false if the output is full. */
static bool
hub_serve_ring(struct member *m, int64_t index)
{
	struct entry	*e;

	while ((e = feed_ring_get(feed, index++)) != NULL) {
		if (strcmp(e->room, m->room->name) == 0)
			member_give(m, e);
		if (session_is_full(m->session))
			return false;
	}
	return true;
}

/*
 * Bring a member on: it arrives, or a read of the log will call again, or the
 * drained connection will.
 */
static void
hub_serve(struct member *m)
{
	int64_t		 index;
	struct catchup	*c;

	if (!m->behind || m->catchup != NULL || session_is_full(m->session))
		return;
	if (m->room->newest <= m->last) {
		m->behind = false;
		return;
	}
	if ((index = feed_ring_after(feed, m->last)) >= 0) {
		if (hub_serve_ring(m, index)) {
			if (m->last < feed_position(feed))
				m->last = feed_position(feed);
			m->behind = false;
		}
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->member = m;
	m->catchup = c;
	catchup_wait(c, false);
	hub_run_reads();
}

/*
 * Give a member the rows of its read.  A connection that fills up in between
 * leaves the rest for another read.
 */
static void
catchup_give(struct catchup *c, const struct pg_result *res)
{
	struct member	*m = c->member;
	struct entry	*e;
	int64_t		 bytes = 0;
	int		 i, n = 0;

	for (i = 0; i < pg_rows(res) && pg_value(res, i, 1) != NULL; i++) {
		if (session_is_full(m->session))
			return;
		e = feed_entry_from_row(res, i, 1, cfg->max_event);
		if (e == NULL)
			continue;
		member_give(m, e);
		entry_unref(e);
		bytes += pg_number(res, i, 1 + FEED_BYTES);
		n++;
	}
	if (n < cfg->catchup_limit && bytes < cfg->move_bytes)
		m->last = c->upto;
}

static void
catchup_again(struct catchup *c)
{
	catchup_wait(c, true);
	clock_start(retry_timer, RETRY_MS);
}

static void
catchup_done(void *arg, const struct pg_result *res)
{
	struct catchup	*c = arg;
	struct member	*m = c->member;

	reading--;
	if (m != NULL && !pg_ok(res)) {
		catchup_again(c);
		return;
	}
	if (m != NULL) {
		m->catchup = NULL;
		if (pg_number(res, 0, 0) > c->last)
			member_reset(m);
		else {
			catchup_give(c, res);
			hub_serve(m);
		}
	}
	free(c);
	hub_run_reads();
}

static int
catchup_send(struct catchup *c)
{
	char		 max[PG_NUMBER_MAX], last[PG_NUMBER_MAX],
			 upto[PG_NUMBER_MAX], limit[PG_NUMBER_MAX],
			 bytes[PG_NUMBER_MAX];
	const char	*params[] = { pg_param(max, cfg->max_event),
	    c->member->room->name, pg_param(last, c->member->last),
	    pg_param(upto, feed_position(feed)),
	    pg_param(limit, cfg->catchup_limit),
	    pg_param(bytes, cfg->move_bytes) };

	c->last = c->member->last;
	c->upto = feed_position(feed);
	return pg_send(query, &read_stmt, params, catchup_done, c);
}

/* Send waiting reads as long as few enough are under way. */
static void
hub_run_reads(void)
{
	struct catchup	*c;

	while (reading < cfg->catchup_concurrent && pg_is_up(query) &&
	    (c = TAILQ_FIRST(&waiting)) != NULL) {
		if (catchup_send(c) == -1)
			return;
		catchup_unwait(c);
		reading++;
	}
}

static void
hub_on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	hub_run_reads();
}

/* What changes rights */

static void
member_evict(struct member *m, const char *reason)
{
	struct session	*s = m->session;

	session_send(s, session_dialect(s)->left(m->room->name, reason));
	hub_leave(m);
}

static const char *
reason_of(const struct entry *e)
{
	return strcmp(e->data, "null") == 0 ? "revoked" : e->data;
}

static void
hub_revoke(const struct entry *e)
{
	struct room	*r = room_find(e->room);
	struct member	*m, *next;

	for (m = r == NULL ? NULL : LIST_FIRST(&r->members); m != NULL;
	    m = next) {
		next = LIST_NEXT(m, by_room);
		if (session_is_user(m->session, e->user))
			member_evict(m, reason_of(e));
	}
	ops->revoked(e->room, e->user);
}

static void
hub_kick(const struct entry *e)
{
	struct session	*s, *next;
	struct member	*m;

	for (s = TAILQ_FIRST(&sessions); s != NULL; s = next) {
		next = session_next(s);
		if (strcmp(e->user, session_user(s)) != 0)
			continue;
		while ((m = LIST_FIRST(session_members(s))) != NULL)
			member_evict(m, "kicked");
		ops->kicked(s);
	}
	ops->revoked("", e->user);
}

void
hub_reset_all(void)
{
	struct session	*s;
	struct member	*m;

	for (s = TAILQ_FIRST(&sessions); s != NULL; s = session_next(s))
		LIST_FOREACH(m, session_members(s), by_session)
			member_reset(m);
}

void
hub_entry(struct entry *e)
{
	switch (e->kind) {
	case ENTRY_EVENT:
	case ENTRY_RESYNC:
		hub_event(e);
		break;
	case ENTRY_SIGNAL:
		signals++;
		hub_signal(e);
		break;
	case ENTRY_REVOKE:
		hub_revoke(e);
		break;
	case ENTRY_KICK:
		hub_kick(e);
		break;
	case ENTRY_CONFIG:
		ops->config();
		break;
	case ENTRY_EPOCH:
		hub_reset_all();
		break;
	}
}

void
hub_notify(const char *payload)
{
	struct entry_parts	 p = { .kind = ENTRY_SIGNAL };
	struct signal		 sig;
	struct entry		*e;
	size_t			 i;

	if (signal_parse(&sig, payload) == -1)
		log_info("msg=\"not an event on channel pgpush\" payload=%s",
		    log_quote(payload, strlen(payload)));
	else if (cfg->notify_events[0] != '\0' &&
	    !config_list_has(cfg->notify_events, sig.event))
		log_info("msg=\"not in notify_events\" event=%s",
		    log_quote(sig.event, strlen(sig.event)));
	else {
		signals++;
		p.event = sig.event;
		p.data = sig.data;
		p.origin = sig.origin;
		for (i = 0; i < sig.nrooms; i++) {
			p.room = sig.rooms[i];
			e = entry_new(&p);
			hub_signal(e);
			entry_unref(e);
		}
	}
	signal_free(&sig);
}

/* Members */

struct member *
hub_join(struct session *s, const char *room, int64_t since,
    const char *epoch)
{
	int64_t		 position = feed_position(feed);
	bool		 foreign;
	struct member	*m;

	foreign = epoch != NULL && strcmp(epoch, feed_epoch(feed)) != 0;
	m = room_join(room, s, since < 0 || foreign ? position : since,
	    position);
	m->reset = foreign;
	m->behind = m->last < position;
	return m;
}

void
hub_start(struct member *m)
{
	if (m->reset)
		member_reset(m);
	else
		hub_serve(m);
}

void
hub_leave(struct member *m)
{
	catchup_detach(m);
	room_leave(m);
}

void
hub_leave_all(struct session *s)
{
	while (!LIST_EMPTY(session_members(s)))
		hub_leave(LIST_FIRST(session_members(s)));
}

void
hub_drained(struct session *s)
{
	struct member	*m;

	LIST_FOREACH(m, session_members(s), by_session)
		hub_serve(m);
}

int64_t
hub_at(struct session *s)
{
	int64_t		 at = feed_position(feed);
	struct member	*m;

	LIST_FOREACH(m, session_members(s), by_session)
		if (m->behind && m->last < at)
			at = m->last;
	return at;
}

void
hub_query_up(void)
{
	hub_run_reads();
}

void
hub_init(struct event_base *base, const struct config *config,
    struct feed *f, struct pg *pg, const struct hub_ops *hub_ops)
{
	cfg = config;
	feed = f;
	query = pg;
	ops = hub_ops;
	room_init();
	retry_timer = evtimer_new(base, hub_on_retry, NULL);
	if (retry_timer == NULL)
		fatal("msg=\"evtimer_new failed\"");
}

void
hub_exit(void)
{
	struct catchup	*c;

	while ((c = TAILQ_FIRST(&waiting)) != NULL) {
		catchup_unwait(c);
		free(c);
	}
	event_free(retry_timer);
}
