/* SPDX-License-Identifier: ISC */

/*
 * Any bytes as a client's message, as a payload of the channel and as a
 * handler's answer.  What was taken from them then goes into frames, and each
 * of those must be a JSON object again.
 */

#include <jansson.h>
#include <string.h>

#include "net/frame.h"
#include "fuzz.h"
#include "push/answer.h"
#include "push/command.h"
#include "dialect/proto.h"
#include "push/signal.h"
#include "push/room.h"
#include "net/ws.h"

/* A JSON value of any kind, as text. */
static void
value_check(const char *text, size_t flags)
{
	json_t	*j = json_loads(text, JSON_DECODE_ANY | flags, NULL);

	must(j != NULL);
	json_decref(j);
}

/* Takes the frame; NULL is allowed. */
static void
frame_check(struct frame *f)
{
	size_t	 header;
	json_t	*j;

	if (f == NULL)
		return;
	must(f->len > 2 && f->data[0] == (0x80 | WS_TEXT));
	header = f->data[1] < 126 ? 2 : f->data[1] == 126 ? 4 : 10;
	must(f->len > header && ws_header_size(f->len - header) == header);
	/* A ref may hold a NUL: it goes back as it came. */
	j = json_loadb((const char *)f->data + header, f->len - header,
	    JSON_ALLOW_NUL, NULL);
	must(json_is_object(j));
	json_decref(j);
	frame_unref(f);
}

static void
command_check(const struct command *cmd)
{
	static const char *const	 templates[] = {
		"order:{orderId}", "{a}:{b}", "{", "{}", "plain", "",
	};
	const struct dialect		*d = &proto_dialect;
	char				 room[ROOM_NAME_MAX + 1];
	size_t				 i;

	must(cmd->ref != NULL && cmd->data != NULL && cmd->since >= -1);
	must((cmd->type == COMMAND_BAD) == (cmd->wrong != NULL));
	value_check(cmd->ref, JSON_ALLOW_NUL);
	/* PostgreSQL's jsonb holds no NUL: such data is refused. */
	value_check(cmd->data, cmd->type == COMMAND_BAD ? JSON_ALLOW_NUL : 0);
	if (cmd->type == COMMAND_JOIN)
		must(cmd->room != NULL && strlen(cmd->room) <= ROOM_NAME_MAX);
	if (cmd->room != NULL) {
		frame_check(d->joined(cmd->ref, cmd->room, cmd->since));
		frame_check(d->left(cmd->room, "left"));
	}
	if (cmd->event != NULL)
		frame_check(d->emit(cmd->event, cmd->data));
	frame_check(d->reply_send(cmd->ref, cmd->data));
	frame_check(d->error(cmd->ref, "bad_request",
	    cmd->wrong != NULL ? cmd->wrong : ""));
	for (i = 0; i < sizeof(templates) / sizeof(templates[0]); i++)
		if (command_expand(cmd, templates[i], room,
		    sizeof(room)) == 0)
			must(room_name_ok(room));
}

static void
signal_check(const struct signal *sig)
{
	size_t	 i;

	must(sig->nrooms > 0 && sig->event != NULL);
	for (i = 0; i < sig->nrooms; i++)
		must(sig->rooms[i] != NULL);
	value_check(sig->data, 0);
	frame_check(proto_dialect.emit(sig->event, sig->data));
}

static void
answer_check(const struct answer *a)
{
	size_t	 i;

	value_check(a->reply, 0);
	frame_check(proto_dialect.reply_send("1", a->reply));
	for (i = 0; i < a->nemits; i++)
		frame_check(proto_dialect.emit(a->emits[i].event,
		    a->emits[i].data));
	if (a->code != NULL)
		frame_check(proto_dialect.error("1", a->code, a->message));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct command	 cmd;
	struct signal	 sig;
	struct answer	 a;
	char		*text;

	if (proto_parse(&cmd, (const char *)data, size,
	    size % 2 == 0 ? NULL : "send") == 0)
		command_check(&cmd);
	command_free(&cmd);

	/* libpq gives strings. */
	must((text = malloc(size + 1)) != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	if (signal_parse(&sig, text) == 0)
		signal_check(&sig);
	signal_free(&sig);
	if (answer_parse(&a, text) == 0)
		answer_check(&a);
	answer_free(&a);
	free(text);
	return 0;
}
