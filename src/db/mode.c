/* SPDX-License-Identifier: ISC */

/*
 * A leader that polls and finds little in its last arm_window moves sleeps.
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

#define BELLS_MAX		64	/* poll_bells is at most this */
#define MOVING_PERCENT		75	/* of the time: bells are too many */

/* When a bell rang, and how long moves had taken by then. */
struct bell {
	int64_t		at_ms;		/* 0: it did not */
	int64_t		moving_ms;
};

struct mode {
	const struct config	*cfg;		/* outlives us */
	int64_t			 moves;		/* of this window */
	int64_t			 moves_found;
	struct bell		 bells[BELLS_MAX];	/* the last ones */
	unsigned int		 bell_next;
	int64_t			 move_ms;	/* when it was last sent */
	int64_t			 moving_ms;	/* in all moves since then */
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
mode_restart(struct mode *m)
{
	m->moves = m->moves_found = 0;
	m->bell_next = 0;
	m->moving_ms = 0;
	memset(m->bells, 0, sizeof(m->bells));
}

void
mode_move_sent(struct mode *m, int64_t now_ms)
{
	m->move_ms = now_ms;
}

void
mode_move_done(struct mode *m, int64_t now_ms)
{
	m->moving_ms += now_ms - m->move_ms;
}

bool
mode_is_quiet(struct mode *m, bool found)
{
	bool	quiet;

	m->moves++;
	m->moves_found += found;
	if (m->moves < m->cfg->arm_window)
		return false;
	quiet = m->moves_found < m->cfg->arm_below;
	m->moves = m->moves_found = 0;
	return quiet;
}

bool
mode_is_busy(struct mode *m, int64_t now_ms)
{
	unsigned int	 n = (unsigned int)m->cfg->poll_bells;
	struct bell	*oldest = &m->bells[m->bell_next++ % n];
	int64_t		 passed = now_ms - oldest->at_ms;
	bool		 busy;

	busy = oldest->at_ms != 0 && (passed <= m->cfg->poll_window_ms ||
	    m->moving_ms - oldest->moving_ms > passed * MOVING_PERCENT / 100);
	oldest->at_ms = now_ms;
	oldest->moving_ms = m->moving_ms;
	return busy;
}
