/* SPDX-License-Identifier: ISC */

/*
 * The rules are read on the connection for queries.  Calls go to the pool, or
 * to the batch; a call is kept here until its answer.
 */

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/stats.h"
#include "base/xmalloc.h"
#include "db/feed.h"
#include "db/pg.h"
#include "push/batch.h"
#include "push/handler.h"
#include "push/pool.h"
#include "push/session.h"

struct call {
	handler_done	 done;
	void		*arg;
	int64_t		 began_ms;
};

static const struct config	*cfg;
static struct pg		*query;
static struct pool		*pool;
static struct handler		*handlers;
static size_t			 nhandlers;
static bool			 loaded;
static unsigned int		 loading;	/* reads under way */
static void			(*on_loaded)(void);

static const struct pg_stmt handle_stmt = { "handle",
	"SELECT answer FROM pgpush.handle($1::jsonb)", 1 };
static const struct pg_stmt rules_stmt = { "rules",
	"SELECT event, room, member, \"grant\", batch FROM pgpush.handlers()",
	0 };

/* Rules */

static void
free_handlers(void)
{
	while (nhandlers > 0) {
		nhandlers--;
		free(handlers[nhandlers].event);
		free(handlers[nhandlers].room);
	}
	free(handlers);
	handlers = NULL;
}

static void
handler_take(const struct pg_result *res)
{
	struct handler	*h;
	int		 i;

	free_handlers();
	handlers = xcalloc((size_t)pg_rows(res) + 1, sizeof(*handlers));
	for (i = 0; i < pg_rows(res); i++) {
		h = &handlers[nhandlers++];
		h->event = xstrdup(pg_value(res, i, 0));
		if (pg_value(res, i, 1) != NULL)
			h->room = xstrdup(pg_value(res, i, 1));
		h->member = pg_true(res, i, 2);
		h->grant = pg_true(res, i, 3);
		h->batch = pg_true(res, i, 4);
	}
}

static void
on_rules(void *arg, const struct pg_result *res)
{
	(void)arg;
	loading--;
	loaded = pg_ok(res);
	if (loaded)
		handler_take(res);
	else if (res != NULL)
		pg_reset(query, "cannot load the handlers");
	if (loading == 0)
		on_loaded();
}

void
handler_reload(void)
{
	if (pg_send(query, &rules_stmt, NULL, on_rules, NULL) == 0)
		loading++;
	else
		loaded = false;		/* they will be when it is there */
}

const struct handler *
handler_find(const char *event)
{
	size_t	i;

	for (i = 0; i < nhandlers; i++)
		if (strcmp(handlers[i].event, event) == 0)
			return &handlers[i];
	return NULL;
}

/* Calls */

static void
call_end(struct call *c, const char *answer)
{
	stats_add_to(STAT_HANDLERS, answer == NULL ? STAT_ERROR : STAT_OK, 1);
	stats_time(STAT_HANDLER_TIME, (clock_ms() - c->began_ms) * 1000);
	c->done(c->arg, answer);
	free(c);
}

static void
on_answer(void *arg, const struct pg_result *res)
{
	const char	*answer = NULL;

	if (pg_ok(res)) {
		answer = pg_value(res, 0, 0);
		if (answer == NULL)
			answer = "{}";
	} else if (res != NULL)
		answer = batch_failure(res);
	call_end(arg, answer);
}

static void
on_batch_answer(void *arg, const char *answer)
{
	call_end(arg, answer);
}

static char *
call_json(const struct session *s, const char *event, const char *room,
    const char *data, const char *key)
{
	struct text	t = { NULL, 0, 0 };

	text_add(&t, "{\"user\":");
	text_add_string(&t, session_user(s));
	text_add(&t, ",\"session\":");
	text_add_string(&t, session_id(s));
	text_add(&t, ",\"claims\":");
	text_add(&t, session_claims(s));
	text_add(&t, ",\"event\":");
	text_add_string(&t, event);
	text_add(&t, ",\"room\":");
	if (room == NULL)
		text_add(&t, "null");
	else
		text_add_string(&t, room);
	text_add(&t, ",\"data\":");
	text_add(&t, data);
	if (key != NULL) {
		text_add(&t, ",\"key\":");
		text_add_string(&t, key);
	}
	text_add(&t, "}");
	return t.buf;
}

static int
call_pool(const struct session *s, const char *event, const char *json,
    struct call *c)
{
	char		*array = xasprintf("[%s]", json);
	const char	*params[] = { array };
	int		 r = -1;

	if (pool_waiting(pool) < (size_t)cfg->handler_queue &&
	    pool_ask(pool, session_user(s), event, &handle_stmt, params,
	    on_answer, c) != NULL)
		r = 0;
	free(array);
	return r;
}

int
handler_call(const struct session *s, const struct handler *h,
    const char *room, const char *data, const char *key, handler_done done,
    void *arg)
{
	struct call	*c;
	char		*json;
	int		 r;

	if (!loaded)
		return -1;
	c = xcalloc(1, sizeof(*c));
	c->done = done;
	c->arg = arg;
	c->began_ms = clock_ms();
	json = call_json(s, h->event, room, data, key);
	r = h->batch ? batch_call(json, on_batch_answer, c) :
	    call_pool(s, h->event, json, c);
	free(json);
	if (r == -1) {
		stats_add_to(STAT_HANDLERS, STAT_QUEUE_FULL, 1);
		free(c);
	}
	return r;
}

/* The beginning and the end */

static void
on_pool(void)
{
	on_loaded();
}

void
handler_init(struct event_base *base, const struct config *config,
    struct feed *feed, struct pg *pg, void (*when_loaded)(void))
{
	struct pool_settings	set = { "handlers", config->handler_connections,
	    config->handler_slow_ms, config->handler_timeout_ms,
	    config->lock_timeout_ms, on_pool };

	cfg = config;
	query = pg;
	on_loaded = when_loaded;
	pool = pool_new(base, config, feed, query, &set);
	batch_init(base, config, feed);
}

void
handler_exit(void)
{
	pool_free(pool);
	batch_exit();
	free_handlers();
}

bool
handler_is_up(void)
{
	return loaded && pool_is_up(pool) && batch_is_up();
}

bool
handler_is_loading(void)
{
	return loading > 0;
}

void
handler_backends(struct text *out)
{
	pool_backends(pool, out);
	batch_backends(out);
}

bool
handler_is_idle(void)
{
	return pool_is_idle(pool) && batch_is_idle();
}
