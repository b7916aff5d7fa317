/* SPDX-License-Identifier: ISC */

/*
 * The feed's state machine.  One statement is under way at any time; what else
 * there is to do waits as a bit in todo, and feed_next picks the most urgent.
 * With a replica to follow there are two such connections: the replica's for
 * placing and reading, the primary's for all else.
 *
 * Three advisory locks, all taken by try only, because a session that waits
 * for one would hold back vacuum: L makes the leader, K is held by a leader
 * who sleeps until a bell, and followers hold F shared so that the leader can
 * see that there are any.
 *
 * What holds always: position only grows (but for another database); a row is
 * handed over only after the answer is complete, that is, committed; a bell
 * that comes while a move is under way causes another move; after K has been
 * taken one more move is made before anybody sleeps, since a writer that
 * committed in between has seen nobody to ring for.
 */

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "db/entry.h"
#include "db/feed.h"
#include "base/log.h"
#include "db/pg.h"
#include "base/stats.h"
#include "base/table.h"
#include "base/xmalloc.h"

#define BEAT_MS			1000	/* stamps, and tries to lead */
#define BELT_HEARTBEATS		10	/* a move without hint every so many */
#define PURGE_BEATS		10
#define PURGE_ROWS		1000	/* some 3 ms in which nothing moves */
#define LAG_MIN_MS		2	/* a replica has not replayed it: */
#define LAG_MAX_MS		100	/* ask again, less and less often */
#define BULK_FACTOR		10
#define STALL_MS		30000
#define LOCKED_MS		20	/* a held event is locked: look again */
#define BELLS_MAX		64	/* poll_bells is at most this */
#define MOVING_PERCENT		75	/* of the time: bells are too many */
#define LATE_HEARTBEATS		30	/* a replica is not ready then */
#define VETTED_MAX		4	/* connections beside the feed's */

#define LOCK(n)	"('pgpush.outbox'::regclass::oid::int, " n ")"

enum feed_role {
	FEED_FOLLOWER,
	FEED_POLLING,
	FEED_ARMED,
};

static const char *const role_names[] = { "follower", "polling", "armed" };

/* In the order in which they are done: who reads for long is not dead. */
enum todo {
	TODO_STAMP	= 1 << 0,
	TODO_PLACE	= 1 << 1,	/* where the log stands */
	TODO_LOAD	= 1 << 2,	/* the newest events into the ring */
	TODO_READ	= 1 << 3,	/* the log from position on */
	TODO_LEAD	= 1 << 4,	/* try L */
	TODO_FOLLOW	= 1 << 5,	/* hold F shared */
	TODO_RELEASE	= 1 << 6,	/* held events that are due */
	TODO_RING	= 1 << 7,	/* tell followers of new rows */
	TODO_PRESENCE	= 1 << 8,
	TODO_COUNT	= 1 << 9,	/* are there followers? */
	TODO_DISARM	= 1 << 10,	/* give K up */
	TODO_MOVE	= 1 << 11,
	TODO_ARM	= 1 << 12,	/* try K */
	TODO_PURGE	= 1 << 13,	/* by turns with full moves */
	TODO_GOODBYE	= 1 << 14,	/* and nothing after it */
};
#define TODO_OF_LOG	(TODO_PLACE | TODO_LOAD | TODO_READ)

/* Somebody's connection, asked for its epoch. */
struct vet {
	struct feed	*feed;
	struct pg	*pg;
};

/* A connection of the feed: does one thing at a time. */
struct line {
	struct feed	*feed;
	struct pg	*pg;
	bool		 busy;
	bool		 started;	/* the session is as it should be */
};

/* When a bell rang, and how long moves had taken by then. */
struct bell {
	int64_t		at_ms;		/* 0: it did not */
	int64_t		moving_ms;
};

struct feed {
	const struct config	*cfg;
	const char		*node;
	const struct feed_ops	*ops;
	void			*arg;
	struct line		 main;		/* to the primary */
	struct line		 replica;	/* pg is NULL: none */
	struct line		*log;		/* the one that reads the log */
	struct event		*poll_timer;	/* the next move or read */
	struct event		*due_timer;	/* the next held event */
	struct event		*presence_timer;
	struct event		*beat_timer;
	struct event		*heart_timer;
	enum feed_role		 role;
	unsigned int		 todo;
	unsigned int		 step;		/* of the start */
	bool			 placed;	/* on this connection */
	bool			 ready;
	bool			 leading;	/* holds L */
	bool			 following;	/* holds F shared */
	bool			 followers;	/* there were some */
	bool			 bulk;		/* the last move was full */
	bool			 moved;		/* that was done last */
	bool			 leaving;	/* goodbye comes */
	bool			 gone;		/* and was said */
	unsigned int		 beats;
	unsigned int		 heartbeats;
	int64_t			 lag_ms;	/* until the next read */
	int64_t			 wanted;	/* the replica has not got it */
	int64_t			 target;	/* the primary's newest id */
	int64_t			 target_ms;	/* when it was that */
	bool			 late;		/* and is not here yet */
	int64_t			 position;
	char			*epoch;		/* owned */
	struct pg		*vetted[VETTED_MAX];	/* asked for theirs */
	size_t			 nvetted;

	/* the hint: the snapshot of the last complete move */
	char			*xmax;		/* owned */
	char			*xips;		/* owned */

	int64_t			 released_ms;	/* when that was last sent */
	bool			 release_more;	/* and it was not all */

