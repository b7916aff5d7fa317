/* SPDX-License-Identifier: ISC */

/*
 * Every record is the native text with lines around it, so that a client needs
 * one parser, and what a record says is said in one place.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/text.h"
#include "base/xmalloc.h"
#include "db/entry.h"
#include "db/feed.h"
#include "dialect/endpoint.h"
#include "dialect/proto.h"
#include "dialect/sse.h"
#include "net/conn.h"
#include "net/frame.h"
#include "net/http.h"
#include "net/request.h"
#include "net/ws.h"
#include "push/admit.h"
#include "push/client.h"
#include "push/reply.h"
#include "push/room.h"
#include "push/session.h"

/* An EventSource dispatches these itself: a page must not take an event of a
 * room for a broken connection. */
#define OWN_EVENTS	"error open message"
#define RETRY_MS	1000		/* what a stream begins with */
#define REFUSED_MS	5000		/* for a client that is not admitted */
#define EPOCH_MAX	64
#define TYPE		"text/event-stream"

static const struct config	*cfg;
static struct feed		*feed;

/* Lines */

/*
 * The lines around a native text, of which the caller's reference goes.  A
 * name comes from the database and may hold anything: a line it may not end.
 */
static struct frame *
wrap(const char *id, const char *prefix, const char *name,
    struct frame *native)
{
	size_t		 i, n;
	char		*head;
	struct frame	*f;

	if (prefix[0] == '\0' && config_list_has(OWN_EVENTS, name))
		prefix = "event:";
	head = xasprintf("%sevent: %s%s\ndata: ", id, prefix, name);
	n = strlen(head);
	for (i = strlen(id); i + sizeof("\ndata: ") <= n; i++)
		if (head[i] == '\n' || head[i] == '\r')
			head[i] = ' ';
	f = frame_new(n + native->len + 2);
	memcpy(f->data, head, n);
	memcpy(f->data + n, native->data, native->len);
	/* Between the parts of a JSON text a line may end; a record's not. */
	for (i = n; i < n + native->len; i++)
		if (f->data[i] == '\n' || f->data[i] == '\r')
			f->data[i] = ' ';
	memcpy(f->data + n + native->len, "\n\n", 2);
	free(head);
	frame_unref(native);
	return f;
}

static struct frame *
control(const char *type, struct frame *native)
{
	return native == NULL ? NULL : wrap("", "pgpush:", type, native);
}

static struct frame *
sse_event(const struct dialect *d, const struct entry *e)
{
	char		*id;
	struct frame	*f;

	(void)d;
	id = e->id != 0 && e->kind != ENTRY_SIGNAL ? xasprintf("id: %s.%"
	    PRId64 "\n", feed_epoch(feed), e->id) : xstrdup("");
	f = wrap(id, "", e->event, proto_dialect.event(&proto_dialect, e));
	free(id);
	return f;
}

static struct frame *
sse_emit(struct session *s, const char *event, const char *data)
{
	return wrap("", "", event, proto_dialect.emit(s, event, data));
}

/* The position moves on with the heartbeat; no event comes of it. */
static struct frame *
sse_at(struct session *s, int64_t id, const char *epoch)
{
	(void)s;
	return frame_of_text(xasprintf("id: %s.%" PRId64 "\n\n", epoch, id),
	    NULL, 0);
}

static struct frame *
sse_welcome(struct session *s, const struct welcome *w)
{
	struct frame	*native = proto_dialect.welcome(s, w), *f;
	char		*id;

	/* Who is cut before he was told the resets must come back as he was. */
	id = w->resets ? xasprintf("retry: %d\n", RETRY_MS) :
	    xasprintf("retry: %d\nid: %s.%" PRId64 "\n", RETRY_MS, w->epoch,
	    w->id);
	f = wrap(id, "pgpush:", "welcome", native);
	free(id);
	return f;
}

static struct frame *
sse_put_in(struct session *s, const char *room, int64_t id)
{
	return control("joined", proto_dialect.put_in(s, room, id));
}

static struct frame *
sse_left(struct session *s, const char *room, const char *reason)
{
	return control("left", proto_dialect.left(s, room, reason));
}

static struct frame *
sse_reset(struct session *s, const char *room, int64_t id, const char *epoch)
{
	return control("reset", proto_dialect.reset(s, room, id, epoch));
}

static struct frame *
sse_expiring(struct session *s, int64_t seconds)
{
	return control("expiring", proto_dialect.expiring(s, seconds));
}

/* Replies: into the stream; or as they are, if a request waits for them. */

static struct frame *
reply(const struct reply_to *to, struct frame *native)
{
	return to != NULL && to->ops != NULL ? native :
	    control("reply", native);
}

static struct frame *
sse_joined(struct session *s, const struct reply_to *to, const char *room,
    int64_t id)
{
	return reply(to, proto_dialect.joined(s, to, room, id));
}

static struct frame *
sse_reply_leave(struct session *s, const struct reply_to *to,
    const char *room)
{
	return reply(to, proto_dialect.reply_leave(s, to, room));
}

