/* SPDX-License-Identifier: ISC */

/*
 * What holds always: position only grows, but for another database; a new
 * epoch of the same log, after a failover, is come to by reading on, because
 * between its beginning and now somebody may have lost his rights.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "db/entry.h"
#include "db/feed.h"
#include "db/ring.h"
#include "db/tail.h"
#include "db/term.h"

#define VETTED_MAX	256	/* connections beside the feed's */

struct tail {
	const struct config	*cfg;		/* outlives us, as do ops */
	const struct tail_ops	*ops;
	void			*arg;
	int64_t			 position;
	char			*epoch;		/* of the server; owned */
	struct terms		*terms;		/* owned */
	struct ring		*ring;		/* owned */
	struct pg		*vetted[VETTED_MAX];	/* asked for theirs */
	size_t			 nvetted;
};

/* Somebody's connection, asked for its epoch. */
struct vet {
	struct tail	*tail;
	struct pg	*pg;
};

static const struct pg_stmt read_stmt = { "read",
	"SELECT f.id, (SELECT string_agg(t.tag || ' ' || t.first, ' '"
	"  ORDER BY t.n) FROM (SELECT * FROM pgpush.terms ORDER BY n DESC"
	"   LIMIT 4) t),"
	" r.* FROM pgpush.floor f LEFT JOIN (SELECT " FEED_COLUMNS
	" FROM (SELECT *, sum(bytes) OVER (ORDER BY id) - bytes AS before"
	"   FROM (SELECT * FROM pgpush.log WHERE id > $2::bigint"
	"     ORDER BY id LIMIT $3::bigint) l) w"
	" WHERE before < $4::bigint) r ON true ORDER BY r.id", 4 };

#define READ_COLUMN	2

/* The newest rows up to the position, as many as the ring can have. */
static const struct pg_stmt load_stmt = { NULL,
	"SELECT " FEED_COLUMNS " FROM (SELECT *,"
	"  sum(bytes) OVER (ORDER BY id DESC) AS together"
	"  FROM (SELECT * FROM pgpush.log WHERE id <= $2::bigint"
	"    ORDER BY id DESC LIMIT $3::bigint) l) w"
	" WHERE together <= $4::bigint ORDER BY id", 4 };

/*
 * Where the log stands; and whether the row that began its epoch is still
 * before us, so that reading on will come to it.
 */
static const struct pg_stmt place_stmt = { NULL,
	"SELECT e.epoch, h.newest, f.id, h.terms,"
	" CASE WHEN $1::bigint >= 0 AND e.epoch <> $2 THEN EXISTS ("
	"  SELECT FROM pgpush.log l WHERE l.id > $1::bigint"
	"  AND l.kind = 'epoch' AND l.data ->> 'epoch' = e.epoch)"
	" ELSE false END"
	" FROM pgpush.epoch e, pgpush.floor f, pgpush.history() h", 2 };

static const struct pg_stmt epoch_stmt = { NULL,
	"SELECT epoch FROM pgpush.epoch", 0 };

struct tail *
tail_new(const struct config *cfg, const struct tail_ops *ops, void *arg)
{
	struct tail	*t = xcalloc(1, sizeof(*t));

	t->cfg = cfg;
	t->ops = ops;
	t->arg = arg;
	t->position = -1;
	t->epoch = xstrdup("");
	t->terms = terms_new();
	t->ring = ring_new((size_t)cfg->ring_events, (size_t)cfg->ring_bytes);
	return t;
}

void
tail_free(struct tail *t)
{
	if (t == NULL)
		return;
	ring_free(t->ring);
	terms_free(t->terms);
	free(t->epoch);
	free(t);
}

int64_t
tail_position(const struct tail *t)
{
	return t->position;
}

const char *
tail_tag(const struct tail *t)
{
	return terms_tag(t->terms);
}

bool
tail_knows(const struct tail *t, const char *tag, int64_t id)
{
	return terms_have(t->terms, tag, id);
}

static void
tail_add_terms(struct tail *t, const char *text)
{
	if (terms_add(t->terms, text))
		t->ops->term(t->arg, terms_first(t->terms));
}

/* Before the first event of the term, whose id is not of the last one. */
static bool
tail_see_terms(struct tail *t, const char *text)
{
	if (terms_fork(t->terms, text, t->position))
		return false;
	tail_add_terms(t, text);
	return true;
}

