/* SPDX-License-Identifier: ISC */

/*
 * Rooms of one kind may wait for a lock that the others do not need, so the
 * kinds are told apart.
 */

#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/xmalloc.h"
#include "push/pool.h"
#include "push/rule.h"
#include "push/session.h"

static struct pool	*pool;

static const struct pg_stmt greet_stmt = { "greet",
	"SELECT g.rooms IS NULL, room, NULL::boolean"
	" FROM (SELECT pgpush.greet_user($1, $2::jsonb) AS rooms OFFSET 0) g"
	" LEFT JOIN LATERAL unnest(g.rooms) AS room ON true", 2 };
/* The same, and whether the user may enter the rooms it asks for. */
static const struct pg_stmt greet_rooms_stmt = { "greet_rooms",
	"WITH g AS MATERIALIZED (SELECT pgpush.greet_user($1, $2::jsonb) AS r)"
	" SELECT g.r IS NULL, room, NULL::boolean FROM g"
	" LEFT JOIN LATERAL unnest(g.r) AS room ON true"
	" UNION ALL SELECT false, room, coalesce(room = ANY (g.r), false)"
	"  OR pgpush.authorize($1, room, $2::jsonb)"
	" FROM g, jsonb_array_elements_text($3::jsonb) AS room"
	" WHERE g.r IS NOT NULL", 3 };
static const struct pg_stmt allow_stmt = { "allow",
	"SELECT pgpush.authorize($1, a.room, $3::jsonb)"
	" FROM jsonb_array_elements_text($2::jsonb)"
	"  WITH ORDINALITY AS a (room, n) ORDER BY a.n", 3 };

struct ask *
rule_greet(const struct session *s, const char *rooms, pg_done done, void *arg)
{
	char		*ctx = session_ctx(s);
	const char	*params[] = { session_user(s), ctx, rooms };
	struct ask	*a = pool_ask(pool, session_user(s), rooms == NULL ?
			    "greet" : "greet with rooms", rooms == NULL ?
			    &greet_stmt : &greet_rooms_stmt, params, done, arg);

	free(ctx);
	return a;
}

size_t
rule_kind(const char *room)
{
	return strcspn(room, ":");
}

struct ask *
rule_allow(const struct session *s, const char *room, const char *rooms,
    pg_done done, void *arg)
{
	char		*ctx = session_ctx(s);
	char		*kind = xasprintf("%.*s:", (int)rule_kind(room), room);
	const char	*params[] = { session_user(s), rooms, ctx };
	struct ask	*a = pool_ask(pool, session_user(s), kind, &allow_stmt,
			    params, done, arg);

	free(ctx);
	free(kind);
	return a;
}

void
rule_init(struct event_base *base, const struct config *cfg,
    struct feed *feed, struct pg *cancels)
{
	struct pool_settings	set = { "rules", cfg->rule_connections,
	    cfg->handler_slow_ms, cfg->rule_timeout_ms, cfg->lock_timeout_ms,
	    NULL };

	pool = pool_new(base, cfg, feed, cancels, &set);
}

void
rule_exit(void)
{
	pool_free(pool);
}

bool
rule_is_up(void)
{
	return pool_is_up(pool);
}

bool
rule_is_idle(void)
{
	return pool_is_idle(pool);
}

void
rule_backends(struct text *out)
{
	pool_backends(pool, out);
}
