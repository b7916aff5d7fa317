/* SPDX-License-Identifier: ISC */

/*
 * Every frame is the native one with lines around it, so that a client needs
 * one parser, and what a frame says is said in one place.  A reply whose ref
 * somebody expects answers his request instead of going into the stream.
 */

#include <sys/queue.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/conn.h"
#include "db/entry.h"
#include "db/feed.h"
#include "net/frame.h"
#include "net/request.h"
#include "base/log.h"
#include "dialect/proto.h"
#include "dialect/sse.h"
#include "base/text.h"
#include "base/xmalloc.h"

#define RETRY_MS	1000		/* what a stream begins with */
#define TYPE		"text/event-stream"

/* A request that a reply answers. */
struct expected {
	LIST_ENTRY(expected)	 entry;
	struct conn		*conn;		/* waiting; outlives us */
	const struct session	*session;	/* only compared */
	char			*ref;		/* owned; ours */
	char			*given;		/* owned; the client's */
};

static struct feed			*feed;
static LIST_HEAD(, expected)		 expected;
static uint64_t				 nexpected;	/* ever */

/* Lines */

static struct frame *
frame_of_text(char *text)
{
	struct frame	*f = frame_new(strlen(text));

	memcpy(f->data, text, f->len);
	free(text);
	return f;
}

/*
 * The lines around a native frame, of which the caller's reference goes.  A
 * name comes from the database and may hold anything: a line it may not end.
 */
static struct frame *
wrap(const char *id, const char *prefix, const char *name,
    struct frame *native)
{
	size_t		 len, i, n;
	const uint8_t	*json = conn_payload(native, &len);
	char		*head;
	struct frame	*f;

