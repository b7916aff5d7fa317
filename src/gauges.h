/* SPDX-License-Identifier: ISC */
#ifndef GAUGES_H
#define GAUGES_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What is not counted as it happens, but looked at when somebody asks.
 */

/* Once, at the start. */
void	 gauges_init(void);
/* Bring them up to date. */
void	 gauges_update(bool ready, int64_t position);

#endif