bool
tail_begin_term(struct tail *t, const char *term)
{
	return tail_see_terms(t, term);
}

struct ring *
tail_ring(const struct tail *t)
{
	return t->ring;
}

/* Other connections */

static void
tail_vetted(void *arg, const struct pg_result *res)
{
	struct vet	*v = arg;
	const char	*epoch = pg_ok(res) ? pg_value(res, 0, 0) : NULL;

	/* Before the first connection there is nothing to compare. */
	if (epoch != NULL && v->tail->epoch[0] != '\0' &&
	    strcmp(epoch, v->tail->epoch) != 0)
		pg_refuse(v->pg, "another epoch than the feed's");
	free(v);
}

static void
tail_ask_epoch(struct tail *t, struct pg *pg)
{
	struct vet	*v = xcalloc(1, sizeof(*v));

	v->tail = t;
	v->pg = pg;
	if (pg_send(pg, &epoch_stmt, NULL, tail_vetted, v) == -1)
		free(v);
}

void
tail_vet(struct tail *t, struct pg *pg)
{
	size_t	i;

	for (i = 0; i < t->nvetted && t->vetted[i] != pg; i++)
		;
	if (i == VETTED_MAX)
		fatal("msg=\"too many connections to vet\"");
	if (i == t->nvetted)
		t->vetted[t->nvetted++] = pg;
	tail_ask_epoch(t, pg);
}

