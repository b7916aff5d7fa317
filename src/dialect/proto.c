/* SPDX-License-Identifier: ISC */

/*
 * The native dialect.  Data is handed on as it was written, in both
 * directions: a client's is the slice of its message, and that of an event is
 * PostgreSQL's text.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "base/text.h"
#include "base/xmalloc.h"
#include "dialect/proto.h"
#include "net/conn.h"
#include "net/frame.h"
#include "push/command.h"
#include "push/room.h"

#define EVENT_NAME_MAX	200		/* bytes, as pgpush.on allows */
#define KEY_MAX		100
#define REF_MAX		200
#define TYPE_MAX	16

static size_t	max_message = SIZE_MAX;	/* bytes, numbers written out */

/* Output.  One buffer serves every frame; it keeps its size. */

static struct text	out;

static void
begin(const char *start)
{
	out.len = 0;
	text_add(&out, start);
}

static struct frame *
finish(void)
{
	text_add(&out, "}");
	return frame_text(out.buf, out.len);
}

static void
add_field(const char *name, const char *value)
{
	text_add(&out, name);
	text_add_string(&out, value);
}

static void
add_number(const char *name, int64_t n)
{
	text_add(&out, name);
	text_add_number(&out, n);
}

static void
begin_reply(const struct reply_to *to)
{
	begin("{\"type\":\"reply\",\"ref\":");
	text_add(&out, to == NULL || to->ref == NULL ? "null" : to->ref);
	text_add(&out, ",\"ok\":true");
}

static struct frame *
native_event(const struct dialect *d, const struct entry *e)
{
	(void)d;
	begin("{\"type\":\"event\",\"room\":");
	text_add_string(&out, e->room);
	add_field(",\"event\":", e->event);
	if (e->id != 0 && e->kind != ENTRY_SIGNAL) {
		add_number(",\"id\":", e->id);
		if (e->dup[0] != '\0')
			add_field(",\"dup\":", e->dup);
	}
	text_add(&out, ",\"data\":");
	text_add_bytes(&out, e->data, e->data_len);
	return finish();
}

static struct frame *
native_emit(struct session *s, const char *event, const char *data)
{
	(void)s;
	begin("{\"type\":\"event\"");
	add_field(",\"event\":", event);
	text_add(&out, ",\"data\":");
	text_add(&out, data);
	return finish();
}

static struct frame *
native_welcome(struct session *s, const struct welcome *w)
{
	size_t	i;

	(void)s;
	begin("{\"type\":\"welcome\"");
	add_field(",\"session\":", w->session);
	add_field(",\"user\":", w->user);
	text_add(&out, ",\"rooms\":[");
	for (i = 0; i < w->nrooms; i++) {
		if (i > 0)
			text_add(&out, ",");
		text_add_string(&out, w->rooms[i]);
	}
	add_number("],\"id\":", w->id);
	add_field(",\"epoch\":", w->epoch);
	add_number(",\"ping\":", w->ping_s);
	return finish();
}

static struct frame *
native_joined(struct session *s, const struct reply_to *to,
    const char *room, int64_t id)
{
	(void)s;
	begin_reply(to);
	add_field(",\"room\":", room);
	add_number(",\"id\":", id);
	return finish();
}

static struct frame *
native_put_in(struct session *s, const char *room, int64_t id)
{
	(void)s;
	begin("{\"type\":\"joined\"");
	add_field(",\"room\":", room);
	add_number(",\"id\":", id);
	return finish();
}

static struct frame *
native_left(struct session *s, const char *room, const char *reason)
{
	(void)s;
	begin("{\"type\":\"left\"");
	add_field(",\"room\":", room);
	add_field(",\"reason\":", reason);
	return finish();
}

static struct frame *
native_reply_leave(struct session *s, const struct reply_to *to,
    const char *room)
{
	(void)s;
	begin_reply(to);
	add_field(",\"room\":", room);
	return finish();
}

static struct frame *
native_reply_send(struct session *s, const struct reply_to *to,
    const char *data)
{
	(void)s;
	if (to->ref == NULL)
		return NULL;
	begin_reply(to);
	text_add(&out, ",\"data\":");
	text_add(&out, data);
	return finish();
}

static struct frame *
native_reply_ping(struct session *s, const struct reply_to *to,
    int64_t id)
{
	(void)s;
	begin_reply(to);
	add_number(",\"id\":", id);
	return finish();
}

static struct frame *
native_reply_auth(struct session *s, const struct reply_to *to,
    int64_t exp)
{
	(void)s;
	begin_reply(to);
	add_number(",\"exp\":", exp);
	return finish();
}

static struct frame *
native_error(struct session *s, const struct reply_to *to,
    const char *code, const char *message)
{
	(void)s;
	begin("{\"type\":\"reply\",\"ref\":");
	text_add(&out, to == NULL || to->ref == NULL ? "null" : to->ref);
	add_field(",\"ok\":false,\"error\":{\"code\":", code);
	add_field(",\"message\":", message);
	text_add(&out, "}");
	return finish();
}

static struct frame *
native_reset(struct session *s, const char *room, int64_t id, const char *epoch)
{
	(void)s;
	begin("{\"type\":\"reset\"");
	add_field(",\"room\":", room);
	add_number(",\"id\":", id);
	add_field(",\"epoch\":", epoch);
	return finish();
}

static struct frame *
native_at(struct session *s, int64_t id, const char *epoch)
{
	(void)s;
	begin("{\"type\":\"at\"");
	add_number(",\"id\":", id);
	add_field(",\"epoch\":", epoch);
	return finish();
}

