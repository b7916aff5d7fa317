/* SPDX-License-Identifier: ISC */

/*
 * An answer that is void counts for nothing: a way to join is asked again.  A
 * handler that has run cannot be undone: its answer stands, but for the rooms
 * revoked.
 */

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "base/xmalloc.h"
#include "db/pg.h"
#include "push/door.h"
#include "push/handler.h"
#include "push/queue.h"
#include "push/tell.h"
#include "push/room.h"
#include "push/rule.h"
#include "push/send.h"
#include "push/session.h"

static struct request_list	 held = TAILQ_HEAD_INITIALIZER(held);

static void	send_call(struct request *q);

/* The rooms of an answer; q: whose it is, NULL if it was kept as a grant. */
static void
send_apply_rooms(struct session *s, const struct answer *a,
    const struct request *q)
{
	struct grants	*g = &client_of(s)->grants;
	size_t		 i;

	for (i = 0; i < a->njoin; i++)
		if (!room_name_ok(a->join[i]))
			log_warn("msg=\"bad room in an answer\" room=%s",
			    log_quote(a->join[i], strlen(a->join[i])));
		else if (q == NULL ||
		    !rights_is_revoked(&q->rights, a->join[i]))
			door_enter(s, g, a->join[i], NULL, false);
	for (i = 0; i < a->nleave; i++) {
		if (room_member(a->leave[i], s) == NULL)
			continue;
		door_leave(s, g, a->leave[i]);
		session_send(s, session_dialect(s)->left(s, a->leave[i],
		    "left"));
	}
}

static void
send_apply(struct session *s, const struct answer *a,
    struct command *cmd, const struct request *q)
{
	const struct dialect	*d = session_dialect(s);
	size_t			 i;

	if (q != NULL && q->is_batch && a->njoin + a->nleave > 0)
		log_warn("msg=\"a handler of the batch changes no rooms\" "
		    "event=%s", log_quote(cmd->event, strlen(cmd->event)));
	else if (!client_of(s)->is_once)
		send_apply_rooms(s, a, q);
	for (i = 0; i < a->nemits; i++)
		session_send(s, d->emit(s, a->emits[i].event,
		    a->emits[i].data));
	if (a->code != NULL)
		tell_error(s, cmd, a->code, a->message);
	else
		tell_sent(s, cmd, a->reply);
}

/* Whether the answer of a join is about rights that changed meanwhile. */
static bool
send_is_void(const struct request *q, const struct answer *a)
{
	return rights_is_void(&q->rights) ||
	    (q->room != NULL && rights_is_revoked(&q->rights, q->room)) ||
	    rights_is_revoked_any(&q->rights, a->join, a->njoin);
}

static void
send_on_handled(void *arg, const char *json)
{
	struct request	*q = arg;
	struct session	*s = q->session;
	struct answer	 a;

	q->is_called = false;
	if (queue_is_stale(q)) {
		queue_free(q);
		return;
	}
	if (json == NULL) {
		queue_unavailable(q);
		return;
	}
	if (answer_parse(&a, json) == -1) {
		log_limited(LOG_ANSWER, LOG_LEVEL_WARNING,
		    "msg=\"malformed answer\" event=%s answer=%s",
		    log_quote(q->cmd.event, strlen(q->cmd.event)),
		    log_quote(json, strlen(json)));
		tell_error(s, &q->cmd, "internal", "internal error");
	} else if (q->is_grant && send_is_void(q, &a)) {
		answer_free(&a);
		send_call(q);
		return;
	} else {
		send_apply(s, &a, &q->cmd, q);
		if (q->is_grant && a.code == NULL && q->room != NULL)
			grant_add(&client_of(s)->grants, q->cmd.event,
			    q->room, &a);
	}
	answer_free(&a);
	queue_end(q);
}

static void
send_call(struct request *q)
{
	const struct handler	*h = handler_find(q->cmd.event);

	rights_ask(&q->rights, q->session);
	q->is_called = h != NULL && handler_call(q->session, h, q->room,
	    q->cmd.data, q->cmd.key, send_on_handled, q) == 0;
	if (!q->is_called)
		queue_unavailable(q);
}