	/* the last moves, and the last bells */
	int64_t			 moves;
	int64_t			 moves_found;
	struct bell		 bells[BELLS_MAX];
	unsigned int		 bell_next;
	int64_t			 move_ms;	/* when it was last sent */
	int64_t			 moving_ms;	/* in all moves since waiting */

	/* the ring */
	struct entry		**ring;
	uint32_t		 *ring_hashes;	/* of their rooms */
	size_t			 ring_size;
	size_t			 ring_n;
	size_t			 ring_head;	/* the oldest */
	size_t			 ring_bytes;
	int64_t			 ring_since;	/* it has all after this */
};

static void	feed_next(struct feed *f);

/* Statements */

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

static const struct pg_stmt read_stmt = { "read",
	"SELECT f.id, r.* FROM pgpush.floor f LEFT JOIN (SELECT " FEED_COLUMNS
	" FROM (SELECT *, sum(bytes) OVER (ORDER BY id) - bytes AS before"
	"   FROM (SELECT * FROM pgpush.log WHERE id > $2::bigint"
	"     ORDER BY id LIMIT $3::bigint) l) w"
	" WHERE before < $4::bigint) r ON true ORDER BY r.id", 4 };

/* The newest rows up to the position, as many as the ring can have. */
static const struct pg_stmt load_stmt = { NULL,
	"SELECT " FEED_COLUMNS " FROM (SELECT *,"
	"  sum(bytes) OVER (ORDER BY id DESC) AS together"
	"  FROM (SELECT * FROM pgpush.log WHERE id <= $2::bigint"
	"    ORDER BY id DESC LIMIT $3::bigint) l) w"
	" WHERE together <= $4::bigint ORDER BY id", 4 };

/*
 * Where the log stands; and whether the row that began its epoch is still
 * before us, so that who reads on will come to it.
 */
static const struct pg_stmt place_stmt = { NULL,
	"SELECT e.epoch, greatest((SELECT max(id) FROM pgpush.log), f.id),"
	" f.id,"
	" CASE WHEN $1::bigint >= 0 AND e.epoch <> $2 THEN EXISTS ("
	"  SELECT FROM pgpush.log l WHERE l.id > $1::bigint"
	"  AND l.kind = 'epoch' AND l.data ->> 'epoch' = e.epoch)"
	" ELSE false END FROM pgpush.epoch e, pgpush.floor f", 2 };

static const struct pg_stmt epoch_stmt = { NULL,
	"SELECT epoch FROM pgpush.epoch", 0 };

static const struct pg_stmt lead_try_stmt = { "lead_try",
	"SELECT pg_try_advisory_lock" LOCK("0"), 0 };
static const struct pg_stmt lead_stmt = { "lead", "SELECT pgpush.lead()", 0 };
static const struct pg_stmt follow_stmt = { "follow",
	"SELECT pg_try_advisory_lock_shared" LOCK("2"), 0 };
static const struct pg_stmt unfollow_stmt = { "unfollow",
	"SELECT pg_advisory_unlock_shared" LOCK("2"), 0 };
static const struct pg_stmt count_stmt = { "count",
	"SELECT NOT pg_try_advisory_xact_lock" LOCK("2"), 0 };
static const struct pg_stmt arm_stmt = { "arm",
	"SELECT pg_try_advisory_lock" LOCK("1"), 0 };
static const struct pg_stmt disarm_stmt = { "disarm",
	"SELECT pg_advisory_unlock" LOCK("1"), 0 };
static const struct pg_stmt ring_stmt = { "ring",
	"SELECT pg_notify('pgpush_log', $1)", 1 };
static const struct pg_stmt release_stmt = { "release",
	"SELECT " MS_UNTIL("pgpush.release_due(200)"), 0 };
static const struct pg_stmt presence_stmt = { "presence",
	"SELECT " MS_UNTIL("pgpush.presence_sync($1::interval)"), 1 };
static const struct pg_stmt stamp_stmt = { "stamp",
	"SELECT pgpush.backends_end($1),"
	" pgpush.node_stamp($1, $2::boolean, $3::int, $4::int[], $5),"
	" (SELECT max(id) FROM pgpush.log)", 5 };
/* The locks too: another daemon need not wait for our last connection. */
static const struct pg_stmt gone_stmt = { NULL,
	"SELECT pgpush.node_gone($1), pg_advisory_unlock_all()", 1 };
static const struct pg_stmt purge_stmt = { "purge",
	"SELECT pgpush.purge($1::interval, $2::int)", 2 };

/*
 * The session: a leader that hangs must lose its locks (idle_session_timeout,
 * and tcp_user_timeout if the server is just writing to it); the move's flush
 * makes safe the asynchronous commits that it saw; and its plan must not change
 * with the statistics of a table that is mostly empty.
 */
static const struct pg_stmt start_stmts[] = {
	{ NULL, "SELECT set_config(name, value, false) FROM (VALUES"
	    " ('synchronous_commit', 'on'), ('idle_session_timeout', $1),"
	    " ('tcp_user_timeout', '20s'),"
	    " ('jit', 'off'), ('enable_seqscan', 'off'),"
	    " ('statement_timeout', '0'), ('lock_timeout', '0'),"
	    " ('plan_cache_mode', 'force_generic_plan'),"
	    " ('default_transaction_isolation', 'read committed'),"
	    " ('search_path', 'pg_catalog, pg_temp'))"
	    " AS s (name, value)", 1 },
	{ NULL, "LISTEN pgpush", 0 },
	{ NULL, "LISTEN pgpush_log", 0 },
};
#define START_STEPS	(sizeof(start_stmts) / sizeof(start_stmts[0]))

