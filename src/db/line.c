/* SPDX-License-Identifier: ISC */

/*
 * The session: a leader that hangs must lose its locks (idle_session_timeout,
 * and tcp_user_timeout if the server is just writing to it); the move's flush
 * makes safe the asynchronous commits that it saw; and its plan must not change
 * with the statistics of a table that is mostly empty.
 */

#include <stdlib.h>

#include "base/config.h"
#include "base/xmalloc.h"
#include "db/line.h"

#define STALL_MS	30000

struct line {
	const struct line_ops	*ops;		/* outlives us */
	void			*arg;
	enum line_kind		 kind;
	struct pg		*pg;		/* owned */
	unsigned int		 step;		/* of listening */
	bool			 busy;
	bool			 started;
};

/* What every session of ours has set. */
#define SESSION								\
	"SELECT set_config(name, value, false) FROM (VALUES"		\
	" ('tcp_user_timeout', '20s'), ('jit', 'off'),"			\
	" ('default_transaction_isolation', 'read committed'),"		\
	" ('search_path', 'pg_catalog, pg_temp'),"
#define SESSION_LOG							\
	" ('synchronous_commit', 'on'), ('enable_seqscan', 'off'),"	\
	" ('statement_timeout', '0'), ('lock_timeout', '0'),"		\
	" ('plan_cache_mode', 'force_generic_plan'),"
#define SESSION_END	" AS s (name, value)"

static const struct pg_stmt session_stmts[] = {
	[LINE_MAIN] = { NULL, SESSION SESSION_LOG
	    " ('idle_session_timeout', '10s'))" SESSION_END, 0 },
	[LINE_REPLICA] = { NULL, SESSION SESSION_LOG
	    " ('idle_session_timeout', '0'))" SESSION_END, 0 },
	[LINE_RENDER] = { NULL, SESSION
	    " ('statement_timeout', '500ms'), ('lock_timeout', '100ms'),"
	    " ('idle_session_timeout', '0'))" SESSION_END, 0 },
};
static const char *const names[] = { "feed", "replica", "render" };

static const struct pg_stmt listen_stmts[] = {
	{ NULL, "LISTEN pgpush", 0 },
	{ NULL, "LISTEN pgpush_log", 0 },
};
#define LISTENS	(sizeof(listen_stmts) / sizeof(listen_stmts[0]))

static void
line_stepped(void *arg, const struct pg_result *res)
{
	struct line	*l = arg;

	if (!line_answered(l, res))
		return;
	if (l->kind == LINE_MAIN && l->step < LISTENS) {
		line_sent(l, pg_send(l->pg, &listen_stmts[l->step++], NULL,
		    line_stepped, l));
		return;
	}
	l->started = true;
	l->ops->started(l->arg);
}

static void
line_up(void *arg)
{
	struct line	*l = arg;

	l->step = 0;
	line_sent(l, pg_send(l->pg, &session_stmts[l->kind], NULL,
	    line_stepped, l));
}

static void
line_down(void *arg)
{
	struct line	*l = arg;

	l->busy = l->started = false;
	l->ops->down(l->arg);
}

static void
line_notify(void *arg, const char *channel, const char *payload, int pid)
{
	struct line	*l = arg;

	if (l->ops->notify != NULL)
		l->ops->notify(l->arg, channel, payload, pid);
}

static const struct pg_ops line_pg_ops = { line_up, line_down, line_notify };

struct line *
line_new(struct event_base *base, const struct config *cfg,
    enum line_kind kind, const struct line_ops *ops, void *arg)
{
	struct pg_settings	 set = { names[kind], kind == LINE_REPLICA ?
	    cfg->follow_dsn : cfg->database, cfg->reconnect_min_ms,
	    cfg->reconnect_max_ms, STALL_MS };
	struct line		*l = xcalloc(1, sizeof(*l));

	l->ops = ops;
	l->arg = arg;
	l->kind = kind;
	l->pg = pg_new(base, &set, &line_pg_ops, l);
	return l;
}

void
line_free(struct line *l)
{
	if (l == NULL)
		return;
	pg_free(l->pg);
	free(l);
}

struct pg *
line_pg(const struct line *l)
{
	return l->pg;
}

bool
line_is_started(const struct line *l)
{
	return l->started;
}

bool
line_is_free(const struct line *l)
{
	return l->started && !l->busy && pg_is_up(l->pg);
}

void
line_sent(struct line *l, int status)
{
	l->busy = status == 0;
}

bool
line_answered(struct line *l, const struct pg_result *res)
{
	l->busy = false;
	if (res == NULL)
		return false;		/* down: the connection is gone */
	if (pg_ok(res))
		return true;
	/* Not ours to repair; try again from the start, a little later. */
	pg_reset(l->pg, "a statement of the feed failed");
	return false;
}