static struct frame *
native_expiring(struct session *s, int64_t seconds)
{
	(void)s;
	begin("{\"type\":\"expiring\"");
	add_number(",\"in\":", seconds);
	return finish();
}

static void
native_end(struct session *s, int code, const char *reason)
{
	conn_close(session_conn(s), code, reason);
}

const struct dialect proto_dialect = {
	.label = STAT_NATIVE,
	.has_pongs = true,
	.end = native_end,
	.event = native_event,
	.emit = native_emit,
	.welcome = native_welcome,
	.joined = native_joined,
	.put_in = native_put_in,
	.left = native_left,
	.reply_leave = native_reply_leave,
	.reply_send = native_reply_send,
	.reply_ping = native_reply_ping,
	.reply_auth = native_reply_auth,
	.error = native_error,
	.reset = native_reset,
	.at = native_at,
	.expiring = native_expiring,
};

/* Input */

/*
 * A string field of the command into *s.  A missing one is NULL; one of
 * another type, or longer than max bytes, or empty, or with what is no text,
 * makes the command bad.
 */
static void
get_string(struct command *cmd, const struct span *json, const char *name,
    size_t max, char **s)
{
	struct span	 v = span_member(json, name);
	char		*text;

	if (v.kind == SPAN_NONE || v.kind == SPAN_NULL)
		return;
	if (max > v.len)
		max = v.len;
	text = xmalloc(max + 1);
	if (span_string(&v, text, max + 1) > 0)
		*s = xstrdup(text);
	else
		cmd->wrong = name;
	free(text);
}

static void
get_since(struct command *cmd, const struct span *json)
{
	struct span	v = span_member(json, "since");

	if (v.kind == SPAN_NONE || v.kind == SPAN_NULL)
		return;
	if (span_integer(&v, &cmd->since) == -1 || cmd->since < 0) {
		cmd->since = -1;
		cmd->wrong = "since";
	}
}

/* The ref goes back as it was written. */
static void
get_ref(struct command *cmd, const struct span *json)
{
	struct span	v = span_member(json, "ref");

	if ((v.kind == SPAN_NUMBER || v.kind == SPAN_STRING) &&
	    v.len <= REF_MAX && span_is_jsonb(&v, max_message))
		cmd->to.ref = xmemdup(v.p, v.len);
	else if (v.kind != SPAN_NONE && v.kind != SPAN_NULL)
		cmd->wrong = "ref";
}

static void
get_type(struct command *cmd, const struct span *json, const char *fallback)
{
	static const struct {
		const char		*name;
		enum command_type	 type;
	} types[] = {
		{ "auth", COMMAND_AUTH },
		{ "join", COMMAND_JOIN },
		{ "leave", COMMAND_LEAVE },
		{ "send", COMMAND_SEND },
		{ "ping", COMMAND_PING },
	};
	struct span	 v = span_member(json, "type");
	char		 text[TYPE_MAX];
	const char	*name = NULL;
	size_t		 i;

	if (v.kind == SPAN_NONE)
		name = fallback;
	else if (span_string(&v, text, sizeof(text)) > 0)
		name = text;
	cmd->type = COMMAND_BAD;
	for (i = 0; name != NULL && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].name, name) == 0)
			cmd->type = types[i].type;
	if (cmd->type == COMMAND_BAD)
		cmd->wrong = "type";
}

/* Which fields a command cannot do without. */
static const char *
missing(const struct command *cmd)
{
	switch (cmd->type) {
	case COMMAND_AUTH:
		return cmd->token == NULL ? "token" : NULL;
	case COMMAND_JOIN:
	case COMMAND_LEAVE:
		return cmd->room == NULL ? "room" : NULL;
	case COMMAND_SEND:
		return cmd->event == NULL ? "event" : NULL;
	case COMMAND_PING:
	case COMMAND_BAD:
		break;
	}
	return NULL;
}

/* As it was written; but nothing that the database would refuse. */
static void
get_data(struct command *cmd, const struct span *json)
{
	struct span	v = span_member(json, "data");

	if (v.kind == SPAN_NONE) {
		cmd->data = xstrdup("null");
		return;
	}
	cmd->data = xmemdup(v.p, v.len);
	if (!span_is_jsonb(&v, max_message))
		cmd->wrong = "data";
}

int
proto_parse(struct command *cmd, const char *p, size_t len,
    const char *fallback, char **session)
{
	struct span	json = span_parse(p, len);

	memset(cmd, 0, sizeof(*cmd));
	cmd->since = -1;
	if (json.kind != SPAN_OBJECT)
		return -1;
	get_type(cmd, &json, fallback);
	get_ref(cmd, &json);
	get_since(cmd, &json);
	get_string(cmd, &json, "token", len, &cmd->token);
	get_string(cmd, &json, "room", ROOM_NAME_MAX, &cmd->room);
	get_string(cmd, &json, "event", EVENT_NAME_MAX, &cmd->event);
	get_string(cmd, &json, "key", KEY_MAX, &cmd->key);
	get_string(cmd, &json, "epoch", REF_MAX, &cmd->epoch);
	if (session != NULL)
		get_string(cmd, &json, "session", REF_MAX, session);
	if (cmd->room != NULL && !room_name_ok(cmd->room))
		cmd->wrong = "room";
	get_data(cmd, &json);
	if (cmd->wrong == NULL)
		cmd->wrong = missing(cmd);
	if (cmd->wrong != NULL)
		cmd->type = COMMAND_BAD;
	return 0;
}

void
proto_init(size_t max)
{
	max_message = max;
}
