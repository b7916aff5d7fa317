/* SPDX-License-Identifier: ISC */

/*
 * echo PORT: the daemon's connection code and nothing else.  Accepts WebSocket
 * connections on loopback and sends every message back, text and binary up to
 * 16 MB, for conformance tests.  Ends on SIGTERM or SIGINT.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/conn.h"
#include "net/frame.h"
#include "base/log.h"
#include "net/sock.h"
#include "net/ws.h"

#define MESSAGE_MAX	(16 << 20)

static const struct conn_limits	limits = { MESSAGE_MAX, 64 << 20, 10000,
    5000 };

static void
on_request(struct conn *c, const struct http_request *req)
{
	int	status = ws_handshake_check(req);

	if (status == 0)
		conn_upgrade(c, req, NULL);
	else
		conn_respond(c, status, NULL, "text/plain",
		    http_reason(status));
}

static void
on_message(struct conn *c, bool binary, const uint8_t *p, size_t len)
{
	struct frame	*f = conn_message(binary, p, len);

	conn_send(c, f, false);
	frame_unref(f);
}

static void
ignore(struct conn *c)
{
	(void)c;
}

static void
on_closed(struct conn *c, int code)
{
	(void)c;
	(void)code;
}

static const struct conn_ops conn_ops = { on_request, on_message, ignore,
	ignore, on_closed };

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct sockaddr_storage	 ss;
	struct sock		 sock;

	(void)what;
	(void)arg;
	if (sock_accept(&sock, fd, &ss) == 0)
		conn_new(&sock, (struct sockaddr *)&ss, &conn_ops, &limits);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)event_base_loopbreak(arg);
}

static int
listen_on(int port)
{
	struct sockaddr_in	sin;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons((uint16_t)port);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sock_listen((struct sockaddr *)&sin, sizeof(sin), false);
}

int
main(int argc, char *argv[])
{
	struct event_base	*base = event_base_new();
	struct event		*listener, *term, *intr;
	int			 fd, port = argc == 2 ? atoi(argv[1]) : 0;

	if (port <= 0 || port > UINT16_MAX) {
		(void)fprintf(stderr, "usage: echo port\n");
		return 2;
	}
	if ((fd = listen_on(port)) == -1)
		fatal("msg=\"cannot listen\" port=%d", port);
	conn_init(base);
	listener = event_new(base, fd, EV_READ | EV_PERSIST, on_accept, NULL);
	term = evsignal_new(base, SIGTERM, on_signal, base);
	intr = evsignal_new(base, SIGINT, on_signal, base);
	(void)event_add(listener, NULL);
	(void)event_add(term, NULL);
	(void)event_add(intr, NULL);
	(void)event_base_dispatch(base);
	conn_exit();
	event_free(listener);
	event_free(term);
	event_free(intr);
	event_base_free(base);
	return 0;
}
