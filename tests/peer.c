/* SPDX-License-Identifier: ISC */

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/config.h"
#include "base/log.h"
#include "base/table.h"
#include "base/xmalloc.h"
#include "net/listener.h"
#include "net/request.h"
#include "peer.h"

#define MESSAGE_MAX	1000000

static const struct conn_limits	limits = { MESSAGE_MAX, 64 << 20, 10000,
    5000 };
static conn_request		*serve;

static void
on_accept(struct sock *s, const struct sockaddr *from)
{
	(void)conn_new(s, from, serve, &limits);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)event_base_loopbreak(arg);
}

int
peer_run(int argc, char *argv[], conn_request *request,
    void (*start)(struct event_base *base), void (*stop)(void))
{
	static char		 any[] = "";
	static struct config	 cfg = { .origins = any, .jwt_cookie = any };
	struct event_base	*base = event_base_new();
	struct event		*term, *intr;
	char			*address;

	if (argc != 2) {
		(void)fprintf(stderr, "usage: %s port\n", argv[0]);
		return 2;
	}
	serve = request;
	table_init();
	conn_init(base);
	request_init(&cfg);
	start(base);
	listener_init(base, conn_count, SIZE_MAX);
	address = xasprintf("127.0.0.1:%s", argv[1]);
	if (listener_add(address, false, NULL, on_accept) == -1 ||
	    listener_open() == -1)
		fatal("msg=\"cannot listen\" address=%s", address);
	free(address);
	term = evsignal_new(base, SIGTERM, on_signal, base);
	intr = evsignal_new(base, SIGINT, on_signal, base);
	(void)event_add(term, NULL);
	(void)event_add(intr, NULL);
	(void)event_base_dispatch(base);
	listener_stop(NULL);
	stop();
	conn_exit();
	event_free(term);
	event_free(intr);
	event_base_free(base);
	return 0;
}
