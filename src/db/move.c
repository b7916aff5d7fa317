/* SPDX-License-Identifier: ISC */

/*
 * A move carries a hint: the snapshot that the last complete move on the same
 * connection returned.  What that one saw is gone, so that only rows of
 * transactions that were under way then, or began later, are looked for in the
 * index.  A wrong hint delays, it cannot lose.
 */

#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/xmalloc.h"
#include "db/feed.h"
#include "db/move.h"

#define BULK_FACTOR	10

struct move {
	const struct config	*cfg;	/* outlives us */
	bool			 bulk;	/* the last one was full */
	bool			 bulk_sent;
	char			*xmax;	/* the hint; owned, NULL: none */
	char			*xips;
};

#define MOVE_ROWS							\
	"WITH s AS MATERIALIZED (SELECT pg_current_snapshot() AS snap)," \
	" d AS (DELETE FROM pgpush.outbox WHERE ctid = ANY (ARRAY("	\
	"   SELECT place FROM (SELECT place, n,"			\
	"      sum(bytes) OVER (ORDER BY n) - bytes AS before"		\
	"     FROM (SELECT ctid AS place, id AS n, bytes"		\
	"         FROM pgpush.outbox"					\
	"         WHERE xid >= $2::xid8 OR xid = ANY ($3::xid8[])"	\
	"         ORDER BY id LIMIT $4::bigint) o) w"			\
	"    WHERE before < $5::bigint ORDER BY n))"			\
	"   RETURNING *),"						\
	" i AS (INSERT INTO pgpush.log (id, kind, room, event, data,"	\
	"     user_id, origin, dup, bytes, at)"				\
	"   SELECT nextval('pgpush.log_id_seq'), kind, room, event, data," \
	"     user_id, origin, dup, bytes, at"				\
	"   FROM (SELECT * FROM d ORDER BY id) q RETURNING *) "

/* Milliseconds from now; negative: late; NULL: never. */
#define MS_UNTIL(t)							\
	"ceil(extract(epoch FROM " t " - clock_timestamp()) * 1000)::bigint"

static const struct pg_stmt move_stmt = { "move", MOVE_ROWS
	"SELECT s.snap, (SELECT " MS_UNTIL("min(due)") " FROM pgpush.held),"
	" i.* FROM s LEFT JOIN"
	" (SELECT " FEED_COLUMNS " FROM i) i ON true ORDER BY i.id", 5 };

/* A backlog: as many as the limits say, and none of them in the answer. */
static const struct pg_stmt bulk_stmt = { "bulk", MOVE_ROWS
	"SELECT count(*), sum(bytes), $1::bigint FROM i", 5 };

struct move *
move_new(const struct config *cfg)
{
	struct move	*m = xcalloc(1, sizeof(*m));

	m->cfg = cfg;
	return m;
}

void
move_free(struct move *m)
{
	if (m == NULL)
		return;
	move_forget(m);
	free(m);
}

void
move_forget(struct move *m)
{
	free(m->xmax);
	free(m->xips);
	m->xmax = m->xips = NULL;
}

void
move_restart(struct move *m)
{
	move_forget(m);
	m->bulk = false;
}

/* Keep a snapshot, "xmin:xmax:xip,xip", as the hint for the next move. */
static void
move_keep_hint(struct move *m, const char *snap)
{
	const char	*xmax, *xips;

	move_forget(m);
	if (snap == NULL || (xmax = strchr(snap, ':')) == NULL ||
	    (xips = strchr(++xmax, ':')) == NULL)
		return;
	m->xmax = xmemdup(xmax, (size_t)(xips - xmax));
	m->xips = xasprintf("{%s}", xips + 1);
}

int
move_send(struct move *m, struct pg *pg, pg_done done, void *arg)
{
	int64_t		 factor = m->bulk ? BULK_FACTOR : 1;
	char		 max[PG_NUMBER_MAX], limit[PG_NUMBER_MAX],
			 bytes[PG_NUMBER_MAX];
	const char	*params[] = { pg_param(max, m->cfg->max_event),
	    m->xmax == NULL ? "0" : m->xmax, m->xips == NULL ? "{}" : m->xips,
	    pg_param(limit, m->cfg->move_limit * factor),
	    pg_param(bytes, m->cfg->move_bytes * factor) };

	m->bulk_sent = m->bulk;
	return pg_send(pg, m->bulk ? &bulk_stmt : &move_stmt, params, done,
	    arg);
}

static int64_t
moved_bytes(const struct pg_result *res)
{
	int64_t	sum = 0;
	int	i;

	for (i = 0; i < pg_rows(res); i++)
		sum += pg_number(res, i, MOVE_COLUMN + FEED_BYTES);
	return sum;
}

static struct moved
move_done_bulk(const struct move *m, const struct pg_result *res)
{
	struct moved	 d = { .is_bulk = true };
	int64_t		 n = pg_number(res, 0, 0);

	d.found = n > 0;
	d.full = n >= m->cfg->move_limit * BULK_FACTOR ||
	    pg_number(res, 0, 1) >= m->cfg->move_bytes * BULK_FACTOR;
	return d;
}

struct moved
move_done(struct move *m, const struct pg_result *res)
{
	struct moved	d = { .is_bulk = false };

	if (m->bulk_sent) {
		d = move_done_bulk(m, res);
		m->bulk = d.full;
		return d;
	}
	d.found = pg_value(res, 0, MOVE_COLUMN) != NULL;
	d.full = d.found && (pg_rows(res) >= m->cfg->move_limit ||
	    moved_bytes(res) >= m->cfg->move_bytes);
	if (d.full)
		move_forget(m);
	else
		move_keep_hint(m, pg_value(res, 0, 0));
	d.has_due = pg_value(res, 0, 1) != NULL;
	d.due_ms = pg_number(res, 0, 1);
	m->bulk = d.full;
	return d;
}
