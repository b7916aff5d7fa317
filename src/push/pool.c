/* SPDX-License-Identifier: ISC */

/*
 * A line is one connection with the statement that runs on it.  Nothing else
 * is ever in flight there, so that a statement can be cancelled by the number
 * of its backend: the line is free again when both the statement and the
 * cancelling have been answered.
 */

#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "db/feed.h"
#include "push/fair.h"
#include "push/pool.h"

#define STALL_EXTRA_MS	5000		/* over the statement's own limit */

struct line {
	struct pool	*pool;
	struct pg	*pg;
	struct ask	*ask;		/* runs; NULL: none */
	bool		 is_cancelling;
};

struct ask {
	struct turn		 turn;		/* first: a turn is an ask */
	struct pool		*pool;
	struct line		*line;		/* NULL: it waits */
	const struct pg_stmt	*stmt;
	char			*params[PG_PARAMS_MAX];	/* owned */
	pg_done			 done;		/* NULL: withdrawn */
	void			*arg;
};

struct pool {
	struct pool_settings	 set;
	const struct config	*cfg;
	struct feed		*feed;
	struct pg		*cancels;
	struct fair		*fair;
	struct event		*run_event;
	struct line		*lines;
	unsigned int		 nlines;
	unsigned int		 nup;
};

static const struct pg_stmt settings_stmt = { NULL,
	"SELECT set_config('statement_timeout', $1, false),"
	" set_config('lock_timeout', $2, false), set_config('jit', 'off', false),"
	" set_config('default_transaction_isolation', 'read committed', false)",
	2 };
static const struct pg_stmt cancel_stmt = { "cancel",
	"SELECT pg_cancel_backend($1::int)", 1 };

static void
ask_free(struct ask *a)
{
	int	i;

	fair_end(a->pool->fair, &a->turn, clock_ms());
	if (a->line != NULL)
		a->line->ask = NULL;
	for (i = 0; i < PG_PARAMS_MAX; i++)
		free(a->params[i]);
	free(a);
}

static void
ask_answer(struct ask *a, const struct pg_result *res)
{
	pg_done	 done = a->done;
	void	*arg = a->arg;

	ask_free(a);
	if (done != NULL)
		done(arg, res);
}

static void
pool_run_soon(struct pool *p)
{
	event_active(p->run_event, EV_TIMEOUT, 1);
}

static void
on_done(void *arg, const struct pg_result *res)
{
	struct ask	*a = arg;
	struct pool	*p = a->pool;

	ask_answer(a, res);
	pool_run_soon(p);
}

static struct line *
pool_free_line(struct pool *p)
{
	unsigned int	i;

	for (i = 0; i < p->nlines; i++)
		if (p->lines[i].ask == NULL && !p->lines[i].is_cancelling &&
		    pg_is_up(p->lines[i].pg))
			return &p->lines[i];
	return NULL;
}

/* Begin what may run now. */
static void
pool_run(struct pool *p)
{
	struct line	*l;
	struct ask	*a;

	while ((l = pool_free_line(p)) != NULL && (a = (struct ask *)(void *)
	    fair_next(p->fair, clock_ms())) != NULL) {
		a->line = l;
		l->ask = a;
		if (pg_send(l->pg, a->stmt, (const char *const *)a->params,
		    on_done, a) == -1)
			ask_answer(a, NULL);
	}
}

static void
pool_on_run(evutil_socket_t fd, short what, void *arg)
{
	struct pool	*p = arg;
	struct turn	*t;

	(void)fd;
	(void)what;
	while (p->nup == 0 && (t = fair_any(p->fair)) != NULL)
		ask_answer((struct ask *)(void *)t, NULL);
	pool_run(p);
}

struct ask *
pool_ask(struct pool *p, const char *user, const char *kind,
    const struct pg_stmt *stmt, const char *const *params, pg_done done,
    void *arg)
{
	struct ask	*a;
	int		 i;

	if (p->nup == 0)
		return NULL;
	a = xcalloc(1, sizeof(*a));
	a->pool = p;
	a->stmt = stmt;
	for (i = 0; i < stmt->nparams; i++)
		a->params[i] = params[i] == NULL ? NULL : xstrdup(params[i]);
	a->done = done;
	a->arg = arg;
	fair_add(p->fair, &a->turn, user, kind);
	/* From the loop: the answer must not come before we return. */
	pool_run_soon(p);
	return a;
}

