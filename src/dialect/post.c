/* SPDX-License-Identifier: ISC */

/*
 * A request that waits is a reply target.  Its command may outlast it: when
 * the connection ends first, the reply finds nobody.
 */

#include <event2/util.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/config.h"
#include "base/token.h"
#include "base/xmalloc.h"
#include "dialect/endpoint.h"
#include "dialect/post.h"
#include "dialect/proto.h"
#include "dialect/sse.h"
#include "net/conn.h"
#include "net/frame.h"
#include "net/http.h"
#include "net/request.h"
#include "net/ws.h"
#include "push/admit.h"
#include "push/client.h"
#include "push/command.h"
#include "push/reply.h"
#include "push/session.h"

#define EXTRA_MS	4000		/* over a handler's own limit; less
					 * than when it is given up */

/* A request that waits for its reply. */
struct post {
	struct conn	*conn;		/* NULL: it has ended, or is answered */
	bool		 is_once;	/* without the session of a stream */
};

static const struct config	*cfg;
static const struct token_keys	*keys;

/* The request as a reply target */

/* The connection to answer on, for the one time that it is; or NULL. */
static struct conn *
post_take(struct post *p)
{
	struct conn	*c = p->conn;

	p->conn = NULL;
	if (c != NULL)
		conn_own(c, NULL, NULL);
	return c;
}

static void
post_answer(void *arg, struct frame *text)
{
	struct conn	*c = post_take(arg);
	char		*body;

	if (c != NULL) {
		body = xmemdup(text->data, text->len);
		conn_respond(c, 200, NULL, "application/json", body);
		free(body);
	}
	frame_unref(text);
}

static void
post_drop(void *arg, int code, const char *reason)
{
	struct post	*p = arg;
	struct conn	*c = post_take(p);

	if (c != NULL && p->is_once && code != 0)
		sse_refuse_with(c, code, reason);
	else if (c != NULL)
		request_refuse(c, 404, "not_found", "the session has ended");
	if (p->is_once)
		admit_leave();
	free(p);
}

static const struct reply_ops reply_ops = { post_answer, post_drop };

/* Its connection */

static void
on_timer(struct conn *c)
{
	(void)post_take(conn_owner(c));
	request_refuse(c, 503, "unavailable", "no answer in time");
}

static void
on_closed(struct conn *c, int code)
{
	(void)code;
	(void)post_take(conn_owner(c));
}

static const struct conn_ops conn_ops = { NULL, NULL, on_timer, on_closed,
	NULL };

/* The reply to this command is the answer to the request. */
static void
post_wait(struct conn *c, struct command *cmd, bool is_once,
    int64_t timeout_ms)
{
	struct post	*p = xcalloc(1, sizeof(*p));

	p->conn = c;
	p->is_once = is_once;
	if (is_once)
		admit_enter();
	conn_own(c, &conn_ops, p);
	conn_defer(c);
	conn_set_timer(c, timeout_ms);
	cmd->to.ops = &reply_ops;
	cmd->to.arg = p;
	/* A send without a ref is not replied to: this one must be. */
	if (cmd->to.ref == NULL)
		cmd->to.ref = xstrdup("0");
}

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

static void
post_to_stream(struct conn *c, const char *token, struct command *cmd,
    const char *id)
{
	struct session	*s;
	char		*user;

	if ((user = user_of(token)) == NULL) {
		request_refuse(c, 401, "unauthorized", "bad token");
		return;
	}
	s = find_stream(id, user);
	free(user);
	if (s == NULL) {
		request_refuse(c, 404, "not_found", "no such session of yours");
		return;
	}
	post_wait(c, cmd, false, cfg->handler_timeout_ms + EXTRA_MS);
	client_command(s, cmd);
}

static void
post_once(struct conn *c, const char *token, struct command *cmd)
{
	post_wait(c, cmd, true, cfg->auth_timeout_ms +
	    cfg->handler_timeout_ms + EXTRA_MS);
	client_once(c, &sse_dialect, token, strlen(token), cmd);
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

/* A body may be any bytes. */
static int
parse(struct command *cmd, const struct http_slice *body, char **session)
{
	uint32_t	utf8 = WS_UTF8_START;

	memset(cmd, 0, sizeof(*cmd));
	if (!ws_utf8_check(&utf8, (const uint8_t *)body->p, body->len) ||
	    utf8 != WS_UTF8_START)
		return -1;
	return proto_parse(cmd, body->p, body->len, "send", session);
}

static void
post_open(struct conn *c, const struct http_request *req)
{
	struct command	 cmd;
	char		*token, *session = NULL;
	const char	*why;

	if ((why = admit_refusal(c)) != NULL) {
		request_refuse(c, 503, "unavailable", why);
		return;
	}
	/* A form of another page cannot have this type. */
	if (!is_json(req)) {
		request_refuse(c, 415, "bad_request",
		    "the type must be application/json");
		return;
	}
	if ((token = request_token(req, false)) == NULL) {
		request_refuse(c, 401, "unauthorized", "no token");
		return;
	}
	if (parse(&cmd, &req->body, &session) == -1)
		request_refuse(c, 400, "bad_request", "not a JSON object");
	else if (session != NULL)
		post_to_stream(c, token, &cmd, session);
	else
		post_once(c, token, &cmd);
	command_free(&cmd);
	free(session);
	free(token);
}

const struct route post_routes[] = {
	{ "POST", "/send", post_open, true },
	{ NULL, NULL, NULL, false },
};

void
post_init(const struct endpoint_env *env)
{
	cfg = env->cfg;
	keys = env->keys;
}
