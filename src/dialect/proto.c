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
#include "push/room.h"
#include "base/xmalloc.h"

#define EVENT_NAME_MAX	200		/* bytes, as pgpush.on allows */
#define KEY_MAX		100
#define REF_MAX		200

/* Text */

static void
text_reserve(struct text *t, size_t more)
{
	if (t->cap - t->len > more)
		return;
	t->cap = (t->len + more + 1) * 2;
	t->buf = xrealloc(t->buf, t->cap);
}

static void
text_add_bytes(struct text *t, const char *s, size_t len)
{
	text_reserve(t, len);
	memcpy(t->buf + t->len, s, len);
	t->len += len;
	t->buf[t->len] = '\0';
}

void
text_add(struct text *t, const char *s)
{
	text_add_bytes(t, s, strlen(s));
}

void
text_add_number(struct text *t, int64_t n)
{
	char	buf[24];
	int	len = snprintf(buf, sizeof(buf), "%" PRId64, n);

	text_add_bytes(t, buf, (size_t)len);
}

void
text_add_string(struct text *t, const char *s)
{
	char	esc[8];
	size_t	n;

	text_add_bytes(t, "\"", 1);
	while (*s != '\0') {
		for (n = 0; (uint8_t)s[n] >= ' ' && s[n] != '"' &&
		    s[n] != '\\'; n++)
			;
		text_add_bytes(t, s, n);
		if (s[n] == '\0')
			break;
		(void)snprintf(esc, sizeof(esc), "\\u%04x", (uint8_t)s[n]);
		text_add(t, esc);
		s += n + 1;
	}
	text_add_bytes(t, "\"", 1);
}

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

static char *
dump(const json_t *j)
{
	char	*s = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);

	/* Only a number that no longer fits can fail here. */
	return s != NULL ? s : xstrdup("null");
}

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
		text = dump(j);
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

	cmd->data = data == NULL ? xstrdup("null") : dump(data);
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

void
command_free(struct command *cmd)
{
	free(cmd->ref);
	free(cmd->token);
	free(cmd->room);
	free(cmd->event);
	free(cmd->data);
	free(cmd->key);
	free(cmd->epoch);
	free(cmd->session);
	free(cmd->rooms);
	memset(cmd, 0, sizeof(*cmd));
}

/* A value for a template as text into t, or -1. */
static int
add_value(struct text *t, const json_t *j)
{
	if (json_is_integer(j)) {
		text_add_number(t, json_integer_value(j));
		return 0;
	}
	if (!json_is_string(j) || json_string_length(j) == 0 ||
	    strchr(json_string_value(j), ':') != NULL)
		return -1;
	text_add(t, json_string_value(j));
	return 0;
}

/* The field named between the braces at p; its value goes to t. */
static int
add_field_of(struct text *t, const json_t *data, const char *p, size_t len)
{
	char	*name = xmemdup(p, len);
	int	 r = add_value(t, json_object_get(data, name));

	free(name);
	return r;
}

int
command_expand(const struct command *cmd, const char *template, char *room,
    size_t size)
{
	json_t		*data = json_loads(cmd->data, JSON_DECODE_ANY, NULL);
	struct text	 t = { NULL, 0, 0 };
	const char	*p = template, *end;
	int		 r = 0;

	text_add(&t, "");
	while (r == 0 && *p != '\0') {
		if (*p != '{' || (end = strchr(p, '}')) == NULL) {
			text_add_bytes(&t, p++, 1);
			continue;
		}
		r = add_field_of(&t, data, p + 1, (size_t)(end - p - 1));
		p = end + 1;
	}
	if (r == 0 && (t.len >= size || !room_name_ok(t.buf)))
		r = -1;
	if (r == 0)
		memcpy(room, t.buf, t.len + 1);
	json_decref(data);
	free(t.buf);
	return r;
}

/* A copy of an array of strings, or of a lone string; -1 if it is neither. */
static int
get_names(const json_t *j, char ***names, size_t *n)
{
	const json_t	*item;
	size_t		 i;

	if (j == NULL || json_is_null(j))
		return 0;
	if (json_is_string(j)) {
		*names = xcalloc(1, sizeof(**names));
		(*names)[(*n)++] = xstrdup(json_string_value(j));
		return 0;
	}
	if (!json_is_array(j))
		return -1;
	*names = xcalloc(json_array_size(j) + 1, sizeof(**names));
	for (i = 0; i < json_array_size(j); i++) {
		item = json_array_get(j, i);
		if (!json_is_string(item))
			return -1;
		(*names)[(*n)++] = xstrdup(json_string_value(item));
	}
	return 0;
}

