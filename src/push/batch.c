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
#include "base/xmalloc.h"
#include "db/feed.h"
#include "push/batch.h"

#define BATCH_MAX	256		/* calls, what pgpush.handle takes */
#define STALL_EXTRA_MS	5000		/* over the handlers' own limit */

struct call {
	TAILQ_ENTRY(call)	 entry;
	char			*json;		/* owned */
	batch_done		 done;
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

static const struct pg_stmt handle_stmt = { "handle",
	"SELECT n, answer FROM pgpush.handle($1::jsonb) ORDER BY n", 1 };
static const struct pg_stmt limit_stmt = { NULL,
	"SELECT set_config('statement_timeout', $1, false),"
	" set_config('lock_timeout', $2, false),"
	" set_config('default_transaction_isolation', 'read committed', false)",
	2 };

static void	batch_run(void);

static void
call_end(struct call_list *list, struct call *c, const char *answer)
{
	TAILQ_REMOVE(list, c, entry);
	if (list == &waiting)
		nwaiting--;
	c->done(c->arg, answer);
	free(c->json);
	free(c);
}

const char *
batch_failure(const struct pg_result *res)
{
	const char	*code = pg_code(res);

	/* The time limit; a lock not had; a deadlock; a conflict. */
	if (strcmp(code, "57014") == 0 || strcmp(code, "55P03") == 0 ||
	    strcmp(code, "40P01") == 0 || strcmp(code, "40001") == 0)
		return "{\"error\":{\"code\":\"unavailable\","
		    "\"message\":\"no answer in time\"}}";
	return "{\"error\":{\"code\":\"internal\","
	    "\"message\":\"internal error\"}}";
}

/* A call that fails alone has failed. */
static void
batch_failed(const struct pg_result *res)
{
	struct call	*c = TAILQ_FIRST(&running);

	if (c != NULL && TAILQ_NEXT(c, entry) == NULL) {
		call_end(&running, c, batch_failure(res));
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
		batch_failed(res);
	else
		for (i = 0; (c = TAILQ_FIRST(&running)) != NULL; i++) {
			answer = pg_value(res, i, 1);
			call_end(&running, c, answer == NULL ? "{}" : answer);
		}
	batch_run();
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
batch_run(void)
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
	if (!pg_is_up(pg))
		while ((c = TAILQ_FIRST(&waiting)) != NULL)
			call_end(&waiting, c, NULL);
	batch_run();
}

int
batch_call(const char *json, batch_done done, void *arg)
{
	struct call	*c;

	if (!pg_is_up(pg) || nwaiting >= (size_t)cfg->handler_queue)
		return -1;
	c = xcalloc(1, sizeof(*c));
	c->json = xstrdup(json);
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
	char		 limit[PG_NUMBER_MAX], lock[PG_NUMBER_MAX];
	const char	*params[] = { pg_param(limit, cfg->handler_timeout_ms),
	    pg_param(lock, cfg->lock_timeout_ms) };

	(void)arg;
	(void)pg_send(pg, &limit_stmt, params, NULL, NULL);
	feed_vet(feed, pg);
}

static void
on_down(void *arg)
{
	(void)arg;
	start_timer(0);
}

static const struct pg_ops pg_ops = { on_up, on_down, NULL };

void
batch_init(struct event_base *base, const struct config *config,
    struct feed *f)
{
	struct pg_settings	set = { "batch", config->database,
	    config->reconnect_min_ms, config->reconnect_max_ms,
	    config->handler_timeout_ms + STALL_EXTRA_MS };

	cfg = config;
	feed = f;
	batch_timer = clock_new(base, on_timer, NULL);
	pg = pg_new(base, &set, &pg_ops, NULL);
}

void
batch_exit(void)
{
	struct call	*c;

	pg_free(pg);
	while ((c = TAILQ_FIRST(&waiting)) != NULL)
		call_end(&waiting, c, NULL);
	event_free(batch_timer);
}

bool
batch_is_up(void)
{
	return pg_is_up(pg);
}

bool
batch_is_idle(void)
{
	return TAILQ_EMPTY(&waiting) && TAILQ_EMPTY(&running);
}

void
batch_backends(struct text *out)
{
	if (pg_is_up(pg)) {
		text_add(out, ",");
		text_add_number(out, pg_backend(pg));
	}
}