/* Timers */

static void
feed_todo(struct feed *f, unsigned int what)
{
	f->todo |= what;
	feed_next(f);
}

static void
feed_on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct feed	*f = arg;

	(void)fd;
	(void)what;
	feed_todo(f, f->leading ? TODO_MOVE : TODO_READ);
}

static void
feed_on_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	feed_todo(arg, TODO_RELEASE);
}

static void
feed_on_presence(evutil_socket_t fd, short what, void *arg)
{
	struct feed	*f = arg;

	(void)fd;
	(void)what;
	if (f->leading)
		feed_todo(f, TODO_PRESENCE);
}

static void
feed_set_role(struct feed *f, enum feed_role role)
{
	if (role == f->role)
		return;
	log_debug("feed=%s was=%s position=%" PRId64, role_names[role],
	    role_names[f->role], f->position);
	f->role = role;
	stats_choose(STAT_ROLE, role);
	f->moves = f->moves_found = 0;
	f->bell_next = 0;
	f->moving_ms = 0;
	memset(f->bells, 0, sizeof(f->bells));
	(void)evtimer_del(f->poll_timer);
}

/* The ring */

/* Where the i-th oldest is. */
static size_t
ring_slot(const struct feed *f, size_t i)
{
	i += f->ring_head;
	return i < f->ring_size ? i : i - f->ring_size;
}

static void
ring_drop_oldest(struct feed *f)
{
	struct entry	*e = f->ring[f->ring_head];

	f->ring_since = e->id;
	f->ring_bytes -= e->bytes;
	f->ring_head = ring_slot(f, 1);
	f->ring_n--;
	entry_unref(e);
}

static void
ring_add(struct feed *f, struct entry *e)
{
	size_t	slot;

	if (f->ring_n == f->ring_size)
		ring_drop_oldest(f);
	slot = ring_slot(f, f->ring_n++);
	f->ring[slot] = entry_ref(e);
	f->ring_hashes[slot] = e->hash = table_hash(e->room);
	f->ring_bytes += e->bytes;
	while (f->ring_n > 0 && f->ring_bytes > (size_t)f->cfg->ring_bytes)
		ring_drop_oldest(f);
}

static void
ring_clear(struct feed *f)
{
	while (f->ring_n > 0)
		ring_drop_oldest(f);
	f->ring_since = f->position;
}

