/* SPDX-License-Identifier: ISC */

/*
 * Joins that follow one another and are of one kind of room are asked for
 * together.  If that takes too long they are asked for again one by one, so
 * that one rule does not spoil the others.
 */

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/stats.h"
#include "base/text.h"
#include "push/door.h"
#include "push/join.h"
#include "push/member.h"
#include "push/queue.h"
#include "push/tell.h"
#include "push/room.h"
#include "push/rule.h"
#include "push/session.h"

#define JOINS_MAX	64		/* asked for with one statement */

/* Whether the command behind this one is a join, too. */
static bool
join_more(const struct request *q)
{
	const struct request	*next = TAILQ_NEXT(q, entry);

	return next != NULL && next->cmd.type == COMMAND_JOIN;
}

/* The last of several joins is done: bring the rooms up to date. */
static void
join_end(struct request *q)
{
	if (!join_more(q))
		member_drained(q->session);
	queue_end(q);
}

/* Enter with a right that it has; false: it must be asked for. */
static bool
join_known(struct request *q)
{
	struct session	*s = q->session;
	struct client	*cl = client_of(s);

	if (room_member(q->cmd.room, s) == NULL &&
	    grant_find(&cl->grants, "", q->cmd.room) == NULL)
		return false;
	door_enter(s, &cl->grants, q->cmd.room, &q->cmd,
	    join_more(q));
	join_end(q);
	return true;
}

/* One of several joins has its answer. */
static void
join_answer(struct request *q, bool allowed)
{
	struct session	*s = q->session;
	struct client	*cl = client_of(s);

	if (allowed) {
		grant_add(&cl->grants, "", q->cmd.room, NULL);
		door_enter(s, &cl->grants, q->cmd.room, &q->cmd,
		    join_more(q));
	} else
		tell_error(s, &q->cmd, "forbidden",
		    "not allowed in this room");
	join_end(q);
}

/* None of them was begun: they will be asked for again. */
static void
join_unbegin(struct request *first, bool alone)
{
	struct client	*cl = client_of(first->session);
	struct request	*q = first;
	unsigned int	 n = first->njoins;

	for (; n > 0; n--, q = TAILQ_NEXT(q, entry)) {
		q->is_begun = false;
		q->is_alone = alone;
		cl->nbegun--;
	}
}

/* Whether a right that the answer is about has changed meanwhile. */
static bool
join_is_overtaken(const struct request *first)
{
	const struct request	*q = first;
	unsigned int		 n = first->njoins;

	if (rights_is_void(&first->rights))
		return true;
	for (; n > 0; n--, q = TAILQ_NEXT(q, entry))
		if (rights_is_revoked(&first->rights, q->cmd.room))
			return true;
	return false;
}

static void
join_on_answer(void *arg, const struct pg_result *res)
{
	struct request	*q = arg, *next;
	struct session	*s = session_ref(q->session);
	unsigned int	 n = q->njoins, i;

	stats_time(STAT_RULE_TIME, (clock_ms() - q->asked_ms) * 1000);
	q->ask = NULL;
	if (res != NULL && join_is_overtaken(q)) {
		join_unbegin(q, q->is_alone);
		queue_run(s);
	} else if (res != NULL && !pg_ok(res) && n > 1) {
		/* One of them takes too long: the others need not suffer. */
		join_unbegin(q, true);
		queue_run(s);
	} else
		for (i = 0; i < n && client_of(s) != NULL; i++, q = next) {
			next = TAILQ_NEXT(q, entry);
			/* A handler may have put it there, without a rule. */
			if (join_known(q))
				continue;
			if (!pg_ok(res))
				queue_unavailable(q);
			else
				join_answer(q, pg_true(res, (int)i, 0));
		}
	session_unref(s);
}

/* Whether the next join may be asked for together with the first. */
static bool
join_goes_with(const struct request *first, const struct request *q)
{
	size_t	n = rule_kind(first->cmd.room);

	return q != NULL && q->cmd.type == COMMAND_JOIN && !q->is_alone &&
	    !q->is_begun && first->njoins < JOINS_MAX &&
	    rule_kind(q->cmd.room) == n &&
	    strncmp(q->cmd.room, first->cmd.room, n) == 0;
}

/* Ask for this join and for those behind it. */
static void
join_ask(struct request *q)
{
	struct request	*last = q;
	struct text	 rooms = { NULL, 0, 0 };

	q->njoins = 0;
	text_add(&rooms, "[");
	do {
		text_add(&rooms, q->njoins++ == 0 ? "" : ",");
		text_add_string(&rooms, last->cmd.room);
		queue_begin(last);
		last = TAILQ_NEXT(last, entry);
	} while (!q->is_alone && join_goes_with(q, last) &&
	    !door_is_full(q->session, q->njoins));
	text_add(&rooms, "]");
	rights_ask(&q->rights, q->session);
	q->asked_ms = clock_ms();
	q->ask = rule_allow(q->session, q->cmd.room, rooms.buf, join_on_answer, q);
	free(rooms.buf);
	if (q->ask == NULL) {
		join_unbegin(q, true);
		queue_unavailable(q);
	}
}

void
join_do(struct request *q)
{
	if (join_known(q))
		return;
	if (door_is_full(q->session, 0)) {
		tell_error(q->session, &q->cmd, "too_many", "too many rooms");
		join_end(q);
		return;
	}
	join_ask(q);
}
