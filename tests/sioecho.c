/* SPDX-License-Identifier: ISC */

/*
 * sioecho PORT: Socket.IO at /socket.io/ with the namespaces / and /custom.
 * Answers a connection with the event auth, whose data is what the client
 * showed, and refuses it if that has the member refuse; the event message with
 * message-back and the same arguments; and message-with-ack with an ack of its
 * arguments.
 */

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "base/xmalloc.h"
#include "dialect/sio.h"
#include "peer.h"

static const struct engine_settings	settings = { 300, 200, 10000, 1000000,
    1 << 20, "" };
static const struct sio_settings	sio_settings = { "/custom", 1000, 0 };

static void
on_connect(struct sio *s, const struct http_slice *auth)
{
	struct span	 v = span_parse(auth->p, auth->len);
	char		*event;

	if (span_member(&v, "refuse").kind != SPAN_NONE) {
		sio_refuse(s, "{\"message\":\"refused\"}");
		return;
	}
	sio_send(s, PACKET_CONNECT, -1, "{\"sid\":\"aaaaaaaaaaaaaaaaaaaa\"}");
	sio_connected(s);
	event = xasprintf("[\"auth\",%.*s]", auth->len == 0 ? 2 :
	    (int)auth->len, auth->len == 0 ? "{}" : auth->p);
	sio_send(s, PACKET_EVENT, -1, event);
	free(event);
}

static void
on_event(struct sio *s, const struct packet *pkt, const struct sio_blob *blobs)
{
	struct span	 all = span_parse(pkt->data.p, pkt->data.len), name;
	size_t		 at = 0;
	const char	*rest;
	int		 n;
	char		*json;
	bool		 is_ack = pkt->ack >= 0;

	name = span_next(&all, &at);
	if (name.kind != SPAN_STRING) {
		sio_close(s, CLOSE_BAD_FRAME, "no event");
		return;
	}
	rest = name.p + name.len;
	n = (int)(all.p + all.len - rest);
	json = is_ack ? xasprintf("[%.*s", n - (*rest == ',') , rest +
	    (*rest == ',')) : xasprintf("[\"message-back\"%.*s", n, rest);
	sio_send_blobs(s, pkt->attachments == 0 ? (is_ack ? PACKET_ACK :
	    PACKET_EVENT) : (is_ack ? PACKET_BINARY_ACK :
	    PACKET_BINARY_EVENT), pkt->ack, json, blobs, pkt->attachments);
	free(json);
}

static void
on_closed(struct sio *s, bool for_good)
{
	(void)s;
	(void)for_good;
}

static const struct sio_ops	ops = { .connect = on_connect,
    .event = on_event, .closed = on_closed };

static void
on_request(struct conn *c, const struct http_request *req)
{
	if (http_slice_is(&req->path, "/socket.io/"))
		engine_serve(c, req, NULL);
	else
		conn_respond(c, 404, NULL, "text/plain", "not found");
}

static void
start(struct event_base *base)
{
	sio_init(base, &settings, &sio_settings, &ops);
}

int
main(int argc, char *argv[])
{
	return peer_run(argc, argv, on_request, start, sio_exit);
}