	head = xasprintf("%sevent: %s%s\ndata: ", id, prefix, name);
	n = strlen(head);
	for (i = strlen(id); i + sizeof("\ndata: ") <= n; i++)
		if (head[i] == '\n' || head[i] == '\r')
			head[i] = ' ';
	f = frame_new(n + len + 2);
	memcpy(f->data, head, n);
	memcpy(f->data + n, json, len);
	memcpy(f->data + n + len, "\n\n", 2);
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
sse_event(const struct entry *e)
{
	char		*id;
	struct frame	*f;

	id = e->id != 0 && e->kind != ENTRY_SIGNAL ? xasprintf("id: %s.%"
	    PRId64 "\n", feed_epoch(feed), e->id) : xstrdup("");
	f = wrap(id, "", e->event, proto_dialect.event(e));
	free(id);
	return f;
}

static struct frame *
sse_emit(const char *event, const char *data)
{
	return wrap("", "", event, proto_dialect.emit(event, data));
}

/* The position moves on with the heartbeat; no event comes of it. */
static struct frame *
sse_at(int64_t id)
{
	return frame_of_text(xasprintf("id: %s.%" PRId64 "\n\n",
	    feed_epoch(feed), id));
}

static struct frame *
sse_welcome(const struct welcome *w)
{
	struct frame	*native = proto_dialect.welcome(w), *f;
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
sse_put_in(const char *room, int64_t id)
{
	return control("joined", proto_dialect.put_in(room, id));
}

static struct frame *
sse_left(const char *room, const char *reason)
{
	return control("left", proto_dialect.left(room, reason));
}

static struct frame *
sse_reset(const char *room, int64_t id, const char *epoch)
{
	return control("reset", proto_dialect.reset(room, id, epoch));
}

static struct frame *
sse_expiring(int64_t seconds)
{
	return control("expiring", proto_dialect.expiring(seconds));
}

/* Replies */

static void
answer(struct conn *c, int status, const char *json, size_t len)
{
	char	*body = xmemdup(json, len);

	conn_respond(c, status, NULL, "application/json", body);
	free(body);
}

static struct expected *
expected_find(const char *ref)
{
	struct expected	*x;

	LIST_FOREACH(x, &expected, entry)
		if (strcmp(x->ref, ref) == 0)
			break;
	return x;
}

/* The ref as the client gave it. */
static const char *
given(const char *ref)
{
	const struct expected	*x = expected_find(ref);

	return x == NULL ? ref : x->given;
}

/* To the request that expects it, or into the stream. */
static struct frame *
reply(const char *ref, struct frame *native)
{
	struct expected	*x = expected_find(ref);
	const uint8_t	*json;
	size_t		 len;

	if (x == NULL && ref[0] == '[') {
		frame_unref(native);	/* he hung up */
		return NULL;
	}
	if (x == NULL || native == NULL)
		return control("reply", native);
	json = conn_payload(native, &len);
	answer(x->conn, 200, (const char *)json, len);
	sse_forget(x->conn);
	frame_unref(native);
	return NULL;
}

static struct frame *
sse_joined(const char *ref, const char *room, int64_t id)
{
	return reply(ref, proto_dialect.joined(given(ref), room, id));
}

static struct frame *
sse_reply_leave(const char *ref, const char *room)
{
	return reply(ref, proto_dialect.reply_leave(given(ref), room));
}

static struct frame *
sse_reply_send(const char *ref, const char *data)
{
	return reply(ref, proto_dialect.reply_send(given(ref), data));
}

static struct frame *
sse_reply_ping(const char *ref, int64_t id)
{
	return reply(ref, proto_dialect.reply_ping(given(ref), id));
}

static struct frame *
sse_reply_auth(const char *ref, int64_t exp)
{
	return reply(ref, proto_dialect.reply_auth(given(ref), exp));
}

static struct frame *
sse_error(const char *ref, const char *code, const char *message)
{
	return reply(ref, proto_dialect.error(given(ref), code, message));
}

void
sse_expect(struct conn *c, const struct session *s, char **ref)
{
	struct expected	*x = xcalloc(1, sizeof(*x));

	x->conn = c;
	x->session = s;
	/* A send without a ref is not answered: this one must be. */
	x->given = strcmp(*ref, "null") == 0 ? xstrdup("0") : xstrdup(*ref);
	/* No number or string of a client's looks like this; see reply. */
	x->ref = xasprintf("[%" PRIu64 "]", ++nexpected);
	LIST_INSERT_HEAD(&expected, x, entry);
	free(*ref);
	*ref = xstrdup(x->ref);
}

void
sse_forget(const struct conn *c)
{
	struct expected	*x;

	LIST_FOREACH(x, &expected, entry)
		if (x->conn == c)
			break;
	if (x == NULL)
		return;
	LIST_REMOVE(x, entry);
	free(x->ref);
	free(x->given);
	free(x);
}

/* Ends */

void
sse_ended(const struct session *s)
{
	struct expected	*x, *next;
	struct conn	*c;

	for (x = LIST_FIRST(&expected); x != NULL; x = next) {
		next = LIST_NEXT(x, entry);
		c = x->conn;
		if (x->session != s || !conn_is_waiting(c))
			continue;
		sse_forget(c);
		request_refuse(c, 404, "not_found", "the session has ended");
	}
}

static void
send_text(struct conn *c, char *text)
{
	struct frame	*f = frame_of_text(text);

	conn_send(c, f, false);
	frame_unref(f);
}

void
sse_later(struct conn *c, int64_t retry_ms)
{
	/* Any status but 200 would make an EventSource give up for good. */
	conn_stream(c, TYPE);
	send_text(c, xasprintf("retry: %" PRId64 "\n\n", retry_ms));
	conn_close(c, CLOSE_TRY_LATER, "later");
}

/* A close code of the native dialect as an answer to a request. */
static void
refuse_with(struct conn *c, int code, const char *reason)
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
sse_end(struct conn *c, int code, const char *reason)
{
	struct text	t = { NULL, 0, 0 };
	bool		later = code == CLOSE_RESTART || code ==
			    CLOSE_TRY_LATER || code == CLOSE_AUTH_TIMEOUT;

	if (conn_is_waiting(c)) {
		if (later)
			sse_later(c, retry_of(reason));
		else
			refuse_with(c, code, reason);
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

static void
post_end(struct conn *c, int code, const char *reason)
{
	sse_forget(c);
	if (conn_is_waiting(c))
		refuse_with(c, code, reason);
}

/* The dialects */

static struct frame *
no_emit(const char *event, const char *data)
{
	(void)event;
	(void)data;
	return NULL;
}

static void
sse_begin(struct conn *c)
{
	conn_stream(c, TYPE);
}

const struct dialect sse_dialect = {
	.id = DIALECT_SSE,
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

const struct dialect post_dialect = {
	.id = DIALECT_SSE,
	.is_brief = true,
	.end = post_end,
	.emit = no_emit,
	.joined = sse_joined,
	.reply_leave = sse_reply_leave,
	.reply_send = sse_reply_send,
	.reply_ping = sse_reply_ping,
	.reply_auth = sse_reply_auth,
	.error = sse_error,
};

void
sse_init(struct feed *f)
{
	feed = f;
	LIST_INIT(&expected);
}
