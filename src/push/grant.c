/* SPDX-License-Identifier: ISC */

/*
 * Both lists are short, so they are searched.
 */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "push/grant.h"
#include "base/xmalloc.h"

#define LEFT_MS		5000		/* a position is kept so long */
#define LEFT_MAX	32		/* rooms left and remembered */

/* A room left a moment ago. */
struct left {
	TAILQ_ENTRY(left)	 entry;		/* oldest first */
	char			*room;		/* owned */
	char			*epoch;		/* owned; last belongs to it */
	int64_t			 last;
	int64_t			 until_ms;
};

void
grants_init(struct grants *g, unsigned int max)
{
	LIST_INIT(&g->grants);
	TAILQ_INIT(&g->left);
	g->ngrants = g->nleft = 0;
	g->max = max;
}

static void
grant_free(struct grants *g, struct grant *x)
{
	LIST_REMOVE(x, entry);
	g->ngrants--;
	free(x->event);
	free(x->room);
	answer_free(&x->answer);
	free(x);
}

static void
grant_free_left(struct grants *g, struct left *l)
{
	TAILQ_REMOVE(&g->left, l, entry);
	g->nleft--;
	free(l->room);
	free(l->epoch);
	free(l);
}

void
grants_clear(struct grants *g)
{
	while (!LIST_EMPTY(&g->grants))
		grant_free(g, LIST_FIRST(&g->grants));
	while (!TAILQ_EMPTY(&g->left))
		grant_free_left(g, TAILQ_FIRST(&g->left));
}

static struct grant *
grant_get(const struct grants *g, const char *event, const char *room)
{
	struct grant	*x;

	LIST_FOREACH(x, &g->grants, entry)
		if (strcmp(x->event, event) == 0 && strcmp(x->room, room) == 0)
			break;
	return x;
}

const struct grant *
grant_find(const struct grants *g, const char *event, const char *room)
{
	return grant_get(g, event, room);
}

static void
grant_free_oldest(struct grants *g)
{
	struct grant	*x, *oldest = NULL;

	LIST_FOREACH(x, &g->grants, entry)
		oldest = x;
	if (oldest != NULL)
		grant_free(g, oldest);
}

void
grant_add(struct grants *g, const char *event, const char *room,
    struct answer *answer)
{
	struct grant	*x = grant_get(g, event, room);

	if (x != NULL)
		grant_free(g, x);
	if (g->ngrants >= g->max)
		grant_free_oldest(g);
	x = xcalloc(1, sizeof(*x));
	x->event = xstrdup(event);
	x->room = xstrdup(room);
	if (answer != NULL) {
		x->answer = *answer;
		memset(answer, 0, sizeof(*answer));
	}
	LIST_INSERT_HEAD(&g->grants, x, entry);
	g->ngrants++;
}

void
grant_left(struct grants *g, const char *room, int64_t last,
    const char *epoch)
{
	struct left	*l;

	if (g->nleft >= LEFT_MAX)
		grant_free_left(g, TAILQ_FIRST(&g->left));
	l = xcalloc(1, sizeof(*l));
	l->room = xstrdup(room);
	l->epoch = xstrdup(epoch);
	l->last = last;
	l->until_ms = clock_ms() + LEFT_MS;
	TAILQ_INSERT_TAIL(&g->left, l, entry);
	g->nleft++;
}

int64_t
grant_rejoin(struct grants *g, const char *room, char **epoch)
{
	struct left	*l, *next;
	int64_t		 last = -1, now = clock_ms();

	for (l = TAILQ_FIRST(&g->left); l != NULL; l = next) {
		next = TAILQ_NEXT(l, entry);
		if (l->until_ms >= now && strcmp(l->room, room) != 0)
			continue;
		if (l->until_ms >= now) {
			last = l->last;
			free(*epoch);
			*epoch = l->epoch;
			l->epoch = NULL;
		}
		grant_free_left(g, l);
	}
	return last;
}

static bool
answer_has_room(const struct answer *a, const char *room)
{
	size_t	i;

	for (i = 0; i < a->njoin; i++)
		if (strcmp(a->join[i], room) == 0)
			return true;
	return false;
}

void
grants_forget(struct grants *g, const char *room)
{
	struct grant	*x, *xnext;
	struct left	*l, *lnext;

	for (x = LIST_FIRST(&g->grants); x != NULL; x = xnext) {
		xnext = LIST_NEXT(x, entry);
		if (room[0] == '\0' || strcmp(x->room, room) == 0 ||
		    answer_has_room(&x->answer, room))
			grant_free(g, x);
	}
	for (l = TAILQ_FIRST(&g->left); l != NULL; l = lnext) {
		lnext = TAILQ_NEXT(l, entry);
		if (room[0] == '\0' || strcmp(l->room, room) == 0)
			grant_free_left(g, l);
	}
}
