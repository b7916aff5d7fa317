/* SPDX-License-Identifier: ISC */

/*
 * A dialect that nobody needs, to show what one takes: this file and its row
 * of the table at the end.  tests/lines is pgpushd with it.
 *
 *     GET  /lines              a stream of lines: "session ID", then
 *                              "event ROOM NAME DATA", "left ROOM REASON", ...
 *     GET  /lines?session=ID   the same session, carried on
 *     POST /lines?session=ID   a command: "join ROOM", "leave ROOM",
 *                              "send EVENT DATA" or "ping"; answered with
 *                              "ok ..." or "error CODE ..."
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "base/token.h"
#include "base/xmalloc.h"
#include "dialect/endpoint.h"
#include "dialect/native.h"
#include "dialect/post.h"
#include "dialect/sse.h"
#include "net/conn.h"
#include "net/frame.h"
#include "net/request.h"
#include "push/admit.h"
#include "push/client.h"
#include "push/command.h"
#include "push/session.h"

#define WAIT_MS	10000

static const struct token_keys	*keys;

/* Texts */

static struct frame *
line(const char *a, const char *b, const char *c, const char *d)
{
	const char	*words[] = { a, b, c, d };
	struct text	 t = { NULL, 0, 0 };
	struct frame	*f;
	size_t		 i;

	for (i = 0; i < 4 && words[i] != NULL; i++) {
		if (i > 0)
			text_add(&t, " ");
		text_add(&t, words[i]);
	}
	text_add(&t, "\n");
	f = frame_text(t.buf, t.len);
	free(t.buf);
	return f;
}

static struct frame *
line_number(const char *a, const char *b, int64_t n)
{
	char		*text = xasprintf("%" PRId64, n);
	struct frame	*f = line(a, b, text, NULL);

	free(text);
	return f;
}

static struct frame *
lines_event(const struct dialect *d, const struct entry *e)
{
	(void)d;
	return line("event", e->room, e->event, e->data);
}

static struct frame *
lines_emit(struct session *s, const char *event, const char *data)
{
	(void)s;
	return line("emit", event, data, NULL);
}

static struct frame *
lines_welcome(struct session *s, const struct welcome *w)
{
	(void)s;
	return line("session", w->session, NULL, NULL);
}

static struct frame *
lines_joined(struct session *s, const struct reply_to *to, const char *room,
    int64_t id)
{
	(void)s;
	(void)to;
	return line_number("ok", room, id);
}

static struct frame *
lines_put_in(struct session *s, const char *room, int64_t id)
{
	(void)s;
	return line_number("joined", room, id);
}

static struct frame *
lines_left(struct session *s, const char *room, const char *reason)
{
	(void)s;
	return line("left", room, reason, NULL);
}

/* Of a leave: the room; of a send: the handler's. */
static struct frame *
lines_reply(struct session *s, const struct reply_to *to, const char *what)
{
	(void)s;
	(void)to;
	return line("ok", what, NULL, NULL);
}

/* Of a ping: the position; of an auth: the token's end. */
static struct frame *
lines_reply_number(struct session *s, const struct reply_to *to, int64_t n)
{
	(void)s;
	(void)to;
	return line_number("ok", "", n);
}

static struct frame *
lines_error(struct session *s, const struct reply_to *to, const char *code,
    const char *message)
{
	(void)s;
	(void)to;
	return line("error", code, message, NULL);
}

static struct frame *
lines_reset(struct session *s, const char *room, int64_t id,
    const char *epoch)
{
	(void)s;
	(void)epoch;
	return line_number("reset", room, id);
}

static struct frame *
lines_no_number(struct session *s, int64_t n)
{
	(void)s;
	(void)n;
	return NULL;
}

static struct frame *
lines_at(struct session *s, int64_t id, const char *epoch)
{
	(void)s;
	(void)id;
	(void)epoch;
	return NULL;
}

static void
lines_begin(struct session *s)
{
	conn_stream(session_conn(s), "text/plain");
}

static void
lines_end(struct session *s, int code, const char *reason)
{
	conn_close(session_conn(s), code, reason);
}

static const struct dialect lines_dialect = {
	.label = STAT_SSE,
	.outlives = true,
	.begin = lines_begin,
	.end = lines_end,
	.event = lines_event,
	.emit = lines_emit,
	.welcome = lines_welcome,
	.joined = lines_joined,
	.put_in = lines_put_in,
	.left = lines_left,
	.reply_leave = lines_reply,
	.reply_send = lines_reply,
	.reply_ping = lines_reply_number,
	.reply_auth = lines_reply_number,
	.error = lines_error,
	.reset = lines_reset,
	.at = lines_at,
	.expiring = lines_no_number,
};

/* The stream */

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

static const struct conn_ops stream_ops = { NULL, on_drained, NULL, on_closed,
	NULL };

