/* SPDX-License-Identifier: ISC */

/*
 * Each text is a whole Engine.IO packet, the same for both transports.  A
 * client keeps the last argument of every event as its position if that is a
 * string: so it is added to all of them, that the event's own data is never
 * taken for one.
 */

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "db/feed.h"
#include "dialect/sio.h"
#include "dialect/siotext.h"
#include "net/frame.h"
#include "push/member.h"
#include "push/reply.h"

static struct feed	*feed;
static struct text	 out;		/* keeps its size */

void
siotext_init(struct feed *f)
{
	feed = f;
}

const struct variant *
siotext_variant(const struct session *s)
{
	return (const struct variant *)(const void *)session_dialect(s);
}

static void
begin(const struct variant *v, enum packet_type type)
{
	char	head[SIO_HEAD_MAX];

	out.len = 0;
	text_add_bytes(&out, head, sio_head(head, type, v->nsp, -1));
}

static struct frame *
finish(const char *end)
{
	text_add(&out, end);
	return frame_text(out.buf, out.len);
}

bool
siotext_knows(const char *epoch, int64_t id)
{
	return feed_knows(feed, epoch, id);
}

static void
add_position(int64_t id)
{
	text_add(&out, ",\"");
	text_add(&out, feed_epoch(feed));
	text_add(&out, ".");
	text_add_number(&out, id);
	text_add(&out, "\"");
}

struct frame *
siotext_event(const struct dialect *d, const struct entry *e)
{
	const struct variant	*v = (const struct variant *)(const void *)d;

	begin(v, PACKET_EVENT);
	text_add(&out, "[");
	text_add_string(&out, e->event);
	text_add(&out, ",");
	text_add_bytes(&out, e->data, e->data_len);
	if (v->recovers)
		add_position(e->id != 0 && e->kind != ENTRY_SIGNAL ? e->id :
		    feed_position(feed));
	return finish("]");
}

struct frame *
siotext_emit(struct session *s, const char *event, const char *data)
{
	const struct variant	*v = siotext_variant(s);

	begin(v, PACKET_EVENT);
	text_add(&out, "[");
	text_add_string(&out, event);
	text_add(&out, ",");
	text_add(&out, data);
	if (v->recovers)
		add_position(member_at(s));
	return finish("]");
}

/* An ack up to its argument; -1 if the client wants none. */
static int
begin_ack(struct session *s, const struct reply_to *to)
{
	if (to == NULL || to->ref == NULL)
		return -1;
	begin(siotext_variant(s), PACKET_ACK);
	text_add(&out, to->ref);
	return 0;
}

struct frame *
siotext_sent(struct session *s, const struct reply_to *to, const char *data)
{
	if (begin_ack(s, to) == -1)
		return NULL;
	text_add(&out, "[{\"ok\":true");
	if (data[0] == '{' && data[1] != '}') {
		text_add(&out, ",");
		text_add(&out, data + 1);
		return finish("]");
	}
	if (data[0] != '{' && strcmp(data, "null") != 0) {
		text_add(&out, ",\"data\":");
		text_add(&out, data);
	}
	return finish("}]");
}

static void
add_error(const char *code, const char *message)
{
	text_add(&out, "{\"code\":");
	text_add_string(&out, code);
	text_add(&out, ",\"message\":");
	text_add_string(&out, message);
	text_add(&out, "}");
}

/* Without an ack only a client's own mistake is told, as an event. */
struct frame *
siotext_error(struct session *s, const struct reply_to *to, const char *code,
    const char *message)
{
	const struct variant	*v = siotext_variant(s);

	if (begin_ack(s, to) == 0) {
		text_add(&out, "[{\"ok\":false,\"error\":");
		add_error(code, message);
		return finish("}]");
	}
	if (strcmp(code, "bad_request") != 0 &&
	    strcmp(code, "rate_limited") != 0)
		return NULL;
	begin(v, PACKET_EVENT);
	text_add(&out, "[\"error\",");
	add_error(code, message);
	if (v->recovers)
		add_position(member_at(s));
	return finish("]");
}

struct frame *
siotext_connected(const struct session *s, const char *pid)
{
	begin(siotext_variant(s), PACKET_CONNECT);
	text_add(&out, "{\"sid\":\"");
	text_add(&out, session_id(s));
	if (pid != NULL) {
		text_add(&out, "\",\"pid\":\"");
		text_add(&out, pid);
	}
	return finish("\"}");
}

char *
siotext_refusal(const char *message, const char *code)
{
	struct text	t = { NULL, 0, 0 };

	text_add(&t, "{\"message\":");
	text_add_string(&t, message);
	text_add(&t, ",\"data\":{\"code\":");
	text_add_string(&t, code);
	text_add(&t, "}}");
	return t.buf;
}
