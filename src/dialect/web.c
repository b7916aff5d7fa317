/* SPDX-License-Identifier: ISC */

/*
 * Whoever gets as far as a session here has shown a token, but only the
 * session's greeting asks the database whether there is such a user.
 */

#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "push/client.h"
#include "base/config.h"
#include "net/conn.h"
#include "net/http.h"
#include "push/command.h"
#include "dialect/proto.h"
#include "push/room.h"
#include "push/session.h"
#include "dialect/sse.h"
#include "base/text.h"
#include "base/token.h"
#include "dialect/web.h"
#include "net/ws.h"
#include "base/xmalloc.h"

#define TOKEN_MAX	8192		/* in the query, bytes */
#define RETRY_MS	5000		/* for who is not let in */
#define EXTRA_MS	4000		/* over a handler's own limit; less
					 * than when it is given up */

static const struct config	*cfg;
static const struct token_keys	*keys;

/* Who may */

bool
web_origin_ok(const struct http_request *req)
{
	const struct http_slice	*origin = http_header_find(req, "Origin");
	char			*s;
	bool			 ok;

	if (cfg->origins[0] == '\0' || origin == NULL)
		return true;
	s = xmemdup(origin->p, origin->len);
	ok = config_list_has(cfg->origins, s);
	free(s);
	return ok;
}

void
web_bearer(const struct http_request *req, struct http_slice *token)
{
	static const char	 scheme[] = "Bearer ";
	const struct http_slice	*h = http_header_find(req, "Authorization");

	token->len = 0;
	if (h == NULL || h->len < sizeof(scheme) - 1 ||
	    evutil_ascii_strncasecmp(h->p, scheme, sizeof(scheme) - 1) != 0)
		return;
	token->p = h->p + sizeof(scheme) - 1;
	token->len = h->len - (sizeof(scheme) - 1);
}

/* The value of the cookie, RFC 6265 section 5.4; a copy, or NULL. */
static char *
find_cookie(const struct http_request *req)
{
	const struct http_slice	*h = http_header_find(req, "Cookie");
	size_t			 n = strlen(cfg->jwt_cookie), len;
	const char		*p, *end;

	if (h == NULL || n == 0)
		return NULL;
	end = h->p + h->len;
	for (p = h->p; p < end; p += len + (p + len < end)) {
		while (p < end && *p == ' ')
			p++;
		for (len = 0; p + len < end && p[len] != ';'; len++)
			;
		if (len > n && memcmp(p, cfg->jwt_cookie, n) == 0 &&
		    p[n] == '=')
			return xmemdup(p + n + 1, len - n - 1);
	}
	return NULL;
}

/*
 * The token: Authorization, else the query, else the cookie; which a browser
 * sends with the requests of any page, and so counts only if pages are told
 * apart.  A copy, or NULL.
 */
static char *
find_token(const struct http_request *req)
{
	struct http_slice	 bearer;
	char			 text[TOKEN_MAX];

	web_bearer(req, &bearer);
	if (bearer.len > 0)
		return xmemdup(bearer.p, bearer.len);
	if (http_query_get(req, "token", text, sizeof(text)) > 0)
		return xstrdup(text);
	return cfg->origins[0] == '\0' ? NULL : find_cookie(req);
}

/*
 * Header lines that let the page read the answer.  Its origin has been
 * compared with the list, so it can be repeated as it is.
 */
static void
allow_origin(struct conn *c, const struct http_request *req)
{
	const struct http_slice	*origin = http_header_find(req, "Origin");
	char			*lines;

	if (origin == NULL)
		return;
	lines = cfg->origins[0] == '\0' ?
	    xstrdup("Access-Control-Allow-Origin: *\r\n") :
	    xasprintf("Access-Control-Allow-Origin: %.*s\r\n"
	    "Access-Control-Allow-Credentials: true\r\nVary: Origin\r\n",
	    (int)origin->len, origin->p);
	conn_set_headers(c, lines);
	free(lines);
}