static void
tail_set_epoch(struct tail *t, const char *epoch)
{
	size_t	i;

	if (strcmp(t->epoch, epoch) == 0)
		return;
	free(t->epoch);
	t->epoch = xstrdup(epoch);
	for (i = 0; i < t->nvetted; i++) {
		/* One that was refused may have been ahead of us. */
		pg_hurry(t->vetted[i]);
		tail_ask_epoch(t, t->vetted[i]);
	}
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

static bool
is_in_ring(const struct entry *e)
{
	return e->kind == ENTRY_EVENT || e->kind == ENTRY_RESYNC;
}

static void
tail_hand_over(struct tail *t, struct entry *e)
{
	if (e->kind == ENTRY_EPOCH) {
		/* What was before has its ids in the old one. */
		t->ops->complete(t->arg);
		tail_set_epoch(t, e->data);
		ring_clear(t->ring, t->position);
	} else if (is_in_ring(e))
		ring_add(t->ring, e);
	t->ops->entry(t->arg, e);
}

/* Whether a row's data is too large for a move's answer, but not to be sent. */
static bool
is_left_out(const struct tail *t, const struct pg_result *res, int row,
    int column)
{
	int64_t		 bytes = pg_number(res, row, column + FEED_BYTES);
	const char	*kind = pg_value(res, row, column + 1);

	return bytes > 0 && bytes <= t->cfg->max_event &&
	    pg_value(res, row, column + FEED_DATA) == NULL &&
	    (strcmp(kind, "event") == 0 || strcmp(kind, "signal") == 0);
}

/* The rows from our position on; returns the first that was left out. */
static int
tail_deliver(struct tail *t, const struct pg_result *res, int column)
{
	struct entry	*e;
	int64_t		 id;
	int		 i;

	for (i = 0; i < pg_rows(res); i++) {
		if ((id = pg_number(res, i, column)) <= t->position)
			continue;
		if (is_left_out(t, res, i, column))
			break;
		e = feed_entry_from_row(res, i, column, t->cfg->max_event);
		t->position = id;
		if (e == NULL) {
			log_warn("feed=tail msg=\"unknown kind\" id=%" PRId64,
			    id);
			continue;
		}
		tail_hand_over(t, e);
		entry_unref(e);
	}
	t->ops->complete(t->arg);
	return i;
}

enum tail_moved
tail_moved(struct tail *t, const struct pg_result *res, int column)
{
	if (pg_number(res, 0, column) <= t->position)
		return TAIL_FOREIGN;
	return tail_deliver(t, res, column) < pg_rows(res) ? TAIL_LEFT_OUT :
	    TAIL_ALL;
}

int
tail_read(struct tail *t, struct pg *pg, pg_done done, void *arg)
{
	char		 max[PG_NUMBER_MAX], after[PG_NUMBER_MAX],
			 limit[PG_NUMBER_MAX], bytes[PG_NUMBER_MAX];
	const char	*params[] = { pg_param(max, t->cfg->max_event),
	    pg_param(after, t->position), pg_param(limit, t->cfg->move_limit),
	    pg_param(bytes, t->cfg->move_bytes) };

	return pg_send(pg, &read_stmt, params, done, arg);
}

enum tail_read
tail_read_done(struct tail *t, const struct pg_result *res)
{
	int64_t	bytes = 0;
	int	i;

	if (pg_number(res, 0, 0) > t->position)
		return TAIL_PURGED;
	if (!tail_see_terms(t, pg_value(res, 0, 1)))
		return TAIL_FORKED;
	if (pg_value(res, 0, READ_COLUMN) == NULL)
		return TAIL_END;
	(void)tail_deliver(t, res, READ_COLUMN);
	for (i = 0; i < pg_rows(res); i++)
		bytes += pg_number(res, i, READ_COLUMN + FEED_BYTES);
	return pg_rows(res) >= t->cfg->move_limit ||
	    bytes >= t->cfg->move_bytes ? TAIL_MORE : TAIL_END;
}

/* The place */

int
tail_place(struct tail *t, struct pg *pg, pg_done done, void *arg)
{
	char		 after[PG_NUMBER_MAX];
	const char	*params[] = { pg_param(after, t->position), t->epoch };

	return pg_send(pg, &place_stmt, params, done, arg);
}

/*
 * Whether our position, with the tag that we last knew, is of the history that
 * the answer shows.  A replica may lack both.  A primary whose log ends before
 * our position gets another term, which tells.
 */
static bool
tail_is_past(const struct tail *t, const struct pg_result *res, bool replica)
{
	struct terms	*there = terms_new();
	const char	*tag = terms_tag(t->terms);
	bool		 past;

	terms_set(there, pg_value(res, 0, 3));
	past = tag[0] == '\0' || terms_have(there, tag, t->position) ||
	    (replica && t->position > pg_number(res, 0, 1) &&
	    terms_reach(t->terms, pg_value(res, 0, 3)));
	terms_free(there);
	return past;
}

enum tail_place
tail_placed(struct tail *t, const struct pg_result *res, bool replica)
{
	const char	*epoch = pg_value(res, 0, 0);
	bool		 first = t->position < 0;

	if (epoch == NULL)
		epoch = "";
	if (!first && t->position >= pg_number(res, 0, 2)) {
		if (pg_true(res, 0, 4)) {
			/* The row to come resets everybody. */
			terms_set(t->terms, pg_value(res, 0, 3));
			return TAIL_GOES_ON;
		}
		if (strcmp(epoch, t->epoch) == 0 &&
		    tail_is_past(t, res, replica)) {
			tail_add_terms(t, pg_value(res, 0, 3));
			return TAIL_GOES_ON;
		}
	}
	return first ? TAIL_BEGINS : TAIL_MISSED;
}

void
tail_begin(struct tail *t, const struct pg_result *res)
{
	const char	*epoch = pg_value(res, 0, 0);

	terms_set(t->terms, pg_value(res, 0, 3));
	t->position = pg_number(res, 0, 1);
	tail_set_epoch(t, epoch == NULL ? "" : epoch);
	ring_clear(t->ring, t->position);
}

int
tail_load(struct tail *t, struct pg *pg, pg_done done, void *arg)
{
	char		 max[PG_NUMBER_MAX], upto[PG_NUMBER_MAX],
			 limit[PG_NUMBER_MAX], bytes[PG_NUMBER_MAX];
	const char	*params[] = { pg_param(max, t->cfg->max_event),
	    pg_param(upto, t->position), pg_param(limit, t->cfg->ring_events),
	    pg_param(bytes, t->cfg->ring_bytes < t->cfg->move_bytes ?
	    t->cfg->ring_bytes : t->cfg->move_bytes) };

	return pg_send(pg, &load_stmt, params, done, arg);
}

void
tail_loaded(struct tail *t, const struct pg_result *res)
{
	struct entry	*e;
	int		 i;

	if (pg_rows(res) > 0)
		ring_begin(t->ring, pg_number(res, 0, 0) - 1);
	for (i = 0; i < pg_rows(res); i++) {
		e = feed_entry_from_row(res, i, 0, t->cfg->max_event);
		if (e == NULL)
			continue;
		if (is_in_ring(e))
			ring_add(t->ring, e);
		entry_unref(e);
	}
}