int64_t
feed_ring_after(const struct feed *f, int64_t id)
{
	size_t	lo = 0, hi = f->ring_n, mid;

	if (id < f->ring_since)
		return -1;
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (f->ring[ring_slot(f, mid)]->id <= id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (int64_t)lo;
}

struct entry *
feed_ring_get(const struct feed *f, int64_t index)
{
	return (size_t)index < f->ring_n ?
	    f->ring[ring_slot(f, (size_t)index)] : NULL;
}

int64_t
feed_ring_find(const struct feed *f, int64_t index, uint32_t hash)
{
	size_t	i = (size_t)index;

	while (i < f->ring_n && f->ring_hashes[ring_slot(f, i)] != hash)
		i++;
	return (int64_t)i;
}

/* Rows */

struct entry *
feed_entry_from_row(const struct pg_result *res, int row, int column,
    int64_t max_event)
{
	struct entry_parts	 p;
	struct entry		*e;
	const char		*kind = pg_value(res, row, column + 1);
	char			*cut = NULL;
	int64_t			 bytes;
	int			 k;

	if (kind == NULL || (k = entry_kind_parse(kind)) == -1)
		return NULL;
	bytes = pg_number(res, row, column + FEED_BYTES);
	p.kind = (enum entry_kind)k;
	p.id = pg_number(res, row, column);
	p.room = pg_value(res, row, column + 2);
	p.event = pg_value(res, row, column + 3);
	p.data = pg_value(res, row, column + 4);
	p.user = pg_value(res, row, column + 5);
	p.origin = pg_value(res, row, column + 6);
	p.dup = pg_value(res, row, column + 7);
	if (p.kind == ENTRY_EVENT && bytes > max_event) {
		p.kind = ENTRY_RESYNC;
		p.data = cut = xasprintf("{\"bytes\":%" PRId64 "}", bytes);
	}
	if (p.kind == ENTRY_RESYNC)
		p.event = "resync";
	e = entry_new(&p);
	free(cut);
	return e;
}

/* Other connections */

static void
feed_vetted(void *arg, const struct pg_result *res)
{
	struct vet	*v = arg;
	const char	*epoch = pg_ok(res) ? pg_value(res, 0, 0) : NULL;

	/* Before the feed's first connection there is nothing to compare. */
	if (epoch != NULL && v->feed->epoch[0] != '\0' &&
	    strcmp(epoch, v->feed->epoch) != 0)
		pg_refuse(v->pg, "another epoch than the feed's");
	free(v);
}

static void
feed_ask_epoch(struct feed *f, struct pg *pg)
{
	struct vet	*v = xcalloc(1, sizeof(*v));

	v->feed = f;
	v->pg = pg;
	if (pg_send(pg, &epoch_stmt, NULL, feed_vetted, v) == -1)
		free(v);
}

static void
feed_set_epoch(struct feed *f, const char *epoch)
{
	size_t	i;

	if (strcmp(f->epoch, epoch) == 0)
		return;
	free(f->epoch);
	f->epoch = xstrdup(epoch);
	for (i = 0; i < f->nvetted; i++) {
		/* One that was refused may have been ahead of us. */
		pg_hurry(f->vetted[i]);
		feed_ask_epoch(f, f->vetted[i]);
	}
}

/* Hand over the rows of a result that begin at column. */
static void
feed_deliver(struct feed *f, const struct pg_result *res, int column)
{
	struct entry	*e;
	int64_t		 id;
	int		 i;

	for (i = 0; i < pg_rows(res); i++) {
		if ((id = pg_number(res, i, column)) <= f->position)
			continue;
		e = feed_entry_from_row(res, i, column, f->cfg->max_event);
		f->position = id;
		if (e == NULL) {
			log_warn("feed=%s msg=\"unknown kind\" id=%" PRId64,
			    role_names[f->role], id);
			continue;
		}
		if (e->kind == ENTRY_EPOCH) {
			/* What was before has its ids in the old one. */
			f->ops->complete(f->arg);
			feed_set_epoch(f, e->data);
			ring_clear(f);
		} else if (e->kind == ENTRY_EVENT || e->kind == ENTRY_RESYNC)
			ring_add(f, e);
		f->ops->entry(f->arg, e);
		entry_unref(e);
	}
	f->ops->complete(f->arg);
}

/* Moving */

static void
feed_drop_hint(struct feed *f)
{
	free(f->xmax);
	free(f->xips);
	f->xmax = f->xips = NULL;
}

/* Keep a snapshot, "xmin:xmax:xip,xip", as the hint for the next move. */
static void
feed_keep_hint(struct feed *f, const char *snap)
{
	const char	*xmax, *xips;

	feed_drop_hint(f);
	if (snap == NULL || (xmax = strchr(snap, ':')) == NULL ||
	    (xips = strchr(++xmax, ':')) == NULL)
		return;
	f->xmax = xmemdup(xmax, (size_t)(xips - xmax));
	f->xips = xasprintf("{%s}", xips + 1);
}

/* A leader that polls and finds little may go to sleep. */
static void
feed_count_move(struct feed *f, bool found)
{
	f->moves++;
	f->moves_found += found;
	if (f->moves < f->cfg->arm_window)
		return;
	if (f->moves_found < f->cfg->arm_below)
		f->todo |= TODO_ARM;
	f->moves = f->moves_found = 0;
}

static void
feed_after_move(struct feed *f, bool found, bool full)
{
	if (found && f->followers)
		f->todo |= TODO_RING;
	f->bulk = full;
	if (full)
		f->todo |= TODO_MOVE;
	else if (f->role == FEED_POLLING)
		clock_start(f->poll_timer, f->cfg->move_interval_ms);
	if (f->role == FEED_POLLING)
		feed_count_move(f, found);
}

static int64_t
moved_bytes(const struct pg_result *res)
{
	int64_t	sum = 0;
	int	i;

	for (i = 0; i < pg_rows(res); i++)
		sum += pg_number(res, i, 2 + FEED_BYTES);
	return sum;
}

/* Begin an answer: whether there is one.  The end is always feed_next. */
static bool
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

static bool
feed_answered(struct feed *f, const struct pg_result *res)
{
	return line_answered(&f->main, res);
}

/*
 * The next held event is due in so many milliseconds.  One that was due before
 * the last release and is still there is locked by somebody's transaction.
 */
static void
feed_due(struct feed *f, int64_t ms)
{
	if (ms > 0)
		clock_start(f->due_timer, ms);
	else if (!f->release_more && clock_ms() + ms < f->released_ms)
		clock_start(f->due_timer, LOCKED_MS);
	else
		f->todo |= TODO_RELEASE;
}

static void
feed_moved(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;
	bool		 found, full;

	if (!feed_answered(f, res))
		return;
	f->moving_ms += clock_ms() - f->move_ms;
	found = pg_value(res, 0, 2) != NULL;
	full = found && (pg_rows(res) >= f->cfg->move_limit ||
	    moved_bytes(res) >= f->cfg->move_bytes);
	stats_add_to(STAT_MOVES, found ? STAT_FOUND : STAT_EMPTY, 1);
	if (full)
		feed_drop_hint(f);
	else
		feed_keep_hint(f, pg_value(res, 0, 0));
	if (pg_value(res, 0, 1) != NULL)
		feed_due(f, pg_number(res, 0, 1));
	if (found)
		feed_deliver(f, res, 2);
	feed_after_move(f, found, full);
	feed_next(f);
}

static void
feed_moved_bulk(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;
	int64_t		 n;

	if (!feed_answered(f, res))
		return;
	n = pg_number(res, 0, 0);
	stats_add_to(STAT_MOVES, STAT_BACKLOG, 1);
	f->todo |= TODO_READ | TODO_MOVE;
	feed_after_move(f, n > 0, n >= f->cfg->move_limit * BULK_FACTOR ||
	    pg_number(res, 0, 1) >= f->cfg->move_bytes * BULK_FACTOR);
	feed_next(f);
}

/* Sending: each sends one statement, whose answer ends in feed_next. */

static void
line_send(struct line *l, const struct pg_stmt *stmt,
    const char *const *params, pg_done done)
{
	l->busy = pg_send(l->pg, stmt, params, done, l->feed) == 0;
}

static void
feed_send(struct feed *f, const struct pg_stmt *stmt,
    const char *const *params, pg_done done)
{
	line_send(&f->main, stmt, params, done);
}

static void
feed_move(struct feed *f)
{
	int64_t		 factor = f->bulk ? BULK_FACTOR : 1;
	char		 max[PG_NUMBER_MAX], limit[PG_NUMBER_MAX],
			 bytes[PG_NUMBER_MAX];
	const char	*params[] = { pg_param(max, f->cfg->max_event),
	    f->xmax == NULL ? "0" : f->xmax, f->xips == NULL ? "{}" : f->xips,
	    pg_param(limit, f->cfg->move_limit * factor),
	    pg_param(bytes, f->cfg->move_bytes * factor) };

	f->move_ms = clock_ms();
	if (f->bulk)
		feed_send(f, &bulk_stmt, params, feed_moved_bulk);
	else
		feed_send(f, &move_stmt, params, feed_moved);
}

static void
feed_not_ready(struct feed *f)
{
	if (f->ready)
		f->ops->ready(f->arg, false);
	f->ready = false;
}

static bool
feed_is_replica(const struct feed *f)
{
	return f->log == &f->replica;
}

/* There is no more to read: for now, or until the replica has replayed it. */
static void
feed_read_all(struct feed *f)
{
	if (f->leading && f->role == FEED_FOLLOWER) {
		feed_set_role(f, FEED_POLLING);
		f->todo |= TODO_MOVE | TODO_COUNT | TODO_PRESENCE;
	}
	if (feed_is_replica(f) && f->position < f->wanted) {
		clock_start(f->poll_timer, f->lag_ms);
		if ((f->lag_ms *= 2) > LAG_MAX_MS)
			f->lag_ms = LAG_MAX_MS;
	}
	if (!f->ready && f->main.started && !f->late) {
		f->ready = true;
		f->ops->ready(f->arg, true);
	}
}

static void
feed_read_done(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (!line_answered(f->log, res))
		return;
	if (pg_number(res, 0, 0) > f->position) {
		/* feed_place finds the same, and says so. */
		pg_reset(f->log->pg, "rows were purged before they were read");
		return;
	}
	if (pg_value(res, 0, 1) != NULL) {
		feed_deliver(f, res, 1);
		f->lag_ms = LAG_MIN_MS;
		f->todo |= TODO_READ;
	} else
		feed_read_all(f);
	feed_next(f);
}

static void
feed_read(struct feed *f)
{
	char		 max[PG_NUMBER_MAX], after[PG_NUMBER_MAX],
			 limit[PG_NUMBER_MAX], bytes[PG_NUMBER_MAX];
	const char	*params[] = { pg_param(max, f->cfg->max_event),
	    pg_param(after, f->position), pg_param(limit, f->cfg->move_limit),
	    pg_param(bytes, f->cfg->move_bytes) };

	line_send(f->log, &read_stmt, params, feed_read_done);
}

/*
 * Where we stand, from the database: only the first time, or in another one,
 * or if rows were purged that we have not seen.  A new epoch of the same log,
 * after a failover, is come to by reading on: between its beginning and now
 * somebody may have lost his rights.
 */
static void
feed_set_place(struct feed *f, const struct pg_result *res)
{
	const char	*epoch = pg_value(res, 0, 0);
	bool		 first = f->position < 0, goes_on;

	if (epoch == NULL)
		epoch = "";
	goes_on = !first && f->position >= pg_number(res, 0, 2) &&
	    (strcmp(epoch, f->epoch) == 0 || pg_true(res, 0, 3));
	if (goes_on)
		return;
	f->position = pg_number(res, 0, 1);
	feed_set_epoch(f, epoch);
	ring_clear(f);
	f->wanted = f->target = 0;
	f->todo |= TODO_LOAD;
	if (!first)
		f->ops->missed(f->arg);
}

static void
feed_placed(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (!line_answered(f->log, res))
		return;
	feed_set_place(f, res);
	f->placed = true;
	f->lag_ms = LAG_MIN_MS;
	f->todo |= TODO_READ | TODO_LEAD | TODO_STAMP;
	feed_next(f);
}

static void
feed_place(struct feed *f)
{
	char		 after[PG_NUMBER_MAX];
	const char	*params[] = { pg_param(after, f->position), f->epoch };

	line_send(f->log, &place_stmt, params, feed_placed);
}

/* The ring has what the log has, so that many can resume after a restart. */
static void
feed_loaded(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;
	struct entry	*e;
	int		 i;

	if (!line_answered(f->log, res))
		return;
	if (pg_rows(res) > 0)
		f->ring_since = pg_number(res, 0, 0) - 1;
	for (i = 0; i < pg_rows(res); i++) {
		e = feed_entry_from_row(res, i, 0, f->cfg->max_event);
		if (e == NULL)
			continue;
		if (e->kind == ENTRY_EVENT || e->kind == ENTRY_RESYNC)
			ring_add(f, e);
		entry_unref(e);
	}
	feed_next(f);
}

static void
feed_load(struct feed *f)
{
	char		 max[PG_NUMBER_MAX], upto[PG_NUMBER_MAX],
			 limit[PG_NUMBER_MAX], bytes[PG_NUMBER_MAX];
	const char	*params[] = { pg_param(max, f->cfg->max_event),
	    pg_param(upto, f->position), pg_param(limit, f->cfg->ring_events),
	    pg_param(bytes, f->cfg->ring_bytes < f->cfg->move_bytes ?
	    f->cfg->ring_bytes : f->cfg->move_bytes) };

	line_send(f->log, &load_stmt, params, feed_loaded);
}

static void
feed_led(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (!feed_answered(f, res))
		return;
	log_info("feed=leader node=%s position=%" PRId64,
	    log_quote(f->node, strlen(f->node)), f->position);
	stats_add(STAT_LEADER_CHANGES, 1);
	f->leading = true;
	f->todo |= TODO_READ;
	feed_next(f);
}

static void
feed_done(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (feed_answered(f, res))
		feed_next(f);
}

static void
feed_lead_tried(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (!feed_answered(f, res))
		return;
	if (pg_true(res, 0, 0)) {
		feed_drop_hint(f);
		feed_send(f, &lead_stmt, NULL, feed_led);
		return;
	}
	if (!f->following)
		f->todo |= TODO_FOLLOW;
	feed_next(f);
}

static void
feed_followed(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (!feed_answered(f, res))
		return;
	f->following = pg_true(res, 0, 0);
	feed_next(f);
}

static void
feed_counted(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (!feed_answered(f, res))
		return;
	/* The first has not been told what was moved since it read last. */
	if (pg_true(res, 0, 0) && !f->followers)
		f->todo |= TODO_RING;
	f->followers = pg_true(res, 0, 0);
	feed_next(f);
}

static void
feed_armed(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (!feed_answered(f, res))
		return;
	if (pg_true(res, 0, 0)) {
		feed_set_role(f, FEED_ARMED);
		/* Once more: who committed before K was ours did not ring. */
		f->todo |= TODO_MOVE;
	}
	feed_next(f);
}

static void
feed_disarmed(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (!feed_answered(f, res))
		return;
	feed_set_role(f, FEED_POLLING);
	f->todo |= TODO_MOVE;
	feed_next(f);
}

/* The functions ran in our session, where the bell does not ring for us. */
static void
feed_released(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (!feed_answered(f, res))
		return;
	f->release_more = pg_value(res, 0, 0) != NULL &&
	    pg_number(res, 0, 0) <= 0;
	f->todo |= TODO_MOVE;
	feed_next(f);
}

static void
feed_release(struct feed *f)
{
	f->released_ms = clock_ms();
	feed_send(f, &release_stmt, NULL, feed_released);
}

static void
feed_presence_done(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;
	int64_t		 ms;

	if (!feed_answered(f, res))
		return;
	if (pg_value(res, 0, 0) != NULL) {
		ms = pg_number(res, 0, 0);
		clock_start(f->presence_timer, ms < 1 ? 1 : ms);
	}
	f->todo |= TODO_MOVE;
	feed_next(f);
}

static void
feed_purged(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (!feed_answered(f, res))
		return;
	if (pg_number(res, 0, 0) >= PURGE_ROWS)
		f->todo |= TODO_PURGE;
	feed_next(f);
}

static void
feed_presence(struct feed *f)
{
	char		*grace;
	const char	*params[1];

	grace = xasprintf("%" PRId64 " ms", f->cfg->presence_grace_ms);
	params[0] = grace;
	feed_send(f, &presence_stmt, params, feed_presence_done);
	free(grace);
}

static void
feed_purge(struct feed *f)
{
	char		 rows[PG_NUMBER_MAX];
	char		*retain;
	const char	*params[2];

	retain = xasprintf("%" PRId64 " s", f->cfg->retain_ms / 1000);
	params[0] = retain;
	params[1] = pg_param(rows, PURGE_ROWS);
	feed_send(f, &purge_stmt, params, feed_purged);
	free(retain);
}

/*
 * Whether the replica has by now what the primary had a while ago.  One that
 * was promoted, or has lost its primary, never will: perhaps another host has.
 */
static void
feed_check_late(struct feed *f, int64_t newest)
{
	int64_t	now = clock_ms();

	if (f->position >= f->target) {
		f->target = newest;
		f->target_ms = now;
		if (f->late)
			f->todo |= TODO_READ;
		f->late = false;
	} else if (now - f->target_ms >
	    LATE_HEARTBEATS * f->cfg->heartbeat_ms) {
		log_warn("feed=follower msg=\"the replica is late\" position=%"
		    PRId64 " primary=%" PRId64, f->position, newest);
		f->late = true;
		f->target_ms = now;
		feed_not_ready(f);
		pg_refuse(f->replica.pg, "the replica is late");
	}
}

static void
feed_stamped(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (!feed_answered(f, res))
		return;
	if (!pg_true(res, 0, 1))
		f->ops->unknown(f->arg);
	if (feed_is_replica(f) && f->placed)
		feed_check_late(f, pg_number(res, 0, 2));
	feed_next(f);
}

static void
feed_stamp_send(struct feed *f)
{
	struct feed_stamp	 st = { 0, "{}" };
	char			 n[PG_NUMBER_MAX];
	const char		*params[5];

	f->ops->stamp(f->arg, &st);
	params[0] = f->node;
	params[1] = f->leading ? "true" : "false";
	params[2] = pg_param(n, st.connections);
	params[3] = st.backends;
	params[4] = PACKAGE_VERSION;
	feed_send(f, &stamp_stmt, params, feed_stamped);
}

static void
feed_tell_followers(struct feed *f)
{
	char		 n[PG_NUMBER_MAX];
	const char	*params[] = { pg_param(n, f->position) };

	feed_send(f, &ring_stmt, params, feed_done);
}

static void
feed_said_goodbye(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	(void)res;
	f->main.busy = false;
	f->gone = true;
}

static void
feed_say_goodbye(struct feed *f)
{
	const char	*params[] = { f->node };

	feed_send(f, &gone_stmt, params, feed_said_goodbye);
}

static void
feed_do(struct feed *f, enum todo what)
{
	switch (what) {
	case TODO_PLACE:
		feed_place(f);
		break;
	case TODO_LOAD:
		feed_load(f);
		break;
	case TODO_READ:
		feed_read(f);
		break;
	case TODO_LEAD:
		feed_send(f, &lead_try_stmt, NULL, feed_lead_tried);
		break;
	case TODO_FOLLOW:
		feed_send(f, &follow_stmt, NULL, feed_followed);
		break;
	case TODO_STAMP:
		feed_stamp_send(f);
		break;
	case TODO_RELEASE:
		feed_release(f);
		break;
	case TODO_RING:
		feed_tell_followers(f);
		break;
	case TODO_PRESENCE:
		feed_presence(f);
		break;
	case TODO_DISARM:
		feed_send(f, &disarm_stmt, NULL, feed_disarmed);
		break;
	case TODO_MOVE:
		feed_move(f);
		break;
	case TODO_ARM:
		feed_send(f, &arm_stmt, NULL, feed_armed);
		break;
	case TODO_COUNT:
		feed_send(f, &count_stmt, NULL, feed_counted);
		break;
	case TODO_PURGE:
		feed_purge(f);
		break;
	case TODO_GOODBYE:
		feed_say_goodbye(f);
		break;
	}
}

/* What only a leader may do is forgotten if we are none. */
static unsigned int
feed_allowed(const struct feed *f)
{
	unsigned int	all = TODO_STAMP | TODO_PLACE;

	if (f->leaving)
		return TODO_GOODBYE;
	if (f->placed)
		all |= TODO_LOAD | TODO_READ;
	if (!f->leading)
		return all | TODO_FOLLOW | (f->placed && !feed_is_replica(f) ?
		    TODO_LEAD : 0);
	if (f->role == FEED_FOLLOWER)
		return all;
	all |= TODO_RELEASE | TODO_RING | TODO_PRESENCE | TODO_MOVE |
	    TODO_COUNT | TODO_PURGE;
	return all | (f->role == FEED_ARMED ? TODO_DISARM : TODO_ARM);
}

/* The most urgent of what this connection does, if it is free. */
static void
line_next(struct line *l, unsigned int mask)
{
	struct feed	*f = l->feed;
	unsigned int	 todo;
	enum todo	 what;

	if (l->busy || !l->started || !pg_is_up(l->pg))
		return;
	f->todo &= feed_allowed(f);
	if ((todo = f->todo & mask) == 0)
		return;
	what = (enum todo)(todo & -todo);	/* the lowest bit */
	if (what == TODO_MOVE && f->moved && (todo & TODO_PURGE) != 0)
		what = TODO_PURGE;
	f->moved = what == TODO_MOVE;
	f->todo &= ~(unsigned int)what;
	feed_do(f, what);
}

static void
feed_next(struct feed *f)
{
	if (f->gone)
		return;
	if (f->leading && f->following && !f->main.busy) {
		f->following = false;
		feed_send(f, &unfollow_stmt, NULL, feed_done);
		return;
	}
	if (feed_is_replica(f)) {
		line_next(&f->replica, TODO_OF_LOG);
		line_next(&f->main, ~(unsigned int)TODO_OF_LOG);
	} else
		line_next(&f->main, ~0U);
}

/* Bells and other payloads */

/*
 * Many bells in a short time: moving every few milliseconds is cheaper.  So it
 * is, however few they are, if the moves for them follow one another: each
 * commit that rings is flushed by itself, which on a slow disk is what limits
 * the writers.
 */
static bool
feed_bells_are_many(const struct feed *f, const struct bell *oldest,
    int64_t now)
{
	int64_t	passed = now - oldest->at_ms;

	return oldest->at_ms != 0 && (passed <= f->cfg->poll_window_ms ||
	    f->moving_ms - oldest->moving_ms > passed * MOVING_PERCENT / 100);
}

static void
feed_bell(struct feed *f)
{
	unsigned int	 n = (unsigned int)f->cfg->poll_bells;
	struct bell	*oldest = &f->bells[f->bell_next % n];
	int64_t		 now = clock_ms();

	stats_add(STAT_BELLS, 1);
	if (f->role != FEED_ARMED)
		return;
	if (feed_bells_are_many(f, oldest, now))
		f->todo |= TODO_DISARM;
	oldest->at_ms = now;
	oldest->moving_ms = f->moving_ms;
	f->bell_next++;
	feed_todo(f, TODO_MOVE);
}

static bool
has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static void
feed_on_notify(void *arg, const char *channel, const char *payload, int pid)
{
	struct feed	*f = arg;
	int64_t		 id;

	(void)pid;
	if (strcmp(channel, "pgpush_log") == 0) {
		id = strtoll(payload, NULL, 10);
		if (f->wanted < id)
			f->wanted = id;
		if (!f->leading)
			feed_todo(f, TODO_READ);
	} else if (*payload == '\0' || has_prefix(payload, "{\"bell\":"))
		feed_bell(f);
	else if (has_prefix(payload, "{\"presence\":")) {
		if (f->leading)
			feed_todo(f, TODO_PRESENCE);
	} else
		f->ops->notify(f->arg, payload);
}

static void
feed_on_beat(evutil_socket_t fd, short what, void *arg)
{
	struct feed	*f = arg;

	(void)fd;
	(void)what;
	clock_start(f->beat_timer, BEAT_MS);
	if (++f->beats % PURGE_BEATS == 0)
		f->todo |= TODO_PURGE;
	feed_todo(f, TODO_STAMP | (f->leading ? TODO_COUNT : TODO_LEAD |
	    (f->following ? 0 : TODO_FOLLOW)));
}

static void
feed_on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
	struct feed	*f = arg;

	(void)fd;
	(void)what;
	clock_start(f->heart_timer, f->cfg->heartbeat_ms);
	if (++f->heartbeats % BELT_HEARTBEATS == 0)
		feed_drop_hint(f);
	feed_todo(f, f->leading ? TODO_PRESENCE | TODO_MOVE : TODO_READ);
}

