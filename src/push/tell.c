/* SPDX-License-Identifier: ISC */

/*
 * The one place where what is said finds its command's reply target.
 */

#include <stddef.h>

#include "push/command.h"
#include "push/refusal.h"
#include "push/session.h"
#include "push/tell.h"

void
tell_error(struct session *s, struct command *cmd, const char *code,
    const char *message)
{
	struct reply_to	*to = cmd == NULL ? NULL : &cmd->to;

	refusal_log(s, code);
	reply_send(s, to, session_dialect(s)->error(s, to, code, message));
}

void
tell_joined(struct session *s, struct command *cmd, const char *room,
    int64_t id)
{
	const struct dialect	*d = session_dialect(s);

	if (cmd == NULL)
		session_send(s, d->put_in(s, room, id));
	else
		reply_send(s, &cmd->to, d->joined(s, &cmd->to, room, id));
}

void
tell_left(struct session *s, struct command *cmd)
{
	reply_send(s, &cmd->to, session_dialect(s)->reply_leave(s, &cmd->to,
	    cmd->room));
}

void
tell_sent(struct session *s, struct command *cmd, const char *data)
{
	reply_send(s, &cmd->to, session_dialect(s)->reply_send(s, &cmd->to,
	    data));
}

void
tell_ping(struct session *s, struct command *cmd, int64_t id)
{
	reply_send(s, &cmd->to, session_dialect(s)->reply_ping(s, &cmd->to,
	    id));
}

void
tell_auth(struct session *s, struct command *cmd, int64_t exp)
{
	reply_send(s, &cmd->to, session_dialect(s)->reply_auth(s, &cmd->to,
	    exp));
}
