/* SPDX-License-Identifier: ISC */

/*
 * The native dialect.  Input is parsed with jansson.  Output is put together
 * as text: event data comes from PostgreSQL as JSON and goes out as it came.
 */

#include <jansson.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/conn.h"
#include "dialect/proto.h"
#include "push/command.h"
#include "push/room.h"
#include "base/text.h"
#include "push/value.h"
#include "base/xmalloc.h"

#define EVENT_NAME_MAX	200		/* bytes, as pgpush.on allows */
#define KEY_MAX		100
#define REF_MAX		200

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
	return conn_message(false, (const uint8_t *)out.buf, out.len);
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
begin_reply(const char *ref)
{
	begin("{\"type\":\"reply\",\"ref\":");
	text_add(&out, ref);
	text_add(&out, ",\"ok\":true");
}

static struct frame *
native_event(const struct entry *e)
{
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
native_emit(const char *event, const char *data)
{
	begin("{\"type\":\"event\"");
	add_field(",\"event\":", event);
	text_add(&out, ",\"data\":");
	text_add(&out, data);
	return finish();
}

static struct frame *
native_welcome(const struct welcome *w)
{
	size_t	i;

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
native_joined(const char *ref, const char *room, int64_t id)
{
	begin_reply(ref);
	add_field(",\"room\":", room);
	add_number(",\"id\":", id);
	return finish();
}

static struct frame *
native_put_in(const char *room, int64_t id)
{
	begin("{\"type\":\"joined\"");
	add_field(",\"room\":", room);
	add_number(",\"id\":", id);
	return finish();
}

static struct frame *
native_left(const char *room, const char *reason)
{
	begin("{\"type\":\"left\"");
	add_field(",\"room\":", room);
	add_field(",\"reason\":", reason);
	return finish();
}

static struct frame *
native_reply_leave(const char *ref, const char *room)
{
	begin_reply(ref);
	add_field(",\"room\":", room);
	return finish();
}

static struct frame *
native_reply_send(const char *ref, const char *data)
{
	if (strcmp(ref, "null") == 0)
		return NULL;
	begin_reply(ref);
	text_add(&out, ",\"data\":");
	text_add(&out, data);
	return finish();
}

static struct frame *
native_reply_ping(const char *ref, int64_t id)
{
	begin_reply(ref);
	add_number(",\"id\":", id);
	return finish();
}

static struct frame *
native_reply_auth(const char *ref, int64_t exp)
{
	begin_reply(ref);
	add_number(",\"exp\":", exp);
	return finish();
}

static struct frame *
native_error(const char *ref, const char *code, const char *message)
{
	begin("{\"type\":\"reply\",\"ref\":");
	text_add(&out, ref);
	add_field(",\"ok\":false,\"error\":{\"code\":", code);
	add_field(",\"message\":", message);
	text_add(&out, "}");
	return finish();
}

static struct frame *
native_reset(const char *room, int64_t id, const char *epoch)
{
	begin("{\"type\":\"reset\"");
	add_field(",\"room\":", room);
	add_number(",\"id\":", id);
	add_field(",\"epoch\":", epoch);
	return finish();
}

static struct frame *
native_at(int64_t id)
{
	begin("{\"type\":\"at\"");
	add_number(",\"id\":", id);
	return finish();
}

static struct frame *
native_expiring(int64_t seconds)
{
	begin("{\"type\":\"expiring\"");
	add_number(",\"in\":", seconds);
	return finish();
}

const struct dialect proto_dialect = {
	.id = DIALECT_NATIVE,
	.has_pongs = true,
	.end = conn_close,
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

/* A NUL is valid in JSON, but not in a C string, nor in PostgreSQL's jsonb. */
static bool
has_nul(const json_t *string)
{
	return strlen(json_string_value(string)) != json_string_length(string);
}

/* Whether JSON text has an escaped NUL. */
static bool
text_has_nul(const char *s)
{
	while ((s = strchr(s, '\\')) != NULL) {
		if (strncmp(s, "\\u0000", 6) == 0)
			return true;
		s += 2;
	}
	return false;
}

/*
 * A string field of the command into *s.  A missing one is NULL; one of
 * another type, or longer than max bytes, or empty, makes the command bad.
 */
static void
get_string(struct command *cmd, const json_t *json, const char *name,
    size_t max, char **s)
{
	const json_t	*j = json_object_get(json, name);

	if (j == NULL || json_is_null(j))
		return;
	if (!json_is_string(j) || json_string_length(j) == 0 ||
	    json_string_length(j) > max || has_nul(j)) {
		cmd->wrong = name;
		return;
	}
	*s = xstrdup(json_string_value(j));
}

static void
get_since(struct command *cmd, const json_t *json)
{
	const json_t	*j = json_object_get(json, "since");

	if (j == NULL || json_is_null(j))
		return;
	if (json_is_integer(j) && json_integer_value(j) >= 0)
		cmd->since = json_integer_value(j);
	else
		cmd->wrong = "since";
}

static void
get_ref(struct command *cmd, const json_t *json)
{
	const json_t	*j = json_object_get(json, "ref");
	char		*text;

	if (json_is_number(j) || json_is_string(j)) {
		text = value_text(j);
		if (strlen(text) <= REF_MAX) {
			free(cmd->ref);
			cmd->ref = text;
			return;
		}
		free(text);
	}
	if (j != NULL && !json_is_null(j))
		cmd->wrong = "ref";
}

static void
get_type(struct command *cmd, const json_t *json, const char *fallback)
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
	const char	*name;
	size_t		 i;

	name = json_string_value(json_object_get(json, "type"));
	if (json_object_get(json, "type") == NULL)
		name = fallback;
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

/*
 * Parse the text; NULL if it is not JSON.  jansson holds 64-bit integers and
 * doubles; what is larger is JSON all the same, so it is read as well as can
 * be, and cmd->wrong says why it is to be refused.
 */
static json_t *
load(struct command *cmd, const char *p, size_t len)
{
	json_error_t	 err;
	json_t		*j = json_loadb(p, len, JSON_ALLOW_NUL, &err);

	if (j != NULL)
		return j;
	if (json_error_code(&err) == json_error_null_byte_in_key)
		cmd->wrong = "a name, which holds a NUL";
	else if (json_error_code(&err) == json_error_numeric_overflow) {
		cmd->wrong = "a number, which is too large";
		j = json_loadb(p, len, JSON_ALLOW_NUL |
		    JSON_DECODE_INT_AS_REAL, &err);
	}
	return j == NULL && cmd->wrong != NULL ? json_object() : j;
}

static void
get_data(struct command *cmd, const json_t *json)
{
	const json_t	*data = json_object_get(json, "data");

	cmd->data = data == NULL ? xstrdup("null") : value_text(data);
	if (text_has_nul(cmd->data))
		cmd->wrong = "data";
}

/* Take the fields; cmd->wrong may be set already. */
static void
get_fields(struct command *cmd, const json_t *json, size_t len,
    const char *fallback)
{
	if (cmd->wrong == NULL)
		get_type(cmd, json, fallback);
	get_ref(cmd, json);
	get_since(cmd, json);
	get_string(cmd, json, "token", len, &cmd->token);
	get_string(cmd, json, "room", ROOM_NAME_MAX, &cmd->room);
	get_string(cmd, json, "event", EVENT_NAME_MAX, &cmd->event);
	get_string(cmd, json, "key", KEY_MAX, &cmd->key);
	get_string(cmd, json, "epoch", REF_MAX, &cmd->epoch);
	if (fallback != NULL)
		get_string(cmd, json, "session", REF_MAX, &cmd->session);
	if (cmd->room != NULL && !room_name_ok(cmd->room))
		cmd->wrong = "room";
	get_data(cmd, json);
	if (cmd->wrong == NULL)
		cmd->wrong = missing(cmd);
	if (cmd->wrong != NULL)
		cmd->type = COMMAND_BAD;
}

int
proto_parse(struct command *cmd, const char *p, size_t len,
    const char *fallback)
{
	json_t	*json;
	int	 r = -1;

	memset(cmd, 0, sizeof(*cmd));
	cmd->since = -1;
	json = load(cmd, p, len);
	if (json_is_object(json)) {
		cmd->ref = xstrdup("null");
		get_fields(cmd, json, len, fallback);
		r = 0;
	}
	/* A command may wait, and parsed it is ten times as large. */
	json_decref(json);
	return r;
}
