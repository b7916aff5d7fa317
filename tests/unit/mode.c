/* SPDX-License-Identifier: ISC */

/*
 * When the leader polls and when it sleeps: bells and moves go in, the clock
 * is the test's own.
 */

#include "base/config.h"
#include "db/mode.h"
#include "tap.h"

static struct config	cfg = { .arm_window = 10, .arm_below = 4,
			    .poll_bells = 5, .poll_window_ms = 50 };

/* Bells so many milliseconds apart: the first that says poll, or 0. */
static int
busy_at(struct mode *m, int64_t apart_ms, int bells)
{
	int64_t	now = 1000;
	int	i;

	for (i = 1; i <= bells; i++, now += apart_ms)
		if (mode_is_busy(m, now))
			return i;
	return 0;
}

/* Moves of which every so many find something: the first that says sleep. */
static int
quiet_at(struct mode *m, int every, int moves)
{
	int	i;

	for (i = 1; i <= moves; i++)
		if (mode_is_quiet(m, every > 0 && i % every == 0))
			return i;
	return 0;
}

static void
test_bells(void)
{
	struct mode	*m = mode_new(&cfg);

	ok(busy_at(m, 10, 20) == 6, "five bells within the window are many");
	mode_restart(m);
	ok(busy_at(m, 11, 20) == 0, "five in a longer time are not");
	mode_restart(m);
	ok(busy_at(m, 0, 5) == 0, "bells of before a restart do not count");
	mode_free(m);
}

static void
test_moving(void)
{
	struct mode	*m = mode_new(&cfg);
	int64_t		 now = 1000;
	int		 i, at = 0;

	/* A bell each 20 ms is rare; but each move for one takes 18. */
	for (i = 1; i <= 12 && at == 0; i++, now += 20) {
		if (mode_is_busy(m, now))
			at = i;
		mode_move_sent(m, now);
		mode_move_done(m, now + 18);
	}
	ok(at == 6, "few bells are many if the moves for them follow closely");
	mode_restart(m);
	for (i = 1, at = 0; i <= 12 && at == 0; i++, now += 20) {
		if (mode_is_busy(m, now))
			at = i;
		mode_move_sent(m, now);
		mode_move_done(m, now + 2);
	}
	ok(at == 0, "short moves leave the leader asleep");
	mode_free(m);
}

static void
test_quiet(void)
{
	struct mode	*m = mode_new(&cfg);

	ok(quiet_at(m, 0, 20) == 10, "a window of empty moves is quiet");
	mode_restart(m);
	ok(quiet_at(m, 1, 100) == 0, "moves that find rows keep it awake");
	mode_restart(m);
	ok(quiet_at(m, 5, 20) == 10, "few that do are quiet");
	mode_restart(m);
	ok(quiet_at(m, 2, 100) == 0, "many that do are not");
	mode_free(m);
}

int
main(void)
{
	test_bells();
	test_moving();
	test_quiet();
	return tap_done();
}
