/* SPDX-License-Identifier: ISC */

/*
 * Whoever gets as far as a session here has shown a token, but only the
 * session's greeting asks the database whether there is such a user.
 */

#include <event2/util.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/config.h"
#include "base/log.h"
#include "base/text.h"
#include "base/token.h"
#include "base/xmalloc.h"
#include "dialect/endpoint.h"
#include "dialect/proto.h"
#include "dialect/sse.h"
#include "dialect/web.h"
#include "net/conn.h"
#include "net/http.h"
#include "net/request.h"
#include "net/route.h"
#include "net/ws.h"
#include "push/admit.h"
#include "push/client.h"
#include "push/command.h"
#include "push/room.h"
#include "push/session.h"

#define EPOCH_MAX	64
#define RETRY_MS	5000		/* for who is not let in */
#define EXTRA_MS	4000		/* over a handler's own limit; less
					 * than when it is given up */

static const struct config	*cfg;
static const struct token_keys	*keys;

/* Connections */

static void
on_drained(struct conn *c)
{
	client_drained(conn_owner(c));
}

static void
on_closed(struct conn *c, int code)
{
	struct session	*s = conn_owner(c);

	log_debug("conn=%" PRIu64 " msg=closed code=%d", conn_id(c), code);
	admit_leave();
	sse_ended(s);
	client_lost(s);
}

/* Of a connection with a session of its own. */
static const struct conn_ops session_ops = { NULL, on_drained, NULL, on_closed };

static void
on_request_timer(struct conn *c)
{
	sse_forget(c);
	request_refuse(c, 503, "unavailable", "no answer in time");
}

static void
on_request_closed(struct conn *c, int code)
{
	(void)code;
	sse_forget(c);
}

/* Of a request whose answer comes from the session of another one. */
static const struct conn_ops request_ops = { NULL, NULL, on_request_timer,
	on_request_closed };

static struct session *
session_for(struct conn *c, const struct dialect *d)
{
	struct session	*s;

	conn_defer(c);
	s = session_new(c, d);
	conn_own(c, &session_ops, s);
	admit_enter();
	client_open(s);
	return s;
}

/* GET /events */

/* The rooms of the query as a JSON array; NULL: one cannot be, or too many. */
static char *
find_rooms(const struct http_request *req)
{
	struct http_slice	 rest = req->query;
	char			 room[ROOM_NAME_MAX + 2];
	struct text		 t = { NULL, 0, 0 };
	size_t			 i;
	uint32_t		 utf8;
	int			 r;

	text_add(&t, "[");
	for (i = 0; (r = http_query_next(&rest, "room", room,
	    sizeof(room))) != HTTP_QUERY_END; i++) {
		utf8 = WS_UTF8_START;
		if (r < 0 || !room_name_ok(room) ||
		    i >= (size_t)cfg->max_rooms ||
		    !ws_utf8_check(&utf8, (const uint8_t *)room, (size_t)r) ||
		    utf8 != WS_UTF8_START) {
			free(t.buf);
			return NULL;
		}
		if (i > 0)
			text_add(&t, ",");
		text_add_string(&t, room);
	}
	text_add(&t, "]");
	return t.buf;
}

static void
open_events(struct conn *c, const struct http_request *req)
{
	char		*token, *rooms, epoch[EPOCH_MAX];
	int64_t		 since = request_position(req, epoch, sizeof(epoch));
	const char	*why;
	struct session	*s;

	if ((why = admit_refusal()) != NULL) {
		conn_refused(c, 503, why);
		sse_later(c, RETRY_MS);
		return;
	}
	if ((token = request_token(req, true)) == NULL) {
		request_refuse(c, 401, "unauthorized", "no token");
		return;
	}
	if ((rooms = find_rooms(req)) == NULL) {
		free(token);
		request_refuse(c, 400, "bad_request", "bad or too many rooms");
		return;
	}
	/* A position that cannot be read is no epoch's: it resets. */
	if (since == REQUEST_BAD_POSITION) {
		since = 0;
		(void)snprintf(epoch, sizeof(epoch), "?");
	}
	s = session_for(c, &sse_dialect);
	client_token(s, token, strlen(token), since, epoch[0] == '\0' ? NULL :
	    epoch, rooms);
	free(token);
	free(rooms);
}

/* POST /send */

/* The user of a token, which the caller frees; NULL if it is not good. */
static char *
user_of(const char *token)
{
	struct token	 t;
	const char	*reason;
	char		*user;

	if (token_verify(keys, token, strlen(token), (int64_t)time(NULL), &t,
	    &reason) == -1)
		return NULL;
	user = xstrdup(t.user);
	token_free(&t);
	return user;
}

/* The stream of that user that a command is for, or NULL. */
static struct session *
find_stream(const char *id, const char *user)
{
	struct session	*s = session_find(id);

	return s != NULL && session_dialect(s)->merged &&
	    strcmp(user, session_user(s)) == 0 ? s : NULL;
}

/* Do the command for its stream, or for a session of its own. */
static void
run(struct conn *c, const char *token, struct command *cmd)
{
	struct session	*s;
	char		*user;

	if (cmd->session == NULL) {
		s = session_for(c, &post_dialect);
		sse_expect(c, s, &cmd->ref);
		client_token(s, token, strlen(token), -1, NULL, NULL);
		if (session_data(s) != NULL)
			client_command(s, cmd);
		return;
	}
	if ((user = user_of(token)) == NULL) {
		request_refuse(c, 401, "unauthorized", "bad token");
		return;
	}
	s = find_stream(cmd->session, user);
	free(user);
	if (s == NULL) {
		request_refuse(c, 404, "not_found", "no such session of yours");
		return;
	}
	conn_own(c, &request_ops, NULL);
	conn_defer(c);
	conn_set_timer(c, cfg->handler_timeout_ms + EXTRA_MS);
	sse_expect(c, s, &cmd->ref);
	client_command(s, cmd);
}

/* RFC 9110 section 8.3: parameters do not matter. */
static bool
is_json(const struct http_request *req)
{
	static const char	 json[] = "application/json";
	const struct http_slice	*type = http_header_find(req, "Content-Type");
	size_t			 n = sizeof(json) - 1;

	return type != NULL && type->len >= n &&
	    evutil_ascii_strncasecmp(type->p, json, n) == 0 &&
	    (type->len == n || type->p[n] == ';' || type->p[n] == ' ');
}

static void
open_send(struct conn *c, const struct http_request *req)
{
	struct command	 cmd;
	const char	*why;
	char		*token;

	if ((why = admit_refusal()) != NULL) {
		request_refuse(c, 503, "unavailable", why);
		return;
	}
	/* A form of another page cannot have this type. */
	if (!is_json(req)) {
		request_refuse(c, 415, "bad_request",
		    "the type must be application/json");
		return;
	}
	if ((token = request_token(req, true)) == NULL) {
		request_refuse(c, 401, "unauthorized", "no token");
		return;
	}
	if (proto_parse(&cmd, req->body.p, req->body.len, "send") == -1)
		request_refuse(c, 400, "bad_request", "not a JSON object");
	else
		run(c, token, &cmd);
	command_free(&cmd);
	free(token);
}

const struct route web_routes[] = {
	{ "GET", "/events", open_events, true },
	{ "POST", "/send", open_send, true },
	{ NULL, NULL, NULL, false },
};

void
web_init(const struct endpoint_env *env)
{
	cfg = env->cfg;
	keys = env->keys;
	sse_init(env->feed);
}