static struct session *
session_for(struct conn *c, const struct dialect *d)
{
	struct session	*s;

	conn_defer(c);
	s = session_new(c, d);
	conn_set_owner(c, s);
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

/*
 * The position to go on from: Last-Event-ID, else since and epoch of the
 * query, else none (-1).  One that cannot be read is no epoch's: it resets.
 */
static int64_t
find_since(const struct http_request *req, char *epoch, size_t size)
{
	const struct http_slice	*last = http_header_find(req,
				    "Last-Event-ID");
	char			 text[96];
	int64_t			 since = -1;

	epoch[0] = '\0';
	if (last != NULL && last->len > 0) {
		if (last->len < sizeof(text)) {
			memcpy(text, last->p, last->len);
			text[last->len] = '\0';
			since = sse_position(text, epoch, size);
		}
	} else if (http_query_get(req, "since", text, sizeof(text)) > 0) {
		since = sse_number(text);
		if (http_query_get(req, "epoch", epoch, size) < 0)
			epoch[0] = '\0';
	} else
		return -1;
	if (since < 0) {
		since = 0;
		(void)snprintf(epoch, size, "?");
	}
	return since;
}

static struct session *
route_events(struct conn *c, const struct http_request *req,
    const char *refusal)
{
	char		*token, *rooms, epoch[64];
	int64_t		 since = find_since(req, epoch, sizeof(epoch));
	struct session	*s;

	if (refusal != NULL) {
		sse_later(c, RETRY_MS);
		return NULL;
	}
	if ((token = find_token(req)) == NULL) {
		sse_refuse(c, 401, "unauthorized", "no token");
		return NULL;
	}
	if ((rooms = find_rooms(req)) == NULL) {
		free(token);
		sse_refuse(c, 400, "bad_request", "bad or too many rooms");
		return NULL;
	}
	s = session_for(c, &sse_dialect);
	client_token(s, token, strlen(token), since, epoch[0] == '\0' ? NULL :
	    epoch, rooms);
	free(token);
	free(rooms);
	return s;
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
static struct session *
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
		return s;
	}
	if ((user = user_of(token)) == NULL) {
		sse_refuse(c, 401, "unauthorized", "bad token");
		return NULL;
	}
	s = find_stream(cmd->session, user);
	free(user);
	if (s == NULL) {
		sse_refuse(c, 404, "not_found", "no such session of yours");
		return NULL;
	}
	conn_defer(c);
	conn_set_timer(c, cfg->handler_timeout_ms + EXTRA_MS);
	sse_expect(c, s, &cmd->ref);
	client_command(s, cmd);
	return NULL;
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

static struct session *
route_send(struct conn *c, const struct http_request *req,
    const char *refusal)
{
	struct session	*s = NULL;
	struct command	 cmd;
	char		*token;

	if (refusal != NULL) {
		sse_refuse(c, 503, "unavailable", refusal);
		return NULL;
	}
	/* A form of another page cannot have this type. */
	if (!is_json(req)) {
		sse_refuse(c, 415, "bad_request",
		    "the type must be application/json");
		return NULL;
	}
	if ((token = find_token(req)) == NULL) {
		sse_refuse(c, 401, "unauthorized", "no token");
		return NULL;
	}
	if (proto_parse(&cmd, req->body.p, req->body.len, "send") == -1)
		sse_refuse(c, 400, "bad_request", "not a JSON object");
	else
		s = run(c, token, &cmd);
	command_free(&cmd);
	free(token);
	return s;
}

/* Routes */

static void
preflight(struct conn *c)
{
	conn_respond(c, 204, "Access-Control-Allow-Methods: GET, POST\r\n"
	    "Access-Control-Allow-Headers: Authorization, Content-Type, "
	    "Last-Event-ID\r\nAccess-Control-Max-Age: 600\r\n",
	    "text/plain", "");
}

bool
web_has(const struct http_request *req)
{
	return http_slice_is(&req->path, "/events") ||
	    http_slice_is(&req->path, "/send");
}

struct session *
web_request(struct conn *c, const struct http_request *req,
    const char *refusal)
{
	bool	events = http_slice_is(&req->path, "/events");

	if (!web_origin_ok(req)) {
		sse_refuse(c, 403, "forbidden", "origin not allowed");
		return NULL;
	}
	allow_origin(c, req);
	if (http_slice_is(&req->method, "OPTIONS"))
		preflight(c);
	else if (!http_slice_is(&req->method, events ? "GET" : "POST"))
		conn_respond(c, 405, events ? "Allow: GET, OPTIONS\r\n" :
		    "Allow: POST, OPTIONS\r\n", "application/json",
		    "{\"error\":{\"code\":\"bad_request\","
		    "\"message\":\"another method\"}}");
	else if (events)
		return route_events(c, req, refusal);
	else
		return route_send(c, req, refusal);
	return NULL;
}

void
web_timeout(struct conn *c)
{
	sse_forget(c);
	sse_refuse(c, 503, "unavailable", "no answer in time");
}

void
web_closed(const struct conn *c)
{
	sse_forget(c);
}

void
web_init(const struct config *config, const struct token_keys *token_keys)
{
	cfg = config;
	keys = token_keys;
}
