/* SPDX-License-Identifier: ISC */

/*
 * A change of all rights marks the questions under way.  A revoke of one room
 * is remembered for as long as a question is under way that was asked before.
 */

#include <stdlib.h>
#include <string.h>

#include "push/rights.h"
#include "push/session.h"
#include "base/xmalloc.h"

#define REVOKES_MAX	10000		/* remembered */

/* A revoke that passed since the oldest question was asked. */
struct revoke {
	TAILQ_ENTRY(revoke)	 entry;
	uint64_t		 number;
	char			*room;		/* owned */
	char			*user;		/* owned; "" is everybody */
};

static TAILQ_HEAD(, rights)	 questions = TAILQ_HEAD_INITIALIZER(questions);
static TAILQ_HEAD(revoke_list, revoke) revokes =
				    TAILQ_HEAD_INITIALIZER(revokes);
static uint64_t			 nrevokes;	/* ever */
static uint64_t			 nforgotten;	/* of them */

static void
rights_trim(void)
{
	const struct rights	*oldest = TAILQ_FIRST(&questions);
	struct revoke		*v;

	while ((v = TAILQ_FIRST(&revokes)) != NULL && (oldest == NULL ||
	    v->number <= oldest->revokes ||
	    nrevokes - nforgotten > REVOKES_MAX)) {
		TAILQ_REMOVE(&revokes, v, entry);
		nforgotten = v->number;
		free(v->room);
		free(v->user);
		free(v);
	}
}

void
rights_ask(struct rights *q, const struct session *s)
{
	if (q->session != NULL)
		TAILQ_REMOVE(&questions, q, entry);
	q->session = s;
	q->is_void = false;
	q->revokes = nrevokes;
	TAILQ_INSERT_TAIL(&questions, q, entry);
}

void
rights_end(struct rights *q)
{
	if (q->session == NULL)
		return;
	TAILQ_REMOVE(&questions, q, entry);
	q->session = NULL;
	rights_trim();
}

bool
rights_is_void(const struct rights *q)
{
	return q->is_void;
}

bool
rights_is_revoked(const struct rights *q, const char *room)
{
	const struct revoke	*v;

	TAILQ_FOREACH_REVERSE(v, &revokes, revoke_list, entry) {
		if (v->number <= q->revokes)
			return false;
		if (session_is_user(q->session, v->user) &&
		    strcmp(v->room, room) == 0)
			return true;
	}
	return q->revokes < nforgotten;		/* it may have been */
}

bool
rights_is_revoked_any(const struct rights *q, char *const *rooms, size_t n)
{
	size_t	i;

	for (i = 0; i < n; i++)
		if (rights_is_revoked(q, rooms[i]))
			return true;
	return false;
}

static void
rights_revoke_all(const char *user)
{
	struct rights	*q;

	TAILQ_FOREACH(q, &questions, entry)
		if (session_is_user(q->session, user))
			q->is_void = true;
}

void
rights_revoke(const char *room, const char *user)
{
	struct revoke	*v;

	if (room[0] == '\0') {
		rights_revoke_all(user);
		return;
	}
	v = xcalloc(1, sizeof(*v));
	v->number = ++nrevokes;
	v->room = xstrdup(room);
	v->user = xstrdup(user);
	TAILQ_INSERT_TAIL(&revokes, v, entry);
	rights_trim();
}