static void
free_names(char **names, size_t n)
{
	while (n > 0)
		free(names[--n]);
	free(names);
}

/* What the database says: its integers have no end, ours become reals. */
static json_t *
load_text(const char *text)
{
	json_error_t	 err;
	json_t		*j = json_loads(text, 0, &err);

	if (j == NULL && json_error_code(&err) == json_error_numeric_overflow)
		j = json_loads(text, JSON_DECODE_INT_AS_REAL, &err);
	return j;
}

int
signal_parse(struct signal *sig, const char *payload)
{
	json_t		*j = load_text(payload);
	const json_t	*event, *rooms, *data;
	int		 r = -1;

	memset(sig, 0, sizeof(*sig));
	event = json_object_get(j, "event");
	if (!json_is_string(event))
		goto out;
	if ((rooms = json_object_get(j, "rooms")) == NULL)
		rooms = json_object_get(j, "room");
	if (get_names(rooms, &sig->rooms, &sig->nrooms) == -1 ||
	    sig->nrooms == 0)
		goto out;
	sig->event = xstrdup(json_string_value(event));
	data = json_object_get(j, "data");
	sig->data = data == NULL ? xstrdup("null") : dump(data);
	if (json_is_string(json_object_get(j, "origin")))
		sig->origin = xstrdup(json_string_value(
		    json_object_get(j, "origin")));
	r = 0;
out:
	json_decref(j);
	return r;
}

void
signal_free(struct signal *sig)
{
	free_names(sig->rooms, sig->nrooms);
	free(sig->event);
	free(sig->data);
	free(sig->origin);
	memset(sig, 0, sizeof(*sig));
}

static int
get_emits(struct answer *a, const json_t *j)
{
	const json_t	*item, *event;
	size_t		 i;

	if (j == NULL || json_is_null(j))
		return 0;
	if (!json_is_array(j))
		return -1;
	a->emits = xcalloc(json_array_size(j) + 1, sizeof(*a->emits));
	for (i = 0; i < json_array_size(j); i++) {
		item = json_array_get(j, i);
		event = json_array_get(item, 0);
		if (!json_is_string(event) || json_array_size(item) != 2)
			return -1;
		a->emits[i].event = xstrdup(json_string_value(event));
		a->emits[i].data = dump(json_array_get(item, 1));
		a->nemits++;
	}
	return 0;
}

static int
get_error(struct answer *a, const json_t *j)
{
	const char	*code, *message;

	if (j == NULL || json_is_null(j))
		return 0;
	code = json_string_value(json_object_get(j, "code"));
	message = json_string_value(json_object_get(j, "message"));
	if (code == NULL)
		return -1;
	a->code = xstrdup(code);
	a->message = xstrdup(message == NULL ? code : message);
	return 0;
}

int
answer_parse(struct answer *a, const char *json)
{
	json_t		*j = load_text(json);
	const json_t	*reply;
	int		 r = -1;

	memset(a, 0, sizeof(*a));
	if (!json_is_object(j))
		goto out;
	if (get_names(json_object_get(j, "join"), &a->join, &a->njoin) == -1 ||
	    get_names(json_object_get(j, "leave"), &a->leave,
	    &a->nleave) == -1 ||
	    get_emits(a, json_object_get(j, "emit")) == -1 ||
	    get_error(a, json_object_get(j, "error")) == -1)
		goto out;
	reply = json_object_get(j, "reply");
	a->reply = reply == NULL ? xstrdup("null") : dump(reply);
	r = 0;
out:
	json_decref(j);
	return r;
}

void
answer_free(struct answer *a)
{
	size_t	i;

	free(a->reply);
	free_names(a->join, a->njoin);
	free_names(a->leave, a->nleave);
	for (i = 0; i < a->nemits; i++) {
		free(a->emits[i].event);
		free(a->emits[i].data);
	}
	free(a->emits);
	free(a->code);
	free(a->message);
	memset(a, 0, sizeof(*a));
}
