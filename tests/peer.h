/* SPDX-License-Identifier: ISC */
#ifndef PEER_H
#define PEER_H

#include "net/conn.h"

/*
 * A program of the daemon's modules that the conformance tests talk to.
 */

struct event_base;

/*
 * Serve loopback at the port of argv[1] until SIGTERM or SIGINT; start and stop
 * prepare and clear what request uses.  Returns the exit status.
 */
int	peer_run(int argc, char *argv[], conn_request *request,
	    void (*start)(struct event_base *base), void (*stop)(void));

#endif
