/* SPDX-License-Identifier: ISC */

/*
 * A queue for each class of distance, which is the number of its bits: so those
 * that are about as far behind wait in the order they came.
 */

#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/stats.h"
#include "base/xmalloc.h"
#include "db/entry.h"
#include "db/feed.h"
#include "db/pg.h"
#include "db/reader.h"

#define RETRY_MS	1000		/* after a read that failed */
#define LAG_MS		50		/* after one that came too early */
#define STALL_MS	30000
#define READ_TIMEOUT	"20s"		/* of the server, for a read */
#define CLASSES		64		/* bits of a distance */

TAILQ_HEAD(reader_queue, reader_turn);

static const struct config	*cfg;
static const struct reader_ops	*ops;
static struct feed		*feed;
static struct pg		*reads;
static struct event		*retry_timer;
static struct reader_queue	 waiting[CLASSES + 1];	/* by distance */
static int64_t			 under_way;	/* sent, or taken */
static uint64_t			 nreads;	/* ever */

/*
 * A read of rows that FROM gives, with the floor, and how far this server's log
 * goes: with several replicas it may not be the one from which the feed has its
 * position.
 */
#define READ_OF(from)							\
	"SELECT f.id, greatest(f.id, (SELECT max(id) FROM pgpush.log)), r.*" \
	" FROM pgpush.floor f LEFT JOIN (SELECT " FEED_COLUMNS		\
	" FROM (SELECT *, sum(bytes) OVER (ORDER BY id) - bytes AS before" \
	" FROM (" from ") l) w"						\
	" WHERE before < $6::bigint) r ON true ORDER BY r.id"
#define READ_COLUMN	2		/* where the row begins */
#define READ_ROOM(room)							\
	"SELECT * FROM pgpush.log WHERE room = " room			\
	" AND id > $3::bigint AND id <= $4::bigint"			\
	" AND kind IN ('event', 'resync') ORDER BY id LIMIT $5::bigint"

static const struct pg_stmt read_stmt = { "catchup",
	READ_OF(READ_ROOM("$2")), 6 };

/* The same for several rooms, $2, in one order. */
static const struct pg_stmt merge_stmt = { "merge",
	READ_OF("SELECT m.*"
	" FROM jsonb_array_elements_text($2::jsonb) AS a (name)"
	" CROSS JOIN LATERAL (" READ_ROOM("a.name") ") m"
	" ORDER BY m.id LIMIT $5::bigint"), 6 };

static const struct pg_stmt session_stmt = { NULL,
	"SELECT set_config(name, value, false) FROM (VALUES"
	    " ('statement_timeout', '" READ_TIMEOUT "'), ('jit', 'off'),"
	    " ('plan_cache_mode', 'force_generic_plan'),"
	    " ('default_transaction_isolation', 'read committed'),"
	    " ('search_path', 'pg_catalog, pg_temp'))"
	    " AS s (name, value)", 0 };

unsigned int
reader_distance(int64_t position)
{
	uint64_t	d = (uint64_t)(feed_position(feed) - position);
	unsigned int	bits = 0;

	if (position >= feed_position(feed))
		return 0;
	for (; d > 0; d >>= 1)
		bits++;
	return bits;
}

void
reader_wait(struct reader_turn *t, unsigned int distance)
{
	if (t->state == READER_WAITING) {
		if (distance >= t->distance)
			return;
		TAILQ_REMOVE(&waiting[t->distance], t, entry);
	}
	t->state = READER_WAITING;
	t->distance = distance;
	TAILQ_INSERT_TAIL(&waiting[distance], t, entry);
}

void
reader_end(struct reader_turn *t)
{
	if (t->state == READER_WAITING)
		TAILQ_REMOVE(&waiting[t->distance], t, entry);
	else if (t->state != READER_IDLE)
		under_way--;
	t->state = READER_IDLE;
}

/* No more than a connection takes before it is full. */
static int64_t
reader_bytes(void)
{
	return cfg->output_high < cfg->move_bytes ? cfg->output_high :
	    cfg->move_bytes;
}

/* Hand over the rows of the answer as entries. */
static void
reader_take(struct reader_turn *t, const struct pg_result *res)
{
	struct entry	**entries, *e;
	int64_t		 bytes = 0, complete = t->upto;
	size_t		 n = 0;
	int		 i, rows = pg_rows(res);

	if (pg_value(res, 0, READ_COLUMN) == NULL)
		rows = 0;
	entries = xcalloc((size_t)rows + 1, sizeof(struct entry *));
	for (i = 0; i < rows; i++) {
		bytes += pg_number(res, i, READ_COLUMN + FEED_BYTES);
		e = feed_entry_from_row(res, i, READ_COLUMN, cfg->max_event);
		if (e != NULL)
			entries[n++] = e;
	}
	if (rows >= cfg->catchup_limit || bytes >= reader_bytes())
		complete = pg_number(res, rows - 1, READ_COLUMN);
	ops->rows(t, entries, n, complete);
}

