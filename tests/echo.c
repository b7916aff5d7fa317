/* SPDX-License-Identifier: ISC */

/*
 * echo PORT: the daemon's connection code and nothing else.  Accepts WebSocket
 * connections on loopback and sends every message back, text and binary up to
 * 16 MB, for conformance tests.  Ends on SIGTERM or SIGINT.
 */

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/xmalloc.h"
#include "net/conn.h"
#include "net/frame.h"
#include "net/listener.h"
#include "net/ws.h"

#define MESSAGE_MAX	(16 << 20)

static const struct conn_limits	limits = { MESSAGE_MAX, 64 << 20, 10000,
    5000 };

static void
on_message(struct conn *c, bool binary, const uint8_t *p, size_t len)
{
	struct frame	*f = frame_message(binary ? WS_BINARY : WS_TEXT, p, len);

	conn_send(c, f, false);
	frame_unref(f);
}

static const struct conn_ops conn_ops = { on_message, NULL, NULL, NULL, NULL };

static void
on_request(struct conn *c, const struct http_request *req)
{
	int	status = ws_handshake_check(req);

	if (status == 0) {
		conn_own(c, &conn_ops, NULL);
		conn_upgrade(c, req, NULL);
	} else
		conn_respond(c, status, NULL, "text/plain",
		    http_reason(status));
}

static void
on_accept(struct sock *s, const struct sockaddr *peer)
{
	(void)conn_new(s, peer, on_request, &limits);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)event_base_loopbreak(arg);
}

int
main(int argc, char *argv[])
{
	struct event_base	*base = event_base_new();
	struct event		*term, *intr;
	char			*address;
	int			 port = argc == 2 ? atoi(argv[1]) : 0;

	if (port <= 0 || port > UINT16_MAX) {
		(void)fprintf(stderr, "usage: echo port\n");
		return 2;
	}
	conn_init(base);
	listener_init(base, conn_count, SIZE_MAX);
	address = xasprintf("127.0.0.1:%d", port);
	if (listener_add(address, false, NULL, on_accept) == -1 ||
	    listener_open() == -1)
		fatal("msg=\"cannot listen\" port=%d", port);
	free(address);
	term = evsignal_new(base, SIGTERM, on_signal, base);
	intr = evsignal_new(base, SIGINT, on_signal, base);
	(void)event_add(term, NULL);
	(void)event_add(intr, NULL);
	(void)event_base_dispatch(base);
	conn_exit();
	listener_stop(NULL);
	event_free(term);
	event_free(intr);
	event_base_free(base);
	return 0;
}
