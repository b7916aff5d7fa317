/* SPDX-License-Identifier: ISC */

/*
 * A party is a user or a kind of statement.  A user that has turns waiting and
 * none running is on one of two rings, of the quick and of the slow.  The ring
 * is a guess: what is first on it is judged again when it is picked.  A slow
 * party without turns is remembered for a while, or it would be quick again by
 * going away.
 */

#include <stdlib.h>
#include <string.h>

#include "push/fair.h"
#include "base/table.h"
#include "base/xmalloc.h"

#define REMEMBER_MS	600000		/* a slow party without turns */
#define REMEMBER_MAX	10000		/* of them */

enum party_place {
	PARTY_NOWHERE,
	PARTY_QUICK,		/* a user, on that ring */
	PARTY_SLOW,
	PARTY_IDLE,		/* remembered */
};

TAILQ_HEAD(party_list, party);

struct party {
	struct link		 link;		/* by name */
	TAILQ_ENTRY(party)	 entry;		/* by place */
	enum party_place	 place;
	TAILQ_HEAD(turns, turn)	 waiting;	/* of a user */
	unsigned int		 nturns;	/* that name it */
	bool			 is_running;	/* a user's turn */
	bool			 is_slow;
	unsigned int		 evidence;	/* slow users in a row */
	int64_t			 idle_ms;	/* since when */
	char			 name[];	/* "u" or "k", and the name */
};

struct fair {
	struct table		 parties;
	struct party_list	 rings[PARTY_IDLE + 1];
	TAILQ_HEAD(, turn)	 running;
	unsigned int		 connections;
	unsigned int		 nrunning;
	unsigned int		 nidle;
	size_t			 nwaiting;
	int64_t			 slow_ms;
	bool			 slow_was_last;
};

struct fair *
fair_new(unsigned int connections, int64_t slow_ms)
{
	struct fair	*f = xcalloc(1, sizeof(*f));
	int		 i;

	f->connections = connections;
	f->slow_ms = slow_ms;
	TAILQ_INIT(&f->running);
	for (i = 0; i <= PARTY_IDLE; i++)
		TAILQ_INIT(&f->rings[i]);
	return f;
}

/* Parties */

static void
party_move(struct fair *f, struct party *p, enum party_place place)
{
	if (p->place != PARTY_NOWHERE)
		TAILQ_REMOVE(&f->rings[p->place], p, entry);
	if (p->place == PARTY_IDLE)
		f->nidle--;
	p->place = place;
	if (place != PARTY_NOWHERE)
		TAILQ_INSERT_TAIL(&f->rings[place], p, entry);
	if (place == PARTY_IDLE)
		f->nidle++;
}

static void
party_free(struct fair *f, struct party *p)
{
	party_move(f, p, PARTY_NOWHERE);
	table_remove(&f->parties, &p->link);
	free(p);
}

/* The party of that name, with one turn more that names it. */
static struct party *
party_get(struct fair *f, char type, const char *name)
{
	uint32_t	 hash = table_hash(name);
	struct link	*l;
	struct party	*p;
	size_t		 len = strlen(name) + 1;

	for (l = table_first(&f->parties, hash); l != NULL;
	    l = table_next(l)) {
		p = table_object(l, struct party, link);
		if (p->name[0] == type && strcmp(p->name + 1, name) == 0)
			break;
	}
	if (l == NULL) {
		p = xcalloc(1, sizeof(*p) + 1 + len);
		TAILQ_INIT(&p->waiting);
		p->name[0] = type;
		memcpy(p->name + 1, name, len);
		table_add(&f->parties, &p->link, hash);
	}
	if (p->place == PARTY_IDLE)
		party_move(f, p, PARTY_NOWHERE);
	p->nturns++;
	return p;
}

/* A turn that named it has gone. */
static void
party_put(struct fair *f, struct party *p, int64_t now_ms)
{
	struct party	*oldest;

	if (--p->nturns > 0)
		return;
	if (p->is_slow) {
		p->idle_ms = now_ms;
		party_move(f, p, PARTY_IDLE);
	} else
		party_free(f, p);
	while ((oldest = TAILQ_FIRST(&f->rings[PARTY_IDLE])) != NULL &&
	    (f->nidle > REMEMBER_MAX ||
	    now_ms - oldest->idle_ms > REMEMBER_MS))
		party_free(f, oldest);
}

/* Turns */

static bool
turn_is_slow(const struct turn *t)
{
	return t->user->is_slow || t->kind->is_slow;
}

/* To the ring where the user belongs, at its end. */
static void
user_queue(struct fair *f, struct party *u)
{
	struct turn	*t = TAILQ_FIRST(&u->waiting);

	if (t == NULL || u->is_running)
		party_move(f, u, PARTY_NOWHERE);
	else
		party_move(f, u, turn_is_slow(t) ? PARTY_SLOW : PARTY_QUICK);
}