/* The connection */

static void
feed_start_step(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (!feed_answered(f, res))
		return;
	if (++f->step < START_STEPS) {
		feed_send(f, &start_stmts[f->step], NULL, feed_start_step);
		return;
	}
	f->main.started = true;
	f->todo |= TODO_STAMP | TODO_FOLLOW | (f->placed ? TODO_READ :
	    TODO_PLACE);
	feed_next(f);
}

static void
feed_up(void *arg)
{
	struct feed	*f = arg;
	const char	*idle[] = { "10s" };

	f->step = 0;
	feed_send(f, &start_stmts[0], idle, feed_start_step);
}

static void
feed_down(void *arg)
{
	struct feed	*f = arg;

	stats_add(STAT_LEADER_CHANGES, f->leading);
	feed_set_role(f, FEED_FOLLOWER);
	feed_drop_hint(f);
	f->main.busy = f->main.started = false;
	f->leading = f->following = f->bulk = false;
	f->todo &= TODO_OF_LOG;
	if (!feed_is_replica(f))
		f->placed = false;
	(void)evtimer_del(f->due_timer);
	(void)evtimer_del(f->presence_timer);
	feed_not_ready(f);
}

static const struct pg_ops feed_pg_ops = { feed_up, feed_down,
	feed_on_notify };

