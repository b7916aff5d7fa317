/* SPDX-License-Identifier: ISC */

/*
 * The connection carries its session from the handshake on, token or not, and
 * the session ends with it.
 */

#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "dialect/endpoint.h"
#include "dialect/native.h"
#include "dialect/proto.h"
#include "net/conn.h"
#include "net/http.h"
#include "net/request.h"
#include "net/route.h"
#include "net/ws.h"
#include "push/admit.h"
#include "push/client.h"
#include "push/command.h"
#include "push/session.h"

#define PROTOCOL	"pgpush.v1"
#define EPOCH_MAX	64

/* The connection */

static void
on_message(struct conn *c, bool binary, const uint8_t *p, size_t len)
{
	struct command	cmd;

	if (binary) {
		conn_close(c, CLOSE_BAD_FRAME, "binary message");
		return;
	}
	if (proto_parse(&cmd, (const char *)p, len, NULL,
	    NULL) == -1)
		conn_close(c, CLOSE_BAD_FRAME, "not a JSON object");
	else
		client_command(conn_owner(c), &cmd);
	command_free(&cmd);
}

static void
on_drained(struct conn *c)
{
	client_drained(conn_owner(c));
}

static void
on_closed(struct conn *c, int code)
{
	(void)code;
	admit_leave();
	client_lost(conn_owner(c));
}

static void
on_pinged(struct conn *c)
{
	client_pinged(conn_owner(c));
}

static const struct conn_ops conn_ops = { on_message, on_drained, NULL,
	on_closed, on_pinged };

/* The request */

static void
open_session(struct conn *c, const struct http_request *req)
{
	struct session	*s;
	char		 epoch[EPOCH_MAX], *token = request_token(req, true);
	int64_t		 since = request_position(req, epoch, sizeof(epoch));

	s = session_new(c, &proto_dialect);
	conn_own(c, &conn_ops, s);
	admit_enter();
	client_open(s);
	if (since == REQUEST_BAD_POSITION)
		conn_close(c, CLOSE_BAD_FRAME, "bad since");
	else if (token != NULL)
		client_token(s, token, strlen(token), since,
		    epoch[0] == '\0' ? NULL : epoch, NULL);
	free(token);
}

static void
open_websocket(struct conn *c, const struct http_request *req)
{
	int		 status = ws_handshake_check(req);
	const char	*why;

	if (status != 0) {
		conn_respond(c, status, status == 426 ?
		    "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n" :
		    NULL, "text/plain", http_reason(status));
		return;
	}
	if ((why = admit_refusal(c)) != NULL) {
		conn_respond(c, 503, "Retry-After: 5\r\n", "text/plain",
		    why);
		return;
	}
	conn_upgrade(c, req, http_header_has(req, "Sec-WebSocket-Protocol",
	    PROTOCOL) ? PROTOCOL : NULL);
	if (request_origin_ok(req))
		open_session(c, req);
	else
		conn_close(c, CLOSE_FORBIDDEN, "origin not allowed");
}

const struct route native_routes[] = {
	{ NULL, "/ws", open_websocket, false },
	{ NULL, NULL, NULL, false },
};

void
native_init(const struct endpoint_env *env)
{
	proto_init((size_t)env->cfg->max_message);
}
