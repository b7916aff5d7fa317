/* SPDX-License-Identifier: ISC */

/*
 * Three advisory locks, all taken by try only, because a session that waits
 * for one would hold back vacuum: L makes the leader, K is held by a leader
 * that sleeps until a bell, and followers hold F shared so that the leader can
 * see that there are any.
 */

#include <inttypes.h>
#include <stdlib.h>

#include "base/xmalloc.h"
#include "db/duty.h"

#define PURGE_ROWS	1000	/* some 3 ms in which nothing moves */

#define LOCK(n)	"('pgpush.outbox'::regclass::oid::int, " n ")"
static const struct pg_stmt stmts[] = {
	[DUTY_LEAD_TRY] = { "lead_try",
	    "SELECT pg_try_advisory_lock" LOCK("0"), 0 },
	[DUTY_FOLLOW] = { "follow",
	    "SELECT pg_try_advisory_lock_shared" LOCK("2"), 0 },
	[DUTY_UNFOLLOW] = { "unfollow",
	    "SELECT pg_advisory_unlock_shared" LOCK("2"), 0 },
	[DUTY_COUNT] = { "count",
	    "SELECT NOT pg_try_advisory_xact_lock" LOCK("2"), 0 },
	[DUTY_ARM] = { "arm",
	    "SELECT pg_try_advisory_lock" LOCK("1"), 0 },
	[DUTY_DISARM] = { "disarm",
	    "SELECT pg_advisory_unlock" LOCK("1"), 0 },
	[DUTY_LEAD] = { "lead", "SELECT l.tag || ' ' || l.first FROM pgpush.lead() l", 0 },
};
static const struct pg_stmt ring_stmt = { "ring",
	"SELECT pg_notify('pgpush_log', $1)", 1 };
static const struct pg_stmt purge_stmt = { "purge",
	"SELECT pgpush.purge($1::interval, $2::int)", 2 };

int
duty_send(enum duty duty, struct pg *pg, pg_done done, void *arg)
{
	return pg_send(pg, &stmts[duty], NULL, done, arg);
}

int
duty_ring(struct pg *pg, int64_t id, pg_done done, void *arg)
{
	char		 n[PG_NUMBER_MAX];
	const char	*params[] = { pg_param(n, id) };

	return pg_send(pg, &ring_stmt, params, done, arg);
}

int
duty_purge(struct pg *pg, int64_t retain_ms, pg_done done, void *arg)
{
	char		 rows[PG_NUMBER_MAX];
	char		*retain = xasprintf("%" PRId64 " s", retain_ms / 1000);
	const char	*params[] = { retain, pg_param(rows, PURGE_ROWS) };
	int		 r;

	r = pg_send(pg, &purge_stmt, params, done, arg);
	free(retain);
	return r;
}

bool
duty_purged(const struct pg_result *res)
{
	return pg_number(res, 0, 0) >= PURGE_ROWS;
}