static void
feed_replica_started(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (!line_answered(&f->replica, res))
		return;
	f->replica.started = true;
	feed_todo(f, TODO_PLACE);
}

static void
feed_replica_up(void *arg)
{
	struct feed	*f = arg;
	const char	*idle[] = { "0" };

	line_send(&f->replica, &start_stmts[0], idle, feed_replica_started);
}

static void
feed_replica_down(void *arg)
{
	struct feed	*f = arg;

	f->replica.busy = f->replica.started = f->placed = false;
	(void)evtimer_del(f->poll_timer);
	feed_not_ready(f);
}

static const struct pg_ops feed_replica_ops = { feed_replica_up,
	feed_replica_down, NULL };

struct feed *
feed_new(struct event_base *base, const struct config *cfg, const char *node,
    const struct feed_ops *ops, void *arg)
{
	struct pg_settings	 set = { "feed", cfg->database,
	    cfg->reconnect_min_ms, cfg->reconnect_max_ms, STALL_MS };
	struct pg_settings	 replica = { "replica", cfg->follow_dsn,
	    cfg->reconnect_min_ms, cfg->reconnect_max_ms, STALL_MS };
	struct feed		*f = xcalloc(1, sizeof(*f));

	f->cfg = cfg;
	f->node = node;
	f->ops = ops;
	f->arg = arg;
	f->position = -1;
	stats_choose(STAT_ROLE, STAT_FOLLOWER);
	f->epoch = xstrdup("");
	f->ring_size = (size_t)cfg->ring_events;
	f->ring = xcalloc(f->ring_size, sizeof(struct entry *));
	f->ring_hashes = xcalloc(f->ring_size, sizeof(uint32_t));
	f->poll_timer = clock_new(base, feed_on_poll, f);
	f->due_timer = clock_new(base, feed_on_due, f);
	f->presence_timer = clock_new(base, feed_on_presence, f);
	f->beat_timer = clock_new(base, feed_on_beat, f);
	f->heart_timer = clock_new(base, feed_on_heartbeat, f);
	clock_start(f->beat_timer, BEAT_MS);
	clock_start(f->heart_timer, cfg->heartbeat_ms);
	f->main.feed = f->replica.feed = f;
	f->main.pg = pg_new(base, &set, &feed_pg_ops, f);
	f->log = &f->main;
	if (cfg->follow_dsn[0] != '\0') {
		f->log = &f->replica;
		f->replica.pg = pg_new(base, &replica, &feed_replica_ops, f);
	}
	return f;
}

