/* SPDX-License-Identifier: ISC */

/*
 * Calls wait in one queue; the batch under way is a list of its own.  A batch
 * that fails as a whole (a deferred constraint, the time limit) had no effect,
 * so its calls are tried again one by one, and only the guilty one fails.
 */

#include <sys/queue.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "db/feed.h"
#include "push/handler.h"
#include "base/stats.h"
#include "base/log.h"
#include "db/pg.h"
#include "base/text.h"
#include "push/session.h"
#include "base/xmalloc.h"

#define BATCH_MAX	256		/* calls, what pgpush.handle takes */
#define STALL_EXTRA_MS	5000		/* over the handlers' own limit */

struct call {
	TAILQ_ENTRY(call)	 entry;
	char			*json;		/* owned */
	handler_done		 done;
	void			*arg;
	bool			 alone;		/* not in a batch again */
};
TAILQ_HEAD(call_list, call);

static const struct config	*cfg;
static struct feed		*feed;
static struct pg		*pg;
static struct event		*batch_timer;
static struct call_list		 waiting = TAILQ_HEAD_INITIALIZER(waiting);
static struct call_list		 running = TAILQ_HEAD_INITIALIZER(running);
static size_t			 nwaiting;
static int64_t			 last_batch_ms;
static struct handler		*handlers;
static size_t			 nhandlers;
static bool			 loaded;
static unsigned int		 loading;	/* reads under way */
static void			(*on_loaded)(void);

static const struct pg_stmt handle_stmt = { "handle",
	"SELECT n, answer FROM pgpush.handle($1::jsonb) ORDER BY n", 1 };
static const struct pg_stmt rules_stmt = { "rules",
	"SELECT event, room, member, \"grant\" FROM pgpush.handlers()", 0 };
static const struct pg_stmt limit_stmt = { NULL,
	"SELECT set_config('statement_timeout', $1, false),"
	" set_config('default_transaction_isolation', 'read committed', false)",
	1 };

static void	handler_run(void);

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
on_rules(void *arg, const struct pg_result *res)
{
	struct handler	*h;
	int		 i;

	(void)arg;
	if (res == NULL)
		return;
	if (!pg_ok(res)) {
		pg_reset(pg, "cannot load the handlers");
		return;
	}
	free_handlers();
	handlers = xcalloc((size_t)pg_rows(res) + 1, sizeof(*handlers));
	for (i = 0; i < pg_rows(res); i++) {
		h = &handlers[nhandlers++];
		h->event = xstrdup(pg_value(res, i, 0));
		if (pg_value(res, i, 1) != NULL)
			h->room = xstrdup(pg_value(res, i, 1));
		h->member = pg_true(res, i, 2);
		h->grant = pg_true(res, i, 3);
	}
	loaded = true;
	if (--loading == 0)
		on_loaded();
}

