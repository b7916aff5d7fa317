/* SPDX-License-Identifier: ISC */

/*
 * Admission: one count, one limit.
 */

#include <stdbool.h>
#include <stddef.h>

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

const char *
admit_refusal(void)
{
	if (stopped)
		return "restarting";
	return nclients >= max_clients ? "too many connections" : NULL;
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
