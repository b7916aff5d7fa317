/* SPDX-License-Identifier: ISC */

/*
 * A session that nobody carries: its output waits in order and within a bound,
 * its timer runs, and closing it ends it.
 */

#include <event2/event.h>

#include "net/frame.h"
#include "push/session.h"
#include "tap.h"

#define HIGH	100		/* bytes */

static int	ticks, closes, wakes, goodbyes;

static void
on_timer(struct session *s)
{
	(void)s;
	ticks++;
}

static void
on_closed(struct session *s, int code, const char *reason)
{
	(void)code;
	(void)reason;
	closes++;
	session_end(s);
}

static void
on_wake(struct session *s)
{
	(void)s;
	wakes++;
}

static void
on_gone(struct session *s, int code, const char *reason)
{
	(void)s;
	(void)reason;
	goodbyes += code == 1234;
}

static const struct session_ops	ops = { on_timer, on_closed };
static const struct dialect	lasting = { .outlives = true,
	.wake = on_wake, .gone = on_gone };
static const struct dialect	mortal = { .outlives = false };

static void
send_bytes(struct session *s, size_t len, uint8_t first)
{
	struct frame	*f = frame_new(len);

	memset(f->data, 0, len);
	f->data[0] = first;
	session_send(s, f);
}

/* The first byte of the next piece, -1 if nothing waits. */
static int
take(struct session *s)
{
	struct frame	*f = session_take(s);
	int		 first = f == NULL ? -1 : f->data[0];

	frame_unref(f);
	return first;
}

static void
test_waiting(void)
{
	struct session	*s = session_new(NULL, &lasting);

	ok(take(s) == -1 && wakes == 0, "nothing waits at first");
	send_bytes(s, 60, 1);
	send_bytes(s, 40, 2);
	ok(wakes == 1, "the first piece that waits wakes the dialect, once");
	ok(!session_is_full(s), "the bound itself is not full");
	send_bytes(s, 10, 3);
	ok(session_is_full(s), "one byte over the bound is full");
	ok(take(s) == 1, "what waited first is taken first");
	ok(!session_is_full(s), "half of the bound is not full");
	ok(take(s) == 2 && take(s) == 3 && take(s) == -1, "then the others");
	send_bytes(s, 10, 4);
	ok(wakes == 2, "it is woken again when something waits again");
	session_end(s);
	ok(take(s) == -1, "after the end nothing waits");
	send_bytes(s, 10, 5);
	ok(take(s) == -1, "nor does what is sent after it");
	session_unref(s);
}

static void
test_hysteresis(void)
{
	struct session	*s = session_new(NULL, &lasting);
	int		 i;

	for (i = 0; i < 11; i++)
		send_bytes(s, 10, 1);
	for (i = 0; i < 5; i++)
		(void)take(s);
	ok(session_is_full(s), "full until it is at half of the bound");
	(void)take(s);
	ok(!session_is_full(s), "and not after");
	session_end(s);
	session_unref(s);
}

static void
test_mortal(void)
{
	struct session	*s = session_new(NULL, &mortal);

	send_bytes(s, 10, 1);
	ok(take(s) == -1, "for a dialect without it nothing waits");
	session_end(s);
	session_unref(s);
}

static void
test_timer(struct event_base *base)
{
	struct session	*s = session_new(NULL, &lasting);

	session_set_timer(s, 0);
	(void)event_base_loop(base, EVLOOP_ONCE);
	ok(ticks == 1, "its timer runs with no connection");
	session_set_timer(s, 0);
	session_end(s);
	session_set_timer(s, 0);
	(void)event_base_loop(base, EVLOOP_NONBLOCK);
	ok(ticks == 1, "and not after its end");
	session_unref(s);
}

static void
test_close(void)
{
	struct session	*s = session_new(NULL, &lasting);

	session_close(s, 1234, "enough");
	ok(closes == 1 && goodbyes == 1 && session_has_ended(s),
	    "closing it ends it, and its dialect says so");
	session_close(s, 1234, "enough");
	ok(closes == 1 && goodbyes == 1, "once");
	session_unref(s);
}

int
main(void)
{
	struct event_base	*base = event_base_new();

	session_init(base, HIGH, &ops);
	test_waiting();
	test_hysteresis();
	test_mortal();
	test_timer(base);
	test_close();
	event_base_free(base);
	return tap_done();
}
