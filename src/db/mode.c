/* SPDX-License-Identifier: ISC */

/*
 * The rate is that of the last tenth of a second, counted in slices.  A leader
 * that polls moves once for every two events that it expects, but within
 * bounds; the time counts from the beginning of a move, so that a slow move is
 * not followed by a pause as well.
 *
 * Many bells in a short time: moving every few milliseconds is cheaper.  So it
 * is, however few they are, if the moves for them follow one another: each
 * commit that rings is flushed by itself, which on a slow disk is what limits
 * the writers.
 */

#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/xmalloc.h"
#include "db/mode.h"

#define SLICES			10
#define SLICE_US		10000
#define WINDOW_US		(SLICES * SLICE_US)
#define EVENTS_A_MOVE		2
#define BELLS_MAX		64	/* poll_bells is at most this */
#define MOVING_PERCENT		75	/* of the time: bells are too many */

/* When a bell rang, and how long moves had taken by then. */
struct bell {
	int64_t		at_us;		/* 0: it did not */
	int64_t		moving_us;
};

struct mode {
	const struct config	*cfg;		/* outlives us */
	int64_t			 since_us;	/* in this role */
	int64_t			 rows[SLICES];	/* in the last slices */
	int64_t			 slice;		/* the newest one's number */
	int64_t			 sum;		/* of rows */
	struct bell		 bells[BELLS_MAX];	/* the last ones */
	unsigned int		 bell_next;
	int64_t			 move_us;	/* when it was last sent */
	int64_t			 moving_us;	/* in all moves since then */
};

struct mode *
mode_new(const struct config *cfg)
{
	struct mode	*m = xcalloc(1, sizeof(*m));

	m->cfg = cfg;
	return m;
}

void
mode_free(struct mode *m)
{
	free(m);
}

void
mode_restart(struct mode *m, int64_t now_us)
{
	const struct config	*cfg = m->cfg;

	memset(m, 0, sizeof(*m));
	m->cfg = cfg;
	m->since_us = now_us;
	m->slice = now_us / SLICE_US;
}

/* Forget the slices that are too old by now. */
static void
mode_turn(struct mode *m, int64_t now_us)
{
	int64_t	slice = now_us / SLICE_US, i;

	for (i = 0; i < SLICES && m->slice < slice; i++) {
		m->slice++;
		m->sum -= m->rows[m->slice % SLICES];
		m->rows[m->slice % SLICES] = 0;
	}
	m->slice = slice;
}

void
mode_move_sent(struct mode *m, int64_t now_us)
{
	m->move_us = now_us;
	mode_turn(m, now_us);
}

void
mode_move_done(struct mode *m, int64_t now_us, int64_t rows)
{
	mode_turn(m, now_us);
	m->rows[m->slice % SLICES] += rows;
	m->sum += rows;
	m->moving_us += now_us - m->move_us;
}

int64_t
mode_wait_us(const struct mode *m, int64_t now_us)
{
	int64_t	min = m->cfg->move_interval_min_ms * 1000;
	int64_t	max = m->cfg->move_interval_ms * 1000;
	int64_t	period = max;

	if (m->sum > 0)
		period = EVENTS_A_MOVE * (int64_t)WINDOW_US / m->sum;
	if (period > max)
		period = max;
	if (period < min)
		period = min;
	period -= now_us - m->move_us;
	return period > 0 ? period : 0;
}

/* A role is kept for the time that the rate is counted in. */
bool
mode_is_quiet(const struct mode *m, int64_t now_us)
{
	return now_us - m->since_us >= WINDOW_US &&
	    m->sum * 1000000 / WINDOW_US < m->cfg->arm_below;
}

bool
mode_is_busy(struct mode *m, int64_t now_us)
{
	unsigned int	 n = (unsigned int)m->cfg->poll_bells;
	struct bell	*oldest = &m->bells[m->bell_next++ % n];
	int64_t		 passed = now_us - oldest->at_us;
	bool		 busy;

	busy = oldest->at_us != 0 &&
	    (passed <= m->cfg->poll_window_ms * 1000 ||
	    m->moving_us - oldest->moving_us > passed * MOVING_PERCENT / 100);
	oldest->at_us = now_us;
	oldest->moving_us = m->moving_us;
	return busy;
}
