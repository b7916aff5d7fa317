/* SPDX-License-Identifier: ISC */

/*
 * Reply targets.
 */

#include <stdlib.h>
#include <string.h>

#include "push/reply.h"
#include "push/session.h"

void
reply_send(struct session *s, struct reply_to *to, struct frame *text)
{
	if (text == NULL)
		return;
	if (to != NULL && to->ops != NULL)
		to->ops->answer(to->arg, text);
	else
		session_send(s, text);
}

void
reply_drop(struct reply_to *to, int code, const char *reason)
{
	if (to->ops != NULL)
		to->ops->drop(to->arg, code, reason);
	free(to->ref);
	memset(to, 0, sizeof(*to));
}
