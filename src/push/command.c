/* SPDX-License-Identifier: ISC */

/*
 * Commands, and the rooms that their data names.
 */

#include <stdlib.h>
#include <string.h>

#include "push/command.h"
#include "push/room.h"
#include "base/span.h"
#include "base/text.h"
#include "base/xmalloc.h"

void
command_drop(struct command *cmd, int code, const char *reason)
{
	reply_drop(&cmd->to, code, reason);
	free(cmd->token);
	free(cmd->room);
	free(cmd->event);
	free(cmd->data);
	free(cmd->key);
	free(cmd->epoch);
	free(cmd->rooms);
	memset(cmd, 0, sizeof(*cmd));
}

void
command_free(struct command *cmd)
{
	command_drop(cmd, 0, "");
}

static size_t
string_bytes(const char *s)
{
	return s == NULL ? 0 : strlen(s) + 1;
}

size_t
command_bytes(const struct command *cmd)
{
	return sizeof(*cmd) + string_bytes(cmd->token) +
	    string_bytes(cmd->room) + string_bytes(cmd->event) +
	    string_bytes(cmd->data) + string_bytes(cmd->key) +
	    string_bytes(cmd->epoch) + string_bytes(cmd->rooms);
}

/* A value for a template as text into t, or -1. */
static int
command_add_value(struct text *t, const struct span *v)
{
	char	string[ROOM_NAME_MAX + 1];

	if (v->kind == SPAN_NUMBER &&
	    strspn(v->p, "-0123456789") >= v->len) {
		text_add_bytes(t, v->p, v->len);
		return 0;
	}
	if (span_string(v, string, sizeof(string)) <= 0 ||
	    strchr(string, ':') != NULL)
		return -1;
	text_add(t, string);
	return 0;
}

/* The field named between the braces at p; its value goes to t. */
static int
command_add_field(struct text *t, const struct span *data, const char *p,
    size_t len)
{
	char		*name = xmemdup(p, len);
	struct span	 v = span_member(data, name);

	free(name);
	return command_add_value(t, &v);
}

int
command_expand(const struct command *cmd, const char *template, char *room,
    size_t size)
{
	struct span	 data = span_parse(cmd->data, strlen(cmd->data));
	struct text	 t = { NULL, 0, 0 };
	const char	*p = template, *end;
	int		 r = 0;

	text_add(&t, "");
	while (r == 0 && *p != '\0') {
		if (*p != '{' || (end = strchr(p, '}')) == NULL) {
			text_add_bytes(&t, p++, 1);
			continue;
		}
		r = command_add_field(&t, &data, p + 1,
		    (size_t)(end - p - 1));
		p = end + 1;
	}
	if (r == 0 && (t.len >= size || !room_name_ok(t.buf)))
		r = -1;
	if (r == 0)
		memcpy(room, t.buf, t.len + 1);
	free(t.buf);
	return r;
}
