/* SPDX-License-Identifier: ISC */

/*
 * The statements by which daemons know of one another, and the clock of a
 * replica.  Nothing is kept here.
 */

#include "db/feed.h"
#include "db/node.h"

static const struct pg_stmt stamp_stmt = { "stamp",
	"SELECT pgpush.backends_end($1),"
	" pgpush.node_stamp($1, $2::boolean, $3::int, $4::int[], $5),"
	" greatest((SELECT max(id) FROM pgpush.log),"
	"  (SELECT id FROM pgpush.floor))", 5 };

/* The locks too: another daemon need not wait for our last connection. */
static const struct pg_stmt gone_stmt = { NULL,
	"SELECT pgpush.node_gone($1), pg_advisory_unlock_all()", 1 };

int
node_stamp(struct pg *pg, const char *node, bool leading,
    const struct feed_stamp *stamp, pg_done done, void *arg)
{
	char		 n[PG_NUMBER_MAX];
	const char	*params[] = { node, leading ? "true" : "false",
	    pg_param(n, stamp->connections), stamp->backends,
	    PACKAGE_VERSION };

	return pg_send(pg, &stamp_stmt, params, done, arg);
}

bool
node_was_known(const struct pg_result *res)
{
	return pg_true(res, 0, 1);
}

int64_t
node_newest_id(const struct pg_result *res)
{
	return pg_number(res, 0, 2);
}

int
node_goodbye(struct pg *pg, const char *node, pg_done done, void *arg)
{
	const char	*params[] = { node };

	return pg_send(pg, &gone_stmt, params, done, arg);
}

enum lateness_news
lateness_check(struct lateness *l, int64_t position, int64_t newest,
    int64_t now_ms, int64_t limit_ms)
{
	bool	was_late = l->late;

	if (position >= l->target) {
		l->target = newest;
		l->target_ms = now_ms;
		l->late = false;
		return was_late ? LATENESS_OVER : LATENESS_NONE;
	}
	if (now_ms - l->target_ms <= limit_ms)
		return LATENESS_NONE;
	l->late = true;
	l->target_ms = now_ms;
	return LATENESS_LATE;
}