/* The user has been quick, or the kind: some on the slow ring may be, too. */
static void
fair_sort_again(struct fair *f)
{
	struct party	*u, *next;

	for (u = TAILQ_FIRST(&f->rings[PARTY_SLOW]); u != NULL; u = next) {
		next = TAILQ_NEXT(u, entry);
		if (!turn_is_slow(TAILQ_FIRST(&u->waiting)))
			user_queue(f, u);
	}
}

void
fair_add(struct fair *f, struct turn *t, const char *user, const char *kind)
{
	t->user = party_get(f, 'u', user);
	t->kind = party_get(f, 'k', kind);
	t->is_running = t->is_noted = false;
	TAILQ_INSERT_TAIL(&t->user->waiting, t, entry);
	f->nwaiting++;
	if (t->user->place == PARTY_NOWHERE)
		user_queue(f, t->user);
}

/* It takes too long.  That a slow user's does proves nothing about its kind. */
static void
turn_note_slow(const struct fair *f, struct turn *t)
{
	t->is_noted = true;
	if (!t->user->is_slow && ++t->kind->evidence >= f->connections)
		t->kind->is_slow = true;
	t->user->is_slow = true;
}

static void
turn_note_quick(struct fair *f, struct turn *t)
{
	bool	changed = t->user->is_slow || t->kind->is_slow;

	t->user->is_slow = t->kind->is_slow = false;
	t->kind->evidence = 0;
	if (changed)
		fair_sort_again(f);
}

/* How many run that are slow; notes those that have just become so. */
static unsigned int
fair_count_slow(struct fair *f, int64_t now_ms)
{
	struct turn	*t;
	unsigned int	 n = 0;

	TAILQ_FOREACH(t, &f->running, entry) {
		if (!t->is_noted && now_ms - t->began_ms >= f->slow_ms)
			turn_note_slow(f, t);
		n += t->was_slow || t->is_noted;
	}
	return n;
}

/* The first on the ring of the quick that is quick indeed. */
static struct party *
fair_quick(struct fair *f)
{
	struct party	*u;

	while ((u = TAILQ_FIRST(&f->rings[PARTY_QUICK])) != NULL &&
	    turn_is_slow(TAILQ_FIRST(&u->waiting)))
		party_move(f, u, PARTY_SLOW);
	return u;
}

static struct turn *
fair_begin(struct fair *f, struct party *u, int64_t now_ms)
{
	struct turn	*t = TAILQ_FIRST(&u->waiting);

	TAILQ_REMOVE(&u->waiting, t, entry);
	f->nwaiting--;
	t->is_running = u->is_running = true;
	t->was_slow = turn_is_slow(t);
	t->began_ms = now_ms;
	TAILQ_INSERT_TAIL(&f->running, t, entry);
	f->nrunning++;
	f->slow_was_last = t->was_slow;
	party_move(f, u, PARTY_NOWHERE);
	return t;
}

struct turn *
fair_next(struct fair *f, int64_t now_ms)
{
	unsigned int	 half = f->connections > 1 ? f->connections / 2 : 1;
	unsigned int	 nslow;
	struct party	*quick, *slow = NULL;

	if (f->nrunning >= f->connections)
		return NULL;
	nslow = fair_count_slow(f, now_ms);
	quick = fair_quick(f);
	if (nslow < half)
		slow = TAILQ_FIRST(&f->rings[PARTY_SLOW]);
	/* One connection is enough to keep the slow from waiting for ever. */
	if (quick != NULL && (slow == NULL || nslow > 0 || f->slow_was_last))
		return fair_begin(f, quick, now_ms);
	return slow == NULL ? NULL : fair_begin(f, slow, now_ms);
}

void
fair_end(struct fair *f, struct turn *t, int64_t now_ms)
{
	struct party	*u = t->user;

	(void)fair_count_slow(f, now_ms);
	if (t->is_running) {
		TAILQ_REMOVE(&f->running, t, entry);
		f->nrunning--;
		u->is_running = false;
		if (now_ms - t->began_ms < f->slow_ms)
			turn_note_quick(f, t);
	} else {
		TAILQ_REMOVE(&u->waiting, t, entry);
		f->nwaiting--;
	}
	user_queue(f, u);
	party_put(f, t->kind, now_ms);
	party_put(f, u, now_ms);
	t->user = t->kind = NULL;
}

size_t
fair_waiting(const struct fair *f)
{
	return f->nwaiting;
}

struct turn *
fair_any(const struct fair *f)
{
	const struct party	*u = TAILQ_FIRST(&f->rings[PARTY_QUICK]);

	if (u == NULL)
		u = TAILQ_FIRST(&f->rings[PARTY_SLOW]);
	return u == NULL ? NULL : TAILQ_FIRST(&u->waiting);
}

void
fair_free(struct fair *f)
{
	struct party	*p;

	while ((p = TAILQ_FIRST(&f->rings[PARTY_IDLE])) != NULL)
		party_free(f, p);
	free(f->parties.buckets);
	free(f);
}
