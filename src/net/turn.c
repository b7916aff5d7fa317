/* SPDX-License-Identifier: ISC */

/*
 * Two lists and one event, which is active while there is anything to do.
 */

#include <event2/event.h>
#include <stddef.h>

#include "base/clock.h"
#include "net/turn.h"

#define SLICE	256		/* written in a turn */
#define LATE	64		/* and at least so many late ones */

TAILQ_HEAD(turn_list, turn);

static struct turn_list	 now = TAILQ_HEAD_INITIALIZER(now);
static struct turn_list	 late = TAILQ_HEAD_INITIALIZER(late);
static struct event	*ev;
static void		(*on_write)(struct turn *t);
static void		(*on_end)(void);

void
turn_remove(struct turn *t)
{
	if (t->due == TURN_NOW)
		TAILQ_REMOVE(&now, t, entry);
	else if (t->due == TURN_LATE)
		TAILQ_REMOVE(&late, t, entry);
	t->due = TURN_NOT;
}

void
turn_add(struct turn *t, bool is_late)
{
	enum turn_due	due = is_late ? TURN_LATE : TURN_NOW;

	if (t->due == due || t->due == TURN_NOW)
		return;
	if (TAILQ_EMPTY(&now) && TAILQ_EMPTY(&late))
		turn_wake();
	turn_remove(t);
	t->due = due;
	if (is_late)
		TAILQ_INSERT_TAIL(&late, t, entry);
	else
		TAILQ_INSERT_TAIL(&now, t, entry);
}

void
turn_wake(void)
{
	event_active(ev, EV_TIMEOUT, 1);
}

/* Write at most max of a list; returns how many there were. */
static int
write_list(const struct turn_list *list, int max)
{
	struct turn	*t;
	int		 n;

	for (n = 0; n < max && (t = TAILQ_FIRST(list)) != NULL; n++) {
		turn_remove(t);
		on_write(t);
	}
	return n;
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	int	n;

	(void)fd;
	(void)what;
	(void)arg;
	n = write_list(&now, SLICE);
	(void)write_list(&late, SLICE - n + LATE);
	if (!TAILQ_EMPTY(&now) || !TAILQ_EMPTY(&late))
		clock_start(ev, 0);
	on_end();
}

void
turn_init(struct event_base *base, void (*write)(struct turn *t),
    void (*end)(void))
{
	on_write = write;
	on_end = end;
	ev = clock_new(base, on_turn, NULL);
}

void
turn_exit(void)
{
	struct turn	*t;

	while ((t = TAILQ_FIRST(&now)) != NULL ||
	    (t = TAILQ_FIRST(&late)) != NULL)
		turn_remove(t);
	on_end();
	event_free(ev);
	ev = NULL;
}