void
handler_reload(void)
{
	if (pg_send(pg, &rules_stmt, NULL, on_rules, NULL) == 0)
		loading++;
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
call_end(struct call_list *list, struct call *c, const char *answer)
{
	TAILQ_REMOVE(list, c, entry);
	if (list == &waiting)
		nwaiting--;
	stats_add_to(STAT_HANDLERS, answer == NULL ? STAT_ERROR : STAT_OK, 1);
	c->done(c->arg, answer);
	free(c->json);
	free(c);
}

/* Whose call fails alone, fails. */
static void
batch_failed(void)
{
	static const char	 internal[] = "{\"error\":"
	    "{\"code\":\"internal\",\"message\":\"internal error\"}}";
	struct call		*c = TAILQ_FIRST(&running);

	if (c != NULL && TAILQ_NEXT(c, entry) == NULL) {
		call_end(&running, c, internal);
		return;
	}
	while ((c = TAILQ_LAST(&running, call_list)) != NULL) {
		TAILQ_REMOVE(&running, c, entry);
		c->alone = true;
		TAILQ_INSERT_HEAD(&waiting, c, entry);
		nwaiting++;
	}
	last_batch_ms = 0;
}

static void
batch_lost(void)
{
	struct call	*c;

	while ((c = TAILQ_FIRST(&running)) != NULL)
		call_end(&running, c, NULL);
}

static void
on_batch(void *arg, const struct pg_result *res)
{
	struct call	*c;
	const char	*answer;
	int		 i;

	(void)arg;
	if (res == NULL)
		batch_lost();
	else if (!pg_ok(res))
		batch_failed();
	else
		for (i = 0; (c = TAILQ_FIRST(&running)) != NULL; i++) {
			answer = pg_value(res, i, 1);
			call_end(&running, c, answer == NULL ? "{}" : answer);
		}
	handler_run();
}

/* Move the next calls to running, as one JSON array. */
static char *
batch_take(void)
{
	struct text	 t = { NULL, 0, 0 };
	struct call	*c;
	int		 n = 0;

	while ((c = TAILQ_FIRST(&waiting)) != NULL && n < BATCH_MAX &&
	    (n == 0 || !c->alone)) {
		text_add(&t, n++ == 0 ? "[" : ",");
		text_add(&t, c->json);
		TAILQ_REMOVE(&waiting, c, entry);
		nwaiting--;
		TAILQ_INSERT_TAIL(&running, c, entry);
		if (c->alone)
			break;
	}
	text_add(&t, "]");
	return t.buf;
}

static void
start_timer(int64_t ms)
{
	if (!evtimer_pending(batch_timer, NULL))
		clock_start(batch_timer, ms);
}

/* Send the next batch, now or when the interval has passed. */
static void
handler_run(void)
{
	int64_t		 now = clock_ms();
	char		*batch;
	const char	*params[1];

	if (TAILQ_EMPTY(&waiting) || !TAILQ_EMPTY(&running))
		return;
	if (now - last_batch_ms < cfg->handler_interval_ms) {
		start_timer(last_batch_ms + cfg->handler_interval_ms - now);
		return;
	}
	last_batch_ms = now;
	batch = batch_take();
	params[0] = batch;
	if (pg_send(pg, &handle_stmt, params, on_batch, NULL) == -1)
		batch_lost();
	free(batch);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct call	*c;

	(void)fd;
	(void)what;
	(void)arg;
	if (!handler_is_up())
		while ((c = TAILQ_FIRST(&waiting)) != NULL)
			call_end(&waiting, c, NULL);
	handler_run();
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

int
handler_call(const struct session *s, const char *event, const char *room,
    const char *data, const char *key, handler_done done, void *arg)
{
	struct call	*c;

	if (!loaded || nwaiting >= (size_t)cfg->handler_queue)
		return -1;
	c = xcalloc(1, sizeof(*c));
	c->json = call_json(s, event, room, data, key);
	c->done = done;
	c->arg = arg;
	TAILQ_INSERT_TAIL(&waiting, c, entry);
	nwaiting++;
	/* From the loop: the answer must not come before we return. */
	start_timer(0);
	return 0;
}

/* The connection */

static void
on_up(void *arg)
{
	char		*limit;
	const char	*params[1];

	(void)arg;
	limit = xasprintf("%" PRId64, cfg->handler_timeout_ms);
	params[0] = limit;
	(void)pg_send(pg, &limit_stmt, params, NULL, NULL);
	free(limit);
	feed_vet(feed, pg);
	handler_reload();
}

static void
on_down(void *arg)
{
	(void)arg;
	loaded = false;
	loading = 0;
	on_loaded();
	start_timer(0);
}

static const struct pg_ops pg_ops = { on_up, on_down, NULL };

void
handler_init(struct event_base *base, const struct config *config,
    struct feed *f, void (*when_loaded)(void))
{
	struct pg_settings	set = { "handlers", config->database,
	    config->reconnect_min_ms, config->reconnect_max_ms,
	    config->handler_timeout_ms + STALL_EXTRA_MS };

	cfg = config;
	feed = f;
	on_loaded = when_loaded;
	batch_timer = clock_new(base, on_timer, NULL);
	pg = pg_new(base, &set, &pg_ops, NULL);
}

void
handler_exit(void)
{
	struct call	*c;

	pg_free(pg);
	while ((c = TAILQ_FIRST(&waiting)) != NULL)
		call_end(&waiting, c, NULL);
	event_free(batch_timer);
	free_handlers();
}

bool
handler_is_up(void)
{
	return loaded;
}

bool
handler_is_loading(void)
{
	return loading > 0;
}

int
handler_backend(void)
{
	return pg_backend(pg);
}

bool
handler_is_idle(void)
{
	return TAILQ_EMPTY(&waiting) && TAILQ_EMPTY(&running);
}
