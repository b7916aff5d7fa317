/* SPDX-License-Identifier: ISC */

/*
 * When the leader polls and when it sleeps: bells and moves go in, the clock
 * is the test's own.
 */

#include "base/config.h"
#include "db/mode.h"
#include "tap.h"

#define MS	1000

static struct config	cfg = { .arm_below = 250, .move_interval_ms = 5,
			    .move_interval_min_ms = 1, .poll_bells = 5,
			    .poll_window_ms = 50 };

/* Bells so far apart, each with a move of so long: the first that says poll. */
static int
busy_at(struct mode *m, int64_t apart_us, int64_t move_us)
{
	int64_t	now = 1000 * MS;
	int	i;

	mode_restart(m, now);
	for (i = 1; i <= 20; i++, now += apart_us) {
		if (mode_is_busy(m, now))
			return i;
		mode_move_sent(m, now);
		mode_move_done(m, now + move_us, 1);
	}
	return 0;
}

/* Moves of a millisecond, so many rows a second: the period in microseconds. */
static int64_t
period_at(struct mode *m, int64_t rate)
{
	int64_t	now = 0, due = 0, rows;
	int	i;

	mode_restart(m, now);
	for (i = 0; i < 300; i++, now += MS) {
		rows = rate * now / 1000000 - due;
		due += rows;
		mode_move_sent(m, now);
		mode_move_done(m, now + 300, rows);
	}
	now -= MS;
	return mode_wait_us(m, now + 300) + 300;
}

static void
test_bells(void)
{
	struct mode	*m = mode_new(&cfg);

	ok(busy_at(m, 10 * MS, 0) == 6, "five bells within the window are many");
	ok(busy_at(m, 11 * MS, 0) == 0, "five in a longer time are not");
	ok(busy_at(m, 20 * MS, 18 * MS) == 6,
	    "few bells are many if the moves for them follow closely");
	ok(busy_at(m, 20 * MS, 2 * MS) == 0, "short moves let the leader sleep");
	mode_restart(m, 0);
	ok(!mode_is_busy(m, MS), "bells of before a restart do not count");
	mode_free(m);
}

static void
test_period(void)
{
	struct mode	*m = mode_new(&cfg);
	int64_t		 at;

	ok(period_at(m, 0) == 5 * MS, "without events the longest period");
	ok(period_at(m, 100) == 5 * MS, "with few, too");
	at = period_at(m, 1000);
	ok(at >= 1800 && at <= 2200, "two events a move at 1000/s (%d)",
	    (int)at);
	ok(period_at(m, 20000) == 1 * MS, "with many the shortest");
	mode_move_sent(m, 1000 * MS);
	mode_move_done(m, 1007 * MS, 1);
	ok(mode_wait_us(m, 1007 * MS) == 0,
	    "after a move that took long the next one follows at once");
	ok(mode_wait_us(m, 1002 * MS) == 3 * MS,
	    "the period counts from the beginning of a move");
	mode_free(m);
}

static void
test_quiet(void)
{
	struct mode	*m = mode_new(&cfg);
	int64_t		 now;

	mode_restart(m, 0);
	ok(!mode_is_quiet(m, 99 * MS), "nobody sleeps in the first moment");
	ok(mode_is_quiet(m, 100 * MS), "but then, if nothing is to be done");
	for (now = 0; now < 200 * MS; now += 5 * MS) {
		mode_move_sent(m, now);
		mode_move_done(m, now, 2);
	}
	ok(!mode_is_quiet(m, now), "400 events a second keep it awake");
	for (; now < 400 * MS; now += 5 * MS) {
		mode_move_sent(m, now);
		mode_move_done(m, now, 1);
	}
	ok(mode_is_quiet(m, now), "200 do not");
	mode_move_done(m, now, 100);
	mode_move_sent(m, now + 5000 * MS);
	ok(mode_is_quiet(m, now + 5000 * MS), "what was long ago is forgotten");
	mode_free(m);
}

int
main(void)
{
	test_bells();
	test_period();
	test_quiet();
	return tap_done();
}