void
feed_free(struct feed *f)
{
	if (f == NULL)
		return;
	pg_free(f->main.pg);
	pg_free(f->replica.pg);
	event_free(f->poll_timer);
	event_free(f->due_timer);
	event_free(f->presence_timer);
	event_free(f->beat_timer);
	event_free(f->heart_timer);
	while (f->ring_n > 0)
		ring_drop_oldest(f);
	free(f->ring_hashes);
	free(f->ring);
	feed_drop_hint(f);
	free(f->epoch);
	free(f);
}

void
feed_goodbye(struct feed *f)
{
	f->leaving = true;
	feed_todo(f, TODO_GOODBYE);
}

bool
feed_is_gone(const struct feed *f)
{
	return f->gone || !f->main.started;
}

int64_t
feed_position(const struct feed *f)
{
	return f->position;
}

const char *
feed_epoch(const struct feed *f)
{
	return f->epoch;
}

bool
feed_is_ready(const struct feed *f)
{
	return f->ready;
}

void
feed_vet(struct feed *f, struct pg *pg)
{
	size_t	i;

	for (i = 0; i < f->nvetted && f->vetted[i] != pg; i++)
		;
	if (i == VETTED_MAX)
		fatal("msg=\"too many connections to vet\"");
	if (i == f->nvetted)
		f->vetted[f->nvetted++] = pg;
	feed_ask_epoch(f, pg);
}

int
feed_backend(const struct feed *f)
{
	return pg_backend(f->main.pg);
}