/* The session that the query names, if the token's user is its own. */
static struct session *
find_session(const struct http_request *req, const char *token)
{
	struct session	*s = NULL;
	struct token	 t;
	const char	*reason;
	char		 id[SESSION_ID_LEN + 1];

	if (token_verify(keys, token, strlen(token), (int64_t)time(NULL), &t,
	    &reason) == -1)
		return NULL;
	if (http_query_get(req, "session", id, sizeof(id)) > 0 &&
	    (s = session_find(id)) != NULL &&
	    (session_dialect(s) != &lines_dialect ||
	    !session_is_user(s, t.user)))
		s = NULL;
	token_free(&t);
	return s;
}

static void
carry_on(struct conn *c, struct session *s)
{
	if (session_conn(s) != NULL) {
		conn_respond(c, 409, NULL, "text/plain", "another has it");
		return;
	}
	conn_own(c, &stream_ops, s);
	admit_enter();
	conn_stream(c, "text/plain");
	client_carry(s, c);
}

static void
open_stream(struct conn *c, const struct http_request *req)
{
	char		*token = request_token(req, true);
	char		 id[SESSION_ID_LEN + 1];
	struct session	*s;

	if (token == NULL)
		conn_respond(c, 401, NULL, "text/plain", "no token");
	else if (http_query_get(req, "session", id, sizeof(id)) > 0) {
		if ((s = find_session(req, token)) == NULL)
			conn_respond(c, 404, NULL, "text/plain", "no session");
		else
			carry_on(c, s);
	} else {
		s = session_new(c, &lines_dialect);
		conn_own(c, &stream_ops, s);
		conn_defer(c);
		admit_enter();
		client_open(s);
		client_token(s, token, strlen(token), -1, NULL, NULL);
	}
	free(token);
}

/* Commands: the request is the reply's target */

struct waiting {
	struct conn	*conn;		/* NULL: it has ended, or is answered */
};

static void
answer(void *arg, struct frame *text)
{
	struct waiting	*w = arg;
	struct conn	*c = w->conn;

	if (c != NULL) {
		conn_own(c, NULL, NULL);
		conn_answer(c, 200, NULL, "text/plain", text->data,
		    text->len);
	}
	w->conn = NULL;
	frame_unref(text);
}

static void
drop(void *arg, int code, const char *reason)
{
	struct waiting	*w = arg;

	(void)code;
	(void)reason;
	if (w->conn != NULL)
		answer(w, line("error", "gone", NULL, NULL));
	free(w);
}

static const struct reply_ops reply_ops = { answer, drop };

static void
on_waiting_closed(struct conn *c, int code)
{
	struct waiting	*w = conn_owner(c);

	(void)code;
	w->conn = NULL;
}

static const struct conn_ops waiting_ops = { NULL, NULL, NULL,
	on_waiting_closed, NULL };

/* "verb argument data" as a command. */
static void
parse(struct command *cmd, const struct http_slice *body)
{
	char	*text = xmemdup(body->p, body->len), *verb, *arg, *data = text;

	memset(cmd, 0, sizeof(*cmd));
	cmd->since = -1;
	cmd->type = COMMAND_BAD;
	cmd->wrong = "verb";
	verb = strsep(&data, " \n");
	arg = strsep(&data, " \n");
	if (strcmp(verb, "ping") == 0)
		cmd->type = COMMAND_PING;
	else if (arg != NULL && strcmp(verb, "send") == 0) {
		cmd->type = COMMAND_SEND;
		cmd->event = xstrdup(arg);
	} else if (arg != NULL && (strcmp(verb, "join") == 0 ||
	    strcmp(verb, "leave") == 0)) {
		cmd->type = *verb == 'j' ? COMMAND_JOIN : COMMAND_LEAVE;
		cmd->room = xstrdup(arg);
	}
	cmd->data = xstrdup(data == NULL || *data == '\0' ? "null" : data);
	free(text);
}

static void
open_command(struct conn *c, const struct http_request *req)
{
	char		*token = request_token(req, true);
	struct session	*s = token == NULL ? NULL : find_session(req, token);
	struct waiting	*w;
	struct command	 cmd;

	free(token);
	if (s == NULL) {
		conn_respond(c, 404, NULL, "text/plain", "no session");
		return;
	}
	session_heard(s);
	parse(&cmd, &req->body);
	w = xcalloc(1, sizeof(*w));
	w->conn = c;
	cmd.to.ref = xstrdup("request");
	cmd.to.ops = &reply_ops;
	cmd.to.arg = w;
	conn_own(c, &waiting_ops, w);
	conn_defer(c);
	client_command(s, &cmd);
	command_free(&cmd);
}

static const struct route lines_routes[] = {
	{ "GET", "/lines", open_stream, false },
	{ "POST", "/lines", open_command, false },
	{ NULL, NULL, NULL, false },
};

static void
lines_init(const struct endpoint_env *env)
{
	keys = env->keys;
}

const struct endpoint endpoints[] = {
	{ native_init, native_routes, NULL },
	{ sse_init, sse_routes, NULL },
	{ post_init, post_routes, NULL },
	{ lines_init, lines_routes, NULL },
	{ NULL, NULL, NULL },
};
