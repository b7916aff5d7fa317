/* SPDX-License-Identifier: ISC */

/*
 * What is asked for stays known until the step that places the answer has been
 * answered itself: a connection that is lost loses nothing, as the rows are
 * still where they were.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "db/held.h"

#define STEP_ROWS	500
#define RENDER_ROWS	200	/* at once */
#define FAILURES_MAX	2
#define LATE_MAX	3	/* in a row: then nothing is asked */
#define LATE_PAUSE_MS	2000	/* for so long */
#define LATE		"{\"late\" : true}]"	/* how such an answer ends */

struct held {
	const struct config	*cfg;	/* outlives us */
	char	*done;		/* rendered, not placed yet; owned, NULL: none */
	char	 cut_xid[PG_NUMBER_MAX];	/* empty: no cut */
	char	 cut[PG_NUMBER_MAX];
	bool	 due;
	int	 failures;	/* of rendering, in a row */
	int	 late;		/* time limits that struck, in a row */
	int64_t	 again_ms;	/* until then nothing is asked */
	bool	 gave_up;	/* nothing is, in the statement under way */
};

/* Milliseconds from now; negative: late; NULL: never. */
#define MS_UNTIL(t)							\
	"ceil(extract(epoch FROM " t " - clock_timestamp()) * 1000)::bigint"

static const struct pg_stmt step_stmt = { "move_on",
	"SELECT m.moved, m.cut_xid, m.cut, " MS_UNTIL("m.due")
	" FROM pgpush.move_on($1::json, $2::int, $3::bigint) m", 3 };
static const struct pg_stmt cut_stmt = { "rendered",
	"SELECT pgpush.rendered($1::xid8, $2::bigint, $3::int, $4::boolean)",
	4 };
static const struct pg_stmt due_stmt = { "rendered_due",
	"SELECT pgpush.rendered_due($1::int, $2::boolean)", 2 };

struct held *
held_new(const struct config *cfg)
{
	struct held	*h = xcalloc(1, sizeof(*h));

	h->cfg = cfg;
	return h;
}

void
held_free(struct held *h)
{
	if (h == NULL)
		return;
	free(h->done);
	free(h);
}

void
held_restart(struct held *h)
{
	const struct config	*cfg = h->cfg;

	free(h->done);
	memset(h, 0, sizeof(*h));
	h->cfg = cfg;
}

int
held_step(struct held *h, struct pg *pg, pg_done done, void *arg)
{
	char		 most[PG_NUMBER_MAX], bytes[PG_NUMBER_MAX];
	const char	*params[] = { h->done == NULL ? "[]" : h->done,
	    pg_param(most, STEP_ROWS), pg_param(bytes, h->cfg->move_bytes) };

	return pg_send(pg, &step_stmt, params, done, arg);
}

static void
held_copy(char out[PG_NUMBER_MAX], const char *value)
{
	(void)snprintf(out, PG_NUMBER_MAX, "%s", value == NULL ? "" : value);
}

struct held_step
held_stepped(struct held *h, const struct pg_result *res)
{
	struct held_step	s = { .found = h->done != NULL };
	int64_t			moved = pg_number(res, 0, 0);

	free(h->done);
	h->done = NULL;
	held_copy(h->cut_xid, pg_value(res, 0, 1));
	held_copy(h->cut, pg_value(res, 0, 2));
	s.has_due = pg_value(res, 0, 3) != NULL;
	s.due_ms = pg_number(res, 0, 3);
	h->due = s.has_due && s.due_ms <= 0;
	s.found = s.found || moved > 0;
	s.asks = held_asks(h);
	return s;
}

void
held_due(struct held *h)
{
	h->due = true;
}

bool
held_is_busy(const struct held *h)
{
	return h->done != NULL || h->cut_xid[0] != '\0';
}

bool
held_asks(const struct held *h)
{
	return h->done == NULL && (h->cut_xid[0] != '\0' || h->due);
}

int
held_render(struct held *h, struct pg *pg, bool give_up, pg_done done,
    void *arg)
{
	bool		 stops = give_up || clock_ms() < h->again_ms;
	char		 most[PG_NUMBER_MAX];
	const char	*stop = stops ? "true" : "false";
	const char	*cut[] = { h->cut_xid, h->cut,
	    pg_param(most, RENDER_ROWS), stop };
	const char	*due[] = { most, stop };

	h->gave_up = stops;
	if (h->cut_xid[0] != '\0')
		return pg_send(pg, &cut_stmt, cut, done, arg);
	return pg_send(pg, &due_stmt, due, done, arg);
}

/*
 * What hangs costs everybody its time limit, once for each event that it makes:
 * so after a few it is left alone for a while, and then tried once.
 */
static void
held_note_late(struct held *h, const char *json)
{
	size_t	len = strlen(json), tail = strlen(LATE);

	if (h->gave_up)
		return;
	if (len < tail || strcmp(json + len - tail, LATE) != 0)
		h->late = 0;
	else if (++h->late >= LATE_MAX) {
		h->again_ms = clock_ms() + LATE_PAUSE_MS;
		log_warn("feed=leader msg=\"held events and rechecks take too "
		    "long: resync and revoke instead\" pause_ms=%d",
		    LATE_PAUSE_MS);
	}
}

void
held_rendered(struct held *h, const struct pg_result *res)
{
	const char	*json;

	if (!pg_ok(res)) {
		h->failures++;
		return;
	}
	h->failures = 0;
	json = pg_value(res, 0, 0);
	free(h->done);
	h->done = xstrdup(json == NULL ? "[]" : json);
	held_note_late(h, h->done);
}

bool
held_fails(const struct held *h)
{
	return h->failures >= FAILURES_MAX;
}
