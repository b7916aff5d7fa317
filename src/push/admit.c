/* SPDX-License-Identifier: ISC */

/*
 * Admission: counts and limits.
 */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/addr.h"
#include "base/stats.h"
#include "net/conn.h"
#include "push/account.h"
#include "push/admit.h"

static int64_t	nclients;
static int64_t	nnameless;		/* of them */
static int64_t	max_clients;
static int64_t	max_per_address;	/* 0: any number */
static bool	stopped;

void
admit_init(int64_t max, int64_t per_address)
{
	max_clients = max;
	max_per_address = per_address;
	nclients = nnameless = 0;
	stopped = false;
}

void
admit_set_max(int64_t max, int64_t per_address)
{
	max_clients = max;
	max_per_address = per_address;
}

static bool
admit_address_is_full(const struct conn *c)
{
	char	peer[ADDR_MAX];

	if (max_per_address == 0)
		return false;
	conn_peer(c, peer);
	return strcmp(peer, "unix") != 0 &&
	    account_sessions_of(ACCOUNT_ADDRESS, peer) >= max_per_address;
}

const char *
admit_refusal(const struct conn *c)
{
	if (stopped) {
		stats_add_to(STAT_REFUSED, REFUSED_DRAINING, 1);
		return "restarting";
	}
	if (nclients - nnameless < max_clients && !admit_address_is_full(c))
		return NULL;
	stats_add_to(STAT_REFUSED, REFUSED_CONNECTIONS, 1);
	return nclients - nnameless < max_clients ?
	    "too many connections of this address" : "too many connections";
}

bool
admit_is_over(void)
{
	return nclients - nnameless > max_clients;
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

void
admit_nameless(int n)
{
	nnameless += n;
}

int64_t
admit_nameless_count(void)
{
	return nnameless;
}

int64_t
admit_count(void)
{
	return nclients;
}
