/* SPDX-License-Identifier: ISC */
#ifndef CLOCK_H
#define CLOCK_H

#include <event2/event.h>
#include <stdint.h>

/* Milliseconds on a clock that never jumps (CLOCK_MONOTONIC). */
int64_t	 clock_ms(void);
/* The same in microseconds. */
int64_t	 clock_us(void);

/* A libevent timer, not started yet; event_free it. */
struct event *
	 clock_new(struct event_base *base, event_callback_fn fn, void *arg);

/* (Re)start a libevent timer, so many milliseconds from now. */
void	 clock_start(struct event *timer, int64_t timeout_ms);
void	 clock_start_us(struct event *timer, int64_t timeout_us);

#endif