/*
 * The room of a send into room: by the handler's template from the data, else
 * the frame's own.  Returns NULL, or why it cannot be done.  A join whose data
 * does not give one goes to its handler all the same, which knows what to say.
 */
static const char *
send_find_room(const struct handler *h, const struct command *cmd,
    char room[ROOM_NAME_MAX + 1])
{
	room[0] = '\0';
	if (h->room == NULL) {
		if (cmd->room != NULL)
			memcpy(room, cmd->room, strlen(cmd->room) + 1);
	} else if (command_expand(cmd, h->room, room, ROOM_NAME_MAX + 1) ==
	    -1) {
		room[0] = '\0';
		if (h->member)
			return "data does not give the room";
	} else if (cmd->room != NULL && strcmp(cmd->room, room) != 0)
		return "room and data name different rooms";
	return h->member && room[0] == '\0' ? "room is missing" : NULL;
}

/* A session for one command is in no room: it must be one that may enter. */
static void
send_on_allowed(void *arg, const struct pg_result *res)
{
	struct request	*q = arg;

	q->ask = NULL;
	if (pg_ok(res) && pg_true(res, 0, 0) && !rights_is_void(&q->rights) &&
	    !rights_is_revoked(&q->rights, q->room))
		send_call(q);
	else if (!pg_ok(res))
		queue_unavailable(q);
	else
		queue_refuse(q, "forbidden", "not allowed in this room");
}

static void
send_allow(struct request *q)
{
	struct text	rooms = { NULL, 0, 0 };

	text_add(&rooms, "[");
	text_add_string(&rooms, q->room);
	text_add(&rooms, "]");
	rights_ask(&q->rights, q->session);
	q->ask = rule_allow(q->session, q->room, rooms.buf, send_on_allowed,
	    q);
	free(rooms.buf);
	if (q->ask == NULL)
		queue_unavailable(q);
}

/* What there is to say about a send before its handler is called. */
static void
send_to(struct request *q, const struct handler *h)
{
	struct session		*s = q->session;
	const struct grant	*g;

	if (h->member && client_of(s)->is_once) {
		send_allow(q);
		return;
	}
	if (h->member && room_member(q->room, s) == NULL) {
		queue_refuse(q, "forbidden", "not a member of this room");
		return;
	}
	if (h->grant && (g = grant_find(&client_of(s)->grants, q->cmd.event,
	    q->room == NULL ? "" : q->room)) != NULL) {
		send_apply(s, &g->answer, &q->cmd, NULL);
		queue_end(q);
		return;
	}
	q->is_grant = h->grant;
	q->is_batch = h->batch;
	if (h->grant) {
		/* An answer kept under a key may be older than a revoke. */
		free(q->cmd.key);
		q->cmd.key = NULL;
	}
	send_call(q);
}

void
send_unhold(struct request *q)
{
	TAILQ_REMOVE(&held, q, held_entry);
}

void
send_do(struct request *q)
{
	char			 room[ROOM_NAME_MAX + 1];
	const struct handler	*h;
	const char		*wrong;

	if (!handler_is_up()) {
		queue_unavailable(q);
		return;
	}
	queue_begin(q);
	/* A handler that is registered is found: wait until it is loaded. */
	if (handler_is_loading()) {
		q->is_held = true;
		TAILQ_INSERT_TAIL(&held, q, held_entry);
		return;
	}
	h = handler_find(q->cmd.event);
	if (h == NULL || strcmp(q->cmd.event, "disconnect") == 0)
		queue_refuse(q, "not_found", "no such event");
	else if ((wrong = send_find_room(h, &q->cmd, room)) != NULL)
		queue_refuse(q, "bad_request", wrong);
	else {
		if (room[0] != '\0')
			q->room = xstrdup(room);
		send_to(q, h);
	}
}

void
send_loaded(void)
{
	struct request	*q;

	while (!handler_is_loading() && (q = TAILQ_FIRST(&held)) != NULL) {
		send_unhold(q);
		q->is_held = false;
		send_do(q);
	}
}

bool
send_is_batch(const struct request *q)
{
	const struct handler	*h;

	if (q->cmd.type != COMMAND_SEND || handler_is_loading())
		return false;
	h = handler_find(q->cmd.event);
	return h != NULL && h->batch;
}
