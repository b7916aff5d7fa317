/* SPDX-License-Identifier: ISC */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

struct event;

/* Milliseconds on a clock that never jumps (CLOCK_MONOTONIC). */
int64_t	 clock_ms(void);

/* (Re)start a libevent timer, so many milliseconds from now. */
void	 clock_start(struct event *timer, int64_t timeout_ms);

#endif
