/* SPDX-License-Identifier: ISC */

/*
 * Commands, and the rooms that their data names.
 */

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "push/command.h"
#include "push/room.h"
#include "base/text.h"
#include "base/xmalloc.h"

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
command_add_value(struct text *t, const json_t *j)
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
command_add_field(struct text *t, const json_t *data, const char *p, size_t len)
{
	char	*name = xmemdup(p, len);
	int	 r = command_add_value(t, json_object_get(data, name));

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
		r = command_add_field(&t, data, p + 1, (size_t)(end - p - 1));
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
