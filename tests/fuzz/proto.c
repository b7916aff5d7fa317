/* SPDX-License-Identifier: ISC */

/*
 * Any bytes as a client's message, as a payload of the channel and as a
 * handler's answer.  What was taken from them then goes into frames, and each
 * of those must be a JSON object again.
 */

#include <string.h>

#include "base/span.h"
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
value_check(const char *text)
{
	must(span_parse(text, strlen(text)).kind != SPAN_NONE);
}

/* Takes the frame; NULL is allowed. */
static void
frame_check(struct frame *f)
{
	const uint8_t	*wire;
	size_t		 len, head;

	if (f == NULL)
		return;
	wire = frame_wire(f, true, &len);
	head = ws_header_size(f->len);
	must(len == f->len + head && wire[0] == (0x80 | WS_TEXT));
	must(wire + head == f->data);
	must(span_parse((const char *)f->data, f->len).kind == SPAN_OBJECT);
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

	must(cmd->data != NULL && cmd->since >= -1);
	must((cmd->type == COMMAND_BAD) == (cmd->wrong != NULL));
	if (cmd->to.ref != NULL)
		value_check(cmd->to.ref);
	value_check(cmd->data);
	if (cmd->type == COMMAND_JOIN)
		must(cmd->room != NULL && strlen(cmd->room) <= ROOM_NAME_MAX);
	if (cmd->room != NULL) {
		frame_check(d->joined(NULL, &cmd->to, cmd->room, cmd->since));
		frame_check(d->left(NULL, cmd->room, "left"));
	}
	if (cmd->event != NULL)
		frame_check(d->emit(NULL, cmd->event, cmd->data));
	frame_check(d->reply_send(NULL, &cmd->to, cmd->data));
	frame_check(d->error(NULL, &cmd->to, "bad_request",
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
	value_check(sig->data);
	frame_check(proto_dialect.emit(NULL, sig->event, sig->data));
}

static void
answer_check(const struct answer *a)
{
	char		 ref[] = "1";
	struct reply_to	 to = { ref, NULL, NULL };
	size_t	 i;

	value_check(a->reply);
	frame_check(proto_dialect.reply_send(NULL, &to, a->reply));
	for (i = 0; i < a->nemits; i++)
		frame_check(proto_dialect.emit(NULL, a->emits[i].event,
		    a->emits[i].data));
	if (a->code != NULL)
		frame_check(proto_dialect.error(NULL, &to, a->code, a->message));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct command	 cmd;
	struct signal	 sig;
	struct answer	 a;
	char		*text;

	if (proto_parse(&cmd, (const char *)data, size,
	    size % 2 == 0 ? NULL : "send", NULL) == 0)
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