static void
on_cancelled(void *arg, const struct pg_result *res)
{
	struct line	*l = arg;

	(void)res;
	l->is_cancelling = false;
	pool_run_soon(l->pool);
}

void
pool_withdraw(struct ask *a)
{
	char		 pid[PG_NUMBER_MAX];
	const char	*params[1];
	struct line	*l = a->line;

	a->done = NULL;
	if (l == NULL) {
		ask_free(a);
		return;
	}
	/* Or it would end what else is in flight. */
	if (pg_outstanding(l->pg) != 1)
		return;
	params[0] = pg_param(pid, pg_backend(l->pg));
	log_debug("db=%s msg=\"statement withdrawn\" backend=%s",
	    a->pool->set.name, pid);
	l->is_cancelling = pg_send(a->pool->cancels, &cancel_stmt, params,
	    on_cancelled, l) == 0;
}

/* Connections */

static void
line_on_up(void *arg)
{
	struct line	*l = arg;
	struct pool	*p = l->pool;
	char		 limit[PG_NUMBER_MAX], lock[PG_NUMBER_MAX];
	const char	*params[] = { pg_param(limit, p->set.timeout_ms),
	    pg_param(lock, p->set.lock_timeout_ms) };

	(void)pg_send(l->pg, &settings_stmt, params, NULL, NULL);
	feed_vet(p->feed, l->pg);
	if (p->nup++ == 0 && p->set.changed != NULL)
		p->set.changed();
	pool_run_soon(p);
}

static void
line_on_down(void *arg)
{
	struct line	*l = arg;
	struct pool	*p = l->pool;

	if (--p->nup == 0 && p->set.changed != NULL)
		p->set.changed();
	pool_run_soon(p);
}

static const struct pg_ops line_ops = { line_on_up, line_on_down, NULL };

struct pool *
pool_new(struct event_base *base, const struct config *cfg, struct feed *feed,
    struct pg *cancels, const struct pool_settings *set)
{
	struct pg_settings	 pgset = { set->name, cfg->database,
	    cfg->reconnect_min_ms, cfg->reconnect_max_ms,
	    set->timeout_ms + STALL_EXTRA_MS };
	struct pool		*p = xcalloc(1, sizeof(*p));
	unsigned int		 i;

	p->set = *set;
	p->cfg = cfg;
	p->feed = feed;
	p->cancels = cancels;
	p->nlines = (unsigned int)set->connections;
	p->fair = fair_new(p->nlines, set->slow_ms);
	p->run_event = clock_new(base, pool_on_run, p);
	p->lines = xcalloc(p->nlines, sizeof(*p->lines));
	for (i = 0; i < p->nlines; i++) {
		p->lines[i].pool = p;
		p->lines[i].pg = pg_new(base, &pgset, &line_ops, &p->lines[i]);
	}
	return p;
}

void
pool_free(struct pool *p)
{
	struct turn	*t;
	unsigned int	 i;

	p->set.changed = NULL;
	for (i = 0; i < p->nlines; i++)
		pg_free(p->lines[i].pg);
	while ((t = fair_any(p->fair)) != NULL)
		ask_answer((struct ask *)(void *)t, NULL);
	event_free(p->run_event);
	fair_free(p->fair);
	free(p->lines);
	free(p);
}

bool
pool_is_up(const struct pool *p)
{
	return p->nup > 0;
}

bool
pool_is_idle(const struct pool *p)
{
	unsigned int	i;

	for (i = 0; i < p->nlines; i++)
		if (p->lines[i].ask != NULL)
			return false;
	return fair_waiting(p->fair) == 0;
}

size_t
pool_waiting(const struct pool *p)
{
	return fair_waiting(p->fair);
}

void
pool_backends(const struct pool *p, struct text *out)
{
	unsigned int	i;

	for (i = 0; i < p->nlines; i++)
		if (pg_is_up(p->lines[i].pg)) {
			text_add(out, ",");
			text_add_number(out, pg_backend(p->lines[i].pg));
		}
}
