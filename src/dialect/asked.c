/* SPDX-License-Identifier: ISC */

/*
 * The checks in the order of the reference, so that a request with two faults
 * gets the same answer.
 */

#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "dialect/asked.h"
#include "net/conn.h"
#include "net/http.h"
#include "net/ws.h"

static const char *const error_messages[] = {
	"Transport unknown", "Session ID unknown", "Bad handshake method",
	"Bad request", "Forbidden", "Unsupported protocol version",
};

/* Whether a new session may come of the request. */
static enum asked_error
check_new(const struct asked *a, const struct http_request *req)
{
	if (!http_slice_is(&req->method, "GET"))
		return ASKED_METHOD;
	if (a->is_websocket != a->is_upgrade ||
	    (a->is_upgrade && ws_handshake_check(req) != 0))
		return ASKED_REQUEST;
	return a->is_v4 ? ASKED_NONE : ASKED_VERSION;
}

enum asked_error
asked_read(struct asked *a, const struct http_request *req)
{
	struct http_slice	rest = req->query;
	char			transport[16], version[8];
	int			n;

	memset(a, 0, sizeof(*a));
	a->is_upgrade = http_header_has(req, "Upgrade", "websocket");
	a->is_v4 = http_query_get(req, "EIO", version, sizeof(version)) > 0 &&
	    strcmp(version, "4") == 0;
	if (http_query_get(req, "transport", transport,
	    sizeof(transport)) <= 0)
		return ASKED_TRANSPORT;
	a->is_websocket = strcmp(transport, "websocket") == 0;
	if (!a->is_websocket && strcmp(transport, "polling") != 0)
		return ASKED_TRANSPORT;
	n = http_query_next(&rest, "sid", a->sid, sizeof(a->sid));
	if (n == -1)
		return ASKED_SID;
	if (n <= 0)
		a->sid[0] = '\0';
	return n > 0 ? ASKED_NONE : check_new(a, req);
}

void
asked_refuse(struct conn *c, const struct asked *a, enum asked_error error)
{
	const char	*message = error_messages[error];
	int		 status = error == ASKED_FORBIDDEN ? 403 : 400;
	char		*body;

	if (a->is_upgrade) {
		conn_answer(c, status, NULL, "text/html", message,
		    strlen(message));
		return;
	}
	body = xasprintf("{\"code\":%d,\"message\":\"%s\"}", (int)error,
	    message);
	conn_answer(c, status, NULL, "application/json", body,
	    strlen(body));
	free(body);
}
