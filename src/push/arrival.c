/* SPDX-License-Identifier: ISC */

/*
 * One look at a time.  A look that takes too long has had no effect, and is
 * repeated; one that ends early goes on with the next few users.
 */

#include <event2/event.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/xmalloc.h"
#include "db/feed.h"
#include "push/arrival.h"
#include "push/pool.h"

#define LIMIT_MS	30000		/* for a look */
#define RETRY_MS	1000

static const struct config	*cfg;
static struct feed		*feed;
static struct pool		*pool;
static bool			 looking;
static bool			 wanted;	/* again, after that */

/* Milliseconds until somebody is gone for good; NULL: nobody is going. */
static const struct pg_stmt presence_stmt = { "presence",
	"SELECT ceil(extract(epoch FROM t - clock_timestamp()) * 1000)::bigint"
	" FROM pgpush.presence_sync($1::interval) AS t", 1 };

static void
on_looked(void *arg, const struct pg_result *res)
{
	int64_t	ms = -1;

	(void)arg;
	looking = false;
	if (!pg_ok(res))
		ms = RETRY_MS;
	else if (pg_value(res, 0, 0) != NULL)
		ms = pg_number(res, 0, 0) < 0 ? 0 : pg_number(res, 0, 0);
	feed_presence_again(feed, ms);
	if (wanted)
		arrival_look();
}

void
arrival_look(void)
{
	char		*grace;
	const char	*params[1];

	wanted = looking;
	if (looking)
		return;
	grace = xasprintf("%" PRId64 " ms", cfg->presence_grace_ms);
	params[0] = grace;
	looking = pool_ask(pool, "", "", &presence_stmt, params, on_looked,
	    NULL) != NULL;
	free(grace);
	if (!looking)
		feed_presence_again(feed, RETRY_MS);
}

void
arrival_init(struct event_base *base, const struct config *config,
    struct feed *f, struct pg *cancels)
{
	struct pool_settings	set = { "presence", 1,
	    config->handler_slow_ms, LIMIT_MS, config->lock_timeout_ms, NULL };

	cfg = config;
	feed = f;
	pool = pool_new(base, config, feed, cancels, &set);
}

void
arrival_exit(void)
{
	pool_free(pool);
}

void
arrival_backends(struct text *out)
{
	pool_backends(pool, out);
}
