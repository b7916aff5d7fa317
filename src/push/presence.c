/* SPDX-License-Identifier: ISC */

/*
 * Sessions that opened and closed are collected for a moment and written with
 * one statement, one at a time.  If that fails, or the connection is a new one,
 * the next statement replaces all rows of this node: the table may be empty
 * after a crash of the server.
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
#include "push/session.h"
#include "base/xmalloc.h"

#define BATCH_MS	50
#define RETRY_MS	1000		/* after one that failed */

static struct pg	*query;
static const char	*node;
static struct event	*timer;
static struct text	 opened;	/* JSON objects, joined by commas */
static struct text	 closed;	/* an array's elements, joined so */
static bool		 fresh;		/* write all */
static bool		 writing;	/* a statement is under way */

static const struct pg_stmt write_stmt = { "sessions",
	"SELECT pgpush.sessions_write($1, $2::jsonb, $3::text[], $4::boolean)",
	4 };

static void
start_timer(void)
{
	if (!evtimer_pending(timer, NULL))
		clock_start(timer, BATCH_MS);
}

static void
add_opened(struct session *s)
{
	char		since[32];
	struct tm	tm;
	time_t		t = (time_t)session_since(s);

	(void)gmtime_r(&t, &tm);
	(void)strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", &tm);
	text_add(&opened, opened.len == 0 ? "{\"session\":" :
	    ",{\"session\":");
	text_add_string(&opened, session_id(s));
	text_add(&opened, ",\"user\":");
	text_add_string(&opened, session_user(s));
	text_add(&opened, ",\"address\":");
	text_add_string(&opened, session_address(s));
	text_add(&opened, ",\"since\":");
	text_add_string(&opened, since);
	text_add(&opened, "}");
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
	} else if (fresh || opened.len > 0 || closed.len > 0)
		start_timer();
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct session	*s;
	char		*all, *gone;
	const char	*params[4];

	(void)fd;
	(void)what;
	(void)arg;
	if (!pg_is_up(query) || writing)
		return;		/* presence_renew or on_written will be called */
	if (fresh) {
		clear(&opened);
		clear(&closed);
		for (s = TAILQ_FIRST(&sessions); s != NULL;
		    s = session_next(s))
			add_opened(s);
	}
	all = xasprintf("[%s]", opened.len == 0 ? "" : opened.buf);
	gone = xasprintf("{%s}", closed.len == 0 ? "" : closed.buf);
	params[0] = node;
	params[1] = all;
	params[2] = gone;
	params[3] = fresh ? "true" : "false";
	fresh = false;
	writing = pg_send(query, &write_stmt, params, on_written, NULL) == 0;
	if (!writing)
		fresh = true;
	clear(&opened);
	clear(&closed);
	free(all);
	free(gone);
}

void
presence_opened(struct session *s)
{
	add_opened(s);
	start_timer();
}

void
presence_closed(struct session *s)
{
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
}

void
presence_exit(void)
{
	clear(&opened);
	clear(&closed);
	event_free(timer);
}