static void
reader_done(void *arg, const struct pg_result *res)
{
	struct reader_turn	*t = arg;
	bool			 late;

	late = pg_ok(res) && pg_number(res, 0, 1) < t->upto;
	if (t->dropped)
		ops->dropped(t);
	else if (!pg_ok(res) || late) {
		under_way--;
		t->state = READER_IDLE;
		reader_wait(t, t->distance);
		clock_start(retry_timer, late ? LAG_MS : RETRY_MS);
		return;
	} else {
		t->state = READER_TAKEN;
		if (pg_number(res, 0, 0) > t->from)
			ops->below(t, pg_number(res, 0, 0));
		else
			reader_take(t, res);
	}
	reader_run();
}

static int
reader_send(struct reader_turn *t)
{
	struct reader_range	 q = { NULL, false, 1, 0, 0 };
	char			 max[PG_NUMBER_MAX], from[PG_NUMBER_MAX],
				 upto[PG_NUMBER_MAX], limit[PG_NUMBER_MAX],
				 bytes[PG_NUMBER_MAX];
	const char		*params[6];
	int			 r;

	ops->ask(t, &q);
	t->from = q.from;
	t->upto = q.upto;
	params[0] = pg_param(max, cfg->max_event);
	params[1] = q.rooms;
	params[2] = pg_param(from, q.from);
	params[3] = pg_param(upto, q.upto);
	params[4] = pg_param(limit, cfg->catchup_limit);
	params[5] = pg_param(bytes, reader_bytes());
	log_debug("msg=\"catch-up\" room=%s from=%" PRId64 " upto=%" PRId64
	    " members=%u", log_quote(q.rooms, strlen(q.rooms)), q.from, q.upto,
	    q.members);
	stats_add_to(STAT_CATCHUPS, STAT_FROM_LOG, 1);
	r = pg_send(reads, q.merged ? &merge_stmt : &read_stmt, params,
	    reader_done, t);
	free(q.rooms);
	return r;
}

/* The nearest first, and now and then the farthest. */
static struct reader_turn *
reader_next(void)
{
	bool			 far = nreads % READER_FAIR == READER_FAIR - 1;
	struct reader_turn	*t = NULL;
	int			 i;

	for (i = 0; i <= CLASSES && t == NULL; i++)
		t = TAILQ_FIRST(&waiting[far ? CLASSES - i : i]);
	return t;
}

void
reader_run(void)
{
	struct reader_turn	*t;

	if (evtimer_pending(retry_timer, NULL))
		return;
	while (under_way < cfg->catchup_concurrent && pg_is_up(reads) &&
	    (t = reader_next()) != NULL) {
		TAILQ_REMOVE(&waiting[t->distance], t, entry);
		t->state = READER_READING;
		nreads++;
		if (reader_send(t) == -1) {
			t->state = READER_IDLE;
			reader_wait(t, t->distance);
			return;
		}
		under_way++;
	}
}

static void
reader_on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	reader_run();
}

static void
reader_on_up(void *arg)
{
	(void)arg;
	(void)pg_send(reads, &session_stmt, NULL, NULL, NULL);
	feed_vet(feed, reads);
	reader_run();
}

static const struct pg_ops pg_ops = { reader_on_up, NULL, NULL };

bool
reader_is_up(void)
{
	return pg_is_up(reads);
}

int
reader_backend(void)
{
	/* Elsewhere the number may be somebody else's. */
	return cfg->follow_dsn[0] == '\0' ? pg_backend(reads) : 0;
}

void
reader_init(struct event_base *base, const struct config *config,
    struct feed *f, const struct reader_ops *o)
{
	struct pg_settings	set = { "reads", config->database,
	    config->reconnect_min_ms, config->reconnect_max_ms, STALL_MS };
	int			i;

	cfg = config;
	feed = f;
	ops = o;
	if (cfg->follow_dsn[0] != '\0')
		set.conninfo = cfg->follow_dsn;
	for (i = 0; i <= CLASSES; i++)
		TAILQ_INIT(&waiting[i]);
	retry_timer = clock_new(base, reader_on_retry, NULL);
	reads = pg_new(base, &set, &pg_ops, NULL);
}

void
reader_exit(void)
{
	pg_free(reads);
	event_free(retry_timer);
}
