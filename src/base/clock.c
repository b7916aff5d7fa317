/* SPDX-License-Identifier: ISC */

/*
 * Time in milliseconds, as everything here counts it.
 */

#include <event2/event.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

int64_t
clock_ms(void)
{
	struct timespec	ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
clock_us(void)
{
	struct timespec	ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

struct event *
clock_new(struct event_base *base, event_callback_fn fn, void *arg)
{
	struct event	*timer = evtimer_new(base, fn, arg);

	if (timer == NULL)
		fatal("msg=\"evtimer_new failed\"");
	return timer;
}

void
clock_start(struct event *timer, int64_t timeout_ms)
{
	struct timeval	tv = { timeout_ms / 1000, (timeout_ms % 1000) * 1000 };

	(void)evtimer_add(timer, &tv);
}

void
clock_start_us(struct event *timer, int64_t timeout_us)
{
	struct timeval	tv = { timeout_us / 1000000, timeout_us % 1000000 };

	(void)evtimer_add(timer, &tv);
}
