/* SPDX-License-Identifier: ISC */

/*
 * eioecho PORT: Engine.IO at /engine.io/, every message comes back.
 */

#include <event2/event.h>

#include "dialect/engine.h"
#include "peer.h"

static const struct engine_settings	settings = { 300, 200, 10000, 1000000,
    1 << 20, "" };

static void
on_open(struct engine *e, struct conn *c, const struct http_request *req)
{
	(void)e;
	(void)c;
	(void)req;
}

static void
on_message(struct engine *e, bool binary, const uint8_t *p, size_t len)
{
	engine_send(e, binary, p, len);
}

static void
on_carried(struct engine *e)
{
	(void)e;
}

static void
on_closed(struct engine *e, const char *why)
{
	(void)e;
	(void)why;
}

static const struct engine_ops	ops = { on_open, on_message, on_carried, NULL,
    NULL, NULL, on_closed };

static void
on_request(struct conn *c, const struct http_request *req)
{
	if (http_slice_is(&req->path, "/engine.io/"))
		engine_serve(c, req, NULL);
	else
		conn_respond(c, 404, NULL, "text/plain", "not found");
}

static void
start(struct event_base *base)
{
	engine_init(base, &settings, &ops);
}

int
main(int argc, char *argv[])
{
	return peer_run(argc, argv, on_request, start, engine_exit);
}
