/* SPDX-License-Identifier: ISC */

/*
 * Sessions that opened, closed or changed rooms are collected for a moment and
 * written with one statement, one at a time.  A session that came and went in
 * that moment is never written.  If the statement fails, or the connection is a
 * new one, the next statement replaces all rows of this node: the table may be
 * empty after a crash of the server.
 */

#include <event2/event.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "db/pg.h"
#include "push/presence.h"
#include "base/text.h"
#include "push/room.h"
#include "push/session.h"
#include "base/stats.h"
#include "base/xmalloc.h"

#define BATCH_MS	50
#define RETRY_MS	1000		/* after one that failed */

static struct pg	*query;
static const char	*node;
static struct event	*timer;
static struct text	 closed;	/* elements of an array, with commas */
static bool		 fresh;		/* write all */
static bool		 pending;	/* sessions are marked as changed */
static bool		 writing;	/* a statement is under way */

static const struct pg_stmt write_stmt = { "sessions",
	"SELECT pgpush.sessions_write($1, $2::jsonb, $3::text[], $4::boolean, "
	"$5::jsonb)", 5 };

static void
start_timer(void)
{
	if (!evtimer_pending(timer, NULL))
		clock_start(timer, BATCH_MS);
}

/* A member of a JSON object: its name with the colon, then the value. */
static void
add_member(struct text *t, const char *name, const char *value)
{
	text_add(t, name);
	text_add_string(t, value);
}

/* Begin a session's object, with its rooms. */
static void
add_rooms(struct text *t, struct session *s)
{
	char	*rooms = room_names(s);

	add_member(t, t->len == 0 ? "{\"session\":" : ",{\"session\":",
	    session_id(s));
	text_add(t, ",\"rooms\":");
	text_add(t, rooms);
	free(rooms);
}

/* The object of a session that has no row yet. */
static void
add_opened(struct text *t, struct session *s)
{
	char		since[32], dialect[32];
	struct tm	tm;
	time_t		at = (time_t)session_since(s);

	(void)gmtime_r(&at, &tm);
	(void)strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", &tm);
	stats_label(STAT_SESSIONS, session_dialect(s)->label, dialect,
	    sizeof(dialect));
	add_rooms(t, s);
	add_member(t, ",\"user\":", session_user(s));
	add_member(t, ",\"address\":", session_address(s));
	add_member(t, ",\"dialect\":", dialect);
	add_member(t, ",\"since\":", since);
	text_add(t, "}");
	session_set_stored(s, true);
}

/* The sessions to write: all of them if the rows are to be replaced. */
static void
collect(struct text *opened, struct text *changed)
{
	struct session	*s;

	if (fresh)
		for (s = TAILQ_FIRST(&sessions); s != NULL;
		    s = session_next(s))
			add_opened(opened, s);
	while ((s = session_take_changed()) != NULL) {
		if (fresh)
			continue;
		if (!session_is_stored(s))
			add_opened(opened, s);
		else {
			add_rooms(changed, s);
			text_add(changed, "}");
		}
	}
}

static void
clear(struct text *t)
{
	free(t->buf);
	memset(t, 0, sizeof(*t));
}

static void
on_written(void *arg, const struct pg_result *res)
{
	(void)arg;
	writing = false;
	if (!pg_ok(res)) {
		fresh = true;
		clock_start(timer, RETRY_MS);
	} else if (fresh || pending || closed.len > 0)
		start_timer();
}

/* A JSON array of the objects, or an array of PostgreSQL; frees the text. */
static char *
enclose(struct text *t, const char *format)
{
	char	*all = xasprintf(format, t->len == 0 ? "" : t->buf);

	clear(t);
	return all;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct text	 opened = { NULL, 0, 0 }, changed = { NULL, 0, 0 };
	char		*text[3];
	const char	*params[5];
	size_t		 i;

	(void)fd;
	(void)what;
	(void)arg;
	if (!pg_is_up(query) || writing)
		return;		/* presence_renew or on_written will be called */
	collect(&opened, &changed);
	pending = false;
	if (fresh)
		clear(&closed);
	params[0] = node;
	params[1] = text[0] = enclose(&opened, "[%s]");
	params[2] = text[1] = enclose(&closed, "{%s}");
	params[3] = fresh ? "true" : "false";
	params[4] = text[2] = enclose(&changed, "[%s]");
	fresh = false;
	writing = pg_send(query, &write_stmt, params, on_written, NULL) == 0;
	if (!writing)
		fresh = true;
	for (i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		free(text[i]);
}

static void
on_changed(void)
{
	pending = true;
	start_timer();
}

void
presence_closed(struct session *s)
{
	if (!session_is_stored(s))
		return;
	if (closed.len > 0)
		text_add(&closed, ",");
	text_add_string(&closed, session_id(s));
	start_timer();
}

void
presence_renew(void)
{
	fresh = true;
	clock_start(timer, BATCH_MS);
}

void
presence_init(struct event_base *base, struct pg *pg, const char *name)
{
	query = pg;
	node = name;
	timer = clock_new(base, on_timer, NULL);
	session_on_changed(on_changed);
}

void
presence_exit(void)
{
	clear(&closed);
	event_free(timer);
}
