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
#define INLINE_MAX	16384	/* bytes of data: more is read from the log */

struct move {
	const struct config	*cfg;	/* outlives us */
	bool			 bulk;	/* the last one was full */
	bool			 bulk_sent;
	char			*xmax;	/* the hint; owned, NULL: none */
	char			*xips;
};

/* More than an event: held, released, lost, or not fit for the log. */
#define ODD								\
	"(key IS NOT NULL OR recheck IS NOT NULL OR lost IS NOT NULL"	\
	" OR room IS NULL OR octet_length(room) > 200)"

#define MOVE_ROWS							\
	"WITH s AS MATERIALIZED (SELECT pg_current_snapshot() AS snap)," \
	" b AS MATERIALIZED (SELECT place, n, odd,"			\
	"   sum(size) OVER (ORDER BY n) - size AS before FROM ("	\
	"    SELECT ctid AS place, id AS n, " ODD " AS odd,"		\
	"     coalesce(octet_length(data::text), 0) AS size"		\
	"    FROM pgpush.outbox"					\
	"    WHERE xid >= $2::xid8 OR xid = ANY ($3::xid8[])"		\
	"    ORDER BY id LIMIT $4::bigint) o),"				\
	" d AS (DELETE FROM pgpush.outbox WHERE ctid = ANY (ARRAY("	\
	"   SELECT place FROM b WHERE before < $5::bigint AND n <"	\
	"    coalesce((SELECT min(n) FROM b WHERE odd),"		\
	"     9223372036854775807) ORDER BY n))"			\
	"   RETURNING *),"						\
	" i AS (INSERT INTO pgpush.log (id, kind, room, event, data,"	\
	"     user_id, origin, dup, bytes, xid, source, src, at)"	\
	"   SELECT nextval('pgpush.log_id_seq'), kind, room,"		\
	"     coalesce(event, ''), data, user_id,"			\
	"     CASE WHEN others THEN origin END, dup,"			\
	"     coalesce(octet_length(data::text), 0), xid, source, id, at" \
	"   FROM (SELECT * FROM d ORDER BY id) q RETURNING *) "

#define MOVE_FLAGS							\
	"EXISTS (SELECT FROM b WHERE odd),"				\
	" (SELECT count(*) >= $4::bigint OR"				\
	"  coalesce(max(before) >= $5::bigint, false) FROM b)"

static const struct pg_stmt move_stmt = { "move", MOVE_ROWS
	"SELECT s.snap, " MOVE_FLAGS ", i.* FROM s LEFT JOIN"
	" (SELECT " FEED_COLUMNS " FROM i) i ON true ORDER BY i.id", 5 };

/* A backlog: as many as the limits say, and none of them in the answer. */
static const struct pg_stmt bulk_stmt = { "bulk", MOVE_ROWS
	"SELECT count(*), " MOVE_FLAGS ", $1::bigint FROM i", 5 };

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
	const char	*params[] = { pg_param(max, INLINE_MAX),
	    m->xmax == NULL ? "0" : m->xmax, m->xips == NULL ? "{}" : m->xips,
	    pg_param(limit, m->cfg->move_limit * factor),
	    pg_param(bytes, m->cfg->move_bytes * factor) };

	m->bulk_sent = m->bulk;
	return pg_send(pg, m->bulk ? &bulk_stmt : &move_stmt, params, done,
	    arg);
}

struct moved
move_done(struct move *m, const struct pg_result *res)
{
	struct moved	d = { .is_bulk = m->bulk_sent,
			    .is_odd = pg_true(res, 0, 1),
			    .full = pg_true(res, 0, 2) };

	if (d.is_bulk)
		d.rows = pg_number(res, 0, 0);
	else if (pg_value(res, 0, MOVE_COLUMN) != NULL)
		d.rows = pg_rows(res);
	if (d.full || d.is_odd)
		move_forget(m);
	else if (!d.is_bulk)
		move_keep_hint(m, pg_value(res, 0, 0));
	/* The rest waits behind that row. */
	d.full = d.full && !d.is_odd;
	m->bulk = d.full;
	return d;
}
