/* SPDX-License-Identifier: ISC */

/*
 * Admission: one count, one limit.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/stats.h"
#include "push/admit.h"

static int64_t	nclients;
static int64_t	max_clients;
static bool	stopped;

void
admit_init(int64_t max)
{
	max_clients = max;
	nclients = 0;
	stopped = false;
}

void
admit_set_max(int64_t max)
{
	max_clients = max;
}

const char *
admit_refusal(void)
{
	if (stopped) {
		stats_add_to(STAT_REFUSED, REFUSED_DRAINING, 1);
		return "restarting";
	}
	if (nclients < max_clients)
		return NULL;
	stats_add_to(STAT_REFUSED, REFUSED_CONNECTIONS, 1);
	return "too many connections";
}

void
admit_stop(void)
{
	stopped = true;
}

void
admit_enter(void)
{
	nclients++;
}

void
admit_leave(void)
{
	nclients--;
}

int64_t
admit_count(void)
{
	return nclients;
}
