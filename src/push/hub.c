/* SPDX-License-Identifier: ISC */

/*
 * What each kind of row does.  How a member gets what it is due, live or
 * later, is member.c's.
 *
 * Events of one room that come one after the other are gathered into a run:
 * so its members are walked once, and their frames queued as one.
 */

#include <sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "db/entry.h"
#include "push/hub.h"
#include "base/log.h"
#include "base/stats.h"
#include "push/member.h"
#include "push/signal.h"
#include "push/room.h"
#include "push/session.h"

static const struct config	*cfg;
static const struct hub_ops	*ops;
static uint64_t			 signals;	/* ever, to tell them apart */
static struct run		 run;		/* to be given next */

void
hub_complete(void)
{
	struct room	*r = run.n == 0 ? NULL : member_room(run.entries[0]);
	struct member	*m;

	if (r != NULL) {
		r->newest = run.entries[run.n - 1]->id;
		LIST_FOREACH(m, &r->members, by_room)
			member_give_run(m, &run);
	}
	run_clear(&run);
}

static void
hub_event(struct entry *e)
{
	if (!run_add(&run, e)) {
		hub_complete();
		(void)run_add(&run, e);
	}
}

/* Ephemeral: who is behind or has gone quiet does without. */
static void
hub_signal(struct entry *e)
{
	struct room	*r = member_room(e);
	struct member	*m;
	struct session	*s;

	if (r == NULL)
		return;
	LIST_FOREACH(m, &r->members, by_room) {
		s = m->session;
		if (!m->behind && !session_is_full(s) &&
		    session_mark(s, signals))
			member_send(m, e);
	}
}

/* What changes rights */

static void
member_tell_left(const struct member *m, const char *reason)
{
	struct session	*s = m->session;

	session_send(s, session_dialect(s)->left(s, m->room->name, reason));
}

static const char *
reason_of(const struct entry *e)
{
	return strcmp(e->data, "null") == 0 ? "revoked" : e->data;
}

static void
hub_revoke(struct entry *e)
{
	struct room	*r = member_room(e);
	struct member	*m, *next;

	for (m = r == NULL ? NULL : LIST_FIRST(&r->members); m != NULL;
	    m = next) {
		next = LIST_NEXT(m, by_room);
		if (session_is_user(m->session, e->user)) {
			member_tell_left(m, reason_of(e));
			member_leave(m);
		}
	}
	ops->revoked(e->room, e->user);
}

static void
hub_kick(const struct entry *e)
{
	struct session	*s, *next;
	struct member	*m;

	for (s = session_of(e->user); s != NULL; s = next) {
		next = session_of_next(s);
		LIST_FOREACH(m, session_members(s), by_session)
			member_tell_left(m, "kicked");
		member_leave_all(s);
		ops->kicked(s);
	}
	ops->revoked("", e->user);
}

/* The epoch is another one: everybody starts afresh. */
static void
hub_reset_all(void)
{
	struct session	*s;

	member_begin_era();
	for (s = TAILQ_FIRST(&sessions); s != NULL; s = session_next(s)) {
		/* What was moved and lost may be moved again. */
		session_forget_seen(s);
		member_reset_all(s);
	}
}

void
hub_term(int64_t first)
{
	struct session	*s;

	hub_complete();
	for (s = TAILQ_FIRST(&sessions); s != NULL; s = session_next(s))
		member_begin_term(s, first);
}

void
hub_entry(struct entry *e)
{
	stats_add_to(STAT_EVENTS, e->kind, 1);
	if (e->kind != ENTRY_EVENT && e->kind != ENTRY_RESYNC)
		hub_complete();
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
		log_limited(LOG_CHANNEL, LOG_LEVEL_INFO,
		    "msg=\"not an event on channel pgpush\" payload=%s",
		    log_quote(payload, strlen(payload)));
	else if (cfg->notify_events[0] != '\0' &&
	    !config_list_has(cfg->notify_events, sig.event))
		log_limited(LOG_CHANNEL, LOG_LEVEL_INFO,
		    "msg=\"not in notify_events\" event=%s",
		    log_quote(sig.event, strlen(sig.event)));
	else {
		signals++;
		p.event = sig.event;
		p.data = sig.data;
		p.origin = sig.origin;
		for (i = 0; i < sig.nrooms; i++) {
			p.room = sig.rooms[i];
			stats_add_to(STAT_EVENTS, STAT_SIGNAL, 1);
			e = entry_new(&p);
			hub_signal(e);
			entry_unref(e);
		}
	}
	signal_free(&sig);
}

void
hub_init(const struct config *config, const struct hub_ops *hub_ops)
{
	cfg = config;
	ops = hub_ops;
}