static struct frame *
sse_reply_send(struct session *s, const struct reply_to *to, const char *data)
{
	return reply(to, proto_dialect.reply_send(s, to, data));
}

static struct frame *
sse_reply_ping(struct session *s, const struct reply_to *to, int64_t id)
{
	return reply(to, proto_dialect.reply_ping(s, to, id));
}

static struct frame *
sse_reply_auth(struct session *s, const struct reply_to *to, int64_t exp)
{
	return reply(to, proto_dialect.reply_auth(s, to, exp));
}

static struct frame *
sse_error(struct session *s, const struct reply_to *to, const char *code,
    const char *message)
{
	return reply(to, proto_dialect.error(s, to, code, message));
}

/* Ends */

static void
send_text(struct conn *c, char *text)
{
	struct frame	*f = frame_of_text(text, NULL, 0);

	conn_send(c, f, false);
	frame_unref(f);
}

static void
sse_later(struct conn *c, int64_t retry_ms)
{
	/* Any status but 200 would make an EventSource give up for good. */
	conn_stream(c, TYPE);
	send_text(c, xasprintf("retry: %" PRId64 "\n\n", retry_ms));
	conn_close(c, CLOSE_TRY_LATER, "later");
}

void
sse_refuse_with(struct conn *c, int code, const char *reason)
{
	switch (code) {
	case CLOSE_UNAUTHORIZED:
		request_refuse(c, 401, "unauthorized", reason);
		break;
	case CLOSE_FORBIDDEN:
		request_refuse(c, 403, "forbidden", reason);
		break;
	case CLOSE_BAD_FRAME:
		request_refuse(c, 400, "bad_request", reason);
		break;
	case CLOSE_POLICY:
		request_refuse(c, 429, "rate_limited", reason);
		break;
	default:
		request_refuse(c, 503, "unavailable", reason);
		break;
	}
}

static int64_t
retry_of(const char *reason)
{
	return strncmp(reason, "retry=", 6) == 0 ? strtoll(reason + 6, NULL,
	    10) : RETRY_MS;
}

static void
sse_end(struct session *s, int code, const char *reason)
{
	struct conn	*c = session_conn(s);
	struct text	 t = { NULL, 0, 0 };
	bool		 later = code == CLOSE_RESTART || code ==
			    CLOSE_TRY_LATER || code == CLOSE_AUTH_TIMEOUT;

	if (conn_is_waiting(c)) {
		if (later)
			sse_later(c, retry_of(reason));
		else
			sse_refuse_with(c, code, reason);
		return;
	}
	if (later) {
		text_add(&t, "retry: ");
		text_add_number(&t, retry_of(reason));
		text_add(&t, "\n");
	}
	text_add(&t, "event: pgpush:close\n"
	    "data: {\"type\":\"close\",\"code\":");
	text_add_number(&t, code);
	text_add(&t, ",\"reason\":");
	text_add_string(&t, reason);
	text_add(&t, "}\n\n");
	send_text(c, t.buf);
	conn_close(c, code, reason);
}

/* The dialect */

static void
sse_begin(struct session *s)
{
	conn_stream(session_conn(s), TYPE);
}

const struct dialect sse_dialect = {
	.label = STAT_SSE,
	.merged = true,
	.begin = sse_begin,
	.end = sse_end,
	.event = sse_event,
	.emit = sse_emit,
	.welcome = sse_welcome,
	.joined = sse_joined,
	.put_in = sse_put_in,
	.left = sse_left,
	.reply_leave = sse_reply_leave,
	.reply_send = sse_reply_send,
	.reply_ping = sse_reply_ping,
	.reply_auth = sse_reply_auth,
	.error = sse_error,
	.reset = sse_reset,
	.at = sse_at,
	.expiring = sse_expiring,
};

/* The request: GET /events */

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

static const struct conn_ops conn_ops = { NULL, on_drained, NULL, on_closed,
	NULL };

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
sse_open(struct conn *c, const struct http_request *req)
{
	char		*token, *rooms, epoch[EPOCH_MAX];
	int64_t		 since = request_position(req, epoch, sizeof(epoch));
	const char	*why;
	struct session	*s;

	if ((why = admit_refusal(c)) != NULL) {
		conn_refused(c, 503, why);
		sse_later(c, REFUSED_MS);
		return;
	}
	if ((token = request_token(req, false)) == NULL) {
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
	s = session_new(c, &sse_dialect);
	conn_own(c, &conn_ops, s);
	conn_defer(c);
	admit_enter();
	client_open(s);
	client_token(s, token, strlen(token), since, epoch[0] == '\0' ? NULL :
	    epoch, rooms);
	free(token);
	free(rooms);
}

const struct route sse_routes[] = {
	{ "GET", "/events", sse_open, true },
	{ NULL, NULL, NULL, false },
};

void
sse_init(const struct endpoint_env *env)
{
	cfg = env->cfg;
	feed = env->feed;
}
