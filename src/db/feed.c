/* SPDX-License-Identifier: ISC */

/*
 * The feed's state machine.  One statement is under way at any time; what else
 * there is to do waits as a bit in todo, and feed_next picks the most urgent.
 * With a replica to follow there are two such connections: the replica's for
 * placing and reading, the primary's for all else.
 *
 * What a leader does when is in the roles: it polls, or it holds the lock K and
 * sleeps until a bell; see duty.c for the locks.
 *
 * What holds always: position only grows (but for another database); a row is
 * handed over only after the answer is complete, that is, committed; a bell
 * that comes while a move is under way causes another move; after K has been
 * taken one more move is made before anybody sleeps, since a writer that
 * committed in between has seen nobody to ring for.
 */

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/stats.h"
#include "base/xmalloc.h"
#include "db/duty.h"
#include "db/feed.h"
#include "db/held.h"
#include "db/line.h"
#include "db/mode.h"
#include "db/move.h"
#include "db/node.h"
#include "db/pg.h"
#include "db/ring.h"
#include "db/tail.h"

#define BEAT_MS			1000	/* stamps, and tries to lead */
#define BELT_HEARTBEATS		10	/* a move without hint every so many */
#define PURGE_BEATS		10
#define LAG_MIN_MS		2	/* a replica has not replayed it: */
#define LAG_MAX_MS		100	/* ask again, less and less often */
#define UNASKED_BEATS		5	/* the application cannot be asked */
#define LATE_HEARTBEATS		30	/* a replica is not ready then */

enum feed_role {
	FEED_FOLLOWER,
	FEED_POLLING,
	FEED_ARMED,
};

static const char *const role_names[] = { "follower", "polling", "armed" };

/* In the order in which they are done: who reads for long is not dead. */
enum todo {
	TODO_STAMP	= 1 << 0,
	TODO_PLACE	= 1 << 1,	/* where the log stands */
	TODO_LOAD	= 1 << 2,	/* the newest events into the ring */
	TODO_READ	= 1 << 3,	/* the log from position on */
	TODO_LEAD	= 1 << 4,	/* try L */
	TODO_FOLLOW	= 1 << 5,	/* hold F shared */
	TODO_GIVE_UP	= 1 << 6,	/* what cannot be rendered */
	TODO_RING	= 1 << 7,	/* tell followers of new rows */
	TODO_PRESENCE	= 1 << 8,
	TODO_COUNT	= 1 << 9,	/* are there followers? */
	TODO_DISARM	= 1 << 10,	/* give K up */
	TODO_STEP	= 1 << 11,	/* move on by a step of held: moves
				 * wait behind it, and bells ask for moves
				 * all the time */
	TODO_MOVE	= 1 << 12,
	TODO_ARM	= 1 << 13,	/* try K */
	TODO_PURGE	= 1 << 14,	/* by turns with full moves */
	TODO_RENDER	= 1 << 15,	/* what a step needs */
	TODO_GOODBYE	= 1 << 16,	/* and nothing after it */
};
#define TODO_OF_LOG	(TODO_PLACE | TODO_LOAD | TODO_READ)

struct feed {
	const struct config	*cfg;
	const char		*node;
	const struct feed_ops	*ops;
	void			*arg;
	struct line		*main;		/* to the primary; owned */
	struct line		*replica;	/* owned; NULL: none */
	struct line		*log;		/* the one that reads the log */
	struct line		*render;	/* moves nothing; owned */
	struct tail		*tail;		/* owned, as are the next */
	struct move		*move;
	struct held		*held;
	struct mode		*mode;
	struct event		*poll_timer;	/* the next move or read */
	struct event		*due_timer;	/* the next held event */
	struct event		*presence_timer;
	struct event		*beat_timer;
	struct event		*heart_timer;
	enum feed_role		 role;
	unsigned int		 todo;
	enum duty		 duty;		/* that was sent last */
	bool			 placed;	/* on this connection */
	bool			 ready;
	bool			 leading;	/* holds L */
	bool			 following;	/* holds F shared */
	bool			 followers;	/* there were some */
	bool			 moved;		/* that was done last */
	bool			 leaving;	/* goodbye comes */
	bool			 gone;		/* and was said */
	uint64_t		 stamps;	/* sent ever */
	unsigned int		 beats;
	unsigned int		 heartbeats;
	int64_t			 lag_ms;	/* until the next read */
	int64_t			 wanted;	/* the replica has not got it */
	struct lateness		 lateness;	/* of the replica */
	bool			 rendering;
	bool			 stuck;		/* the last move failed */
	unsigned int		 unasked;	/* beats since it should have */
};

static void	feed_next(struct feed *f);

/* Timers */

static void
feed_todo(struct feed *f, unsigned int what)
{
	f->todo |= what;
	feed_next(f);
}

static void
feed_on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct feed	*f = arg;

	(void)fd;
	(void)what;
	feed_todo(f, f->leading ? TODO_MOVE : TODO_READ);
}

static void
feed_on_due(evutil_socket_t fd, short what, void *arg)
{
	struct feed	*f = arg;

	(void)fd;
	(void)what;
	held_due(f->held);
	feed_todo(f, TODO_RENDER);
}

static void
feed_on_presence(evutil_socket_t fd, short what, void *arg)
{
	struct feed	*f = arg;

	(void)fd;
	(void)what;
	if (f->leading)
		feed_todo(f, TODO_PRESENCE);
}

static void
feed_set_role(struct feed *f, enum feed_role role)
{
	if (role == f->role)
		return;
	log_debug("feed=%s was=%s position=%" PRId64, role_names[role],
	    role_names[f->role], feed_position(f));
	f->role = role;
	stats_choose(STAT_ROLE, role);
	mode_restart(f->mode, clock_us());
	(void)evtimer_del(f->poll_timer);
}

int64_t
feed_ring_after(const struct feed *f, int64_t id)
{
	return ring_after(tail_ring(f->tail), id);
}

struct entry *
feed_ring_get(const struct feed *f, int64_t index)
{
	return ring_get(tail_ring(f->tail), index);
}

int64_t
feed_ring_find(const struct feed *f, int64_t index, uint32_t hash)
{
	return ring_find(tail_ring(f->tail), index, hash);
}

/* Moving */

static void
feed_after_move(struct feed *f, const struct moved *d)
{
	int64_t	now_us = clock_us();

	mode_move_done(f->mode, now_us, d->rows);
	if (d->rows > 0 && f->followers)
		f->todo |= TODO_RING;
	if (d->full)
		f->todo |= TODO_MOVE;
	else if (f->role == FEED_POLLING)
		clock_start_us(f->poll_timer, mode_wait_us(f->mode, now_us));
	if (f->role == FEED_POLLING && mode_is_quiet(f->mode, now_us))
		f->todo |= TODO_ARM;
}

static bool
feed_answered(struct feed *f, const struct pg_result *res)
{
	return line_answered(f->main, res);
}

/*
 * A row may be such that no statement can return or log it.  A step, which
 * goes row by row, gets past it; unless the last one did not help.
 */
static bool
feed_move_failed(struct feed *f, const struct pg_result *res)
{
	if (res == NULL || pg_ok(res) || f->stuck)
		return false;
	line_sent(f->main, -1);
	move_restart(f->move);
	f->stuck = true;
	f->todo |= TODO_STEP;
	return true;
}

/* False: this is another log. */
static bool
feed_hand_over(struct feed *f, const struct pg_result *res)
{
	switch (tail_moved(f->tail, res, MOVE_COLUMN)) {
	case TAIL_ALL:
		break;
	case TAIL_LEFT_OUT:
		f->todo |= TODO_READ;
		break;
	case TAIL_FOREIGN:
		pg_reset(line_pg(f->main), "ids were given anew");
		return false;
	}
	return true;
}

static void
feed_moved(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;
	struct moved	 d;

	if (feed_move_failed(f, res)) {
		feed_next(f);
		return;
	}
	if (!feed_answered(f, res))
		return;
	f->stuck = false;
	d = move_done(f->move, res);
	stats_add_to(STAT_MOVES, d.is_bulk ? STAT_BACKLOG :
	    d.rows > 0 ? STAT_FOUND : STAT_EMPTY, 1);
	if (d.is_bulk)
		f->todo |= TODO_READ | TODO_MOVE;
	if (d.is_odd && !held_asks(f->held))
		f->todo |= TODO_STEP;
	if (d.rows > 0 && !d.is_bulk && !feed_hand_over(f, res))
		return;
	feed_after_move(f, &d);
	feed_next(f);
}

/* Sending: each sends one statement, whose answer ends in feed_next. */

static void
feed_move(struct feed *f)
{
	if (held_is_busy(f->held))
		return;		/* what comes of that ends in a move */
	mode_move_sent(f->mode, clock_us());
	line_sent(f->main, move_send(f->move, line_pg(f->main), feed_moved, f));
}

static void
feed_not_ready(struct feed *f)
{
	if (f->ready)
		f->ops->ready(f->arg, false);
	f->ready = false;
}

static bool
feed_is_replica(const struct feed *f)
{
	return f->replica != NULL;
}

/* There is no more to read: for now, or until the replica has replayed it. */
static void
feed_read_all(struct feed *f)
{
	if (f->leading && f->role == FEED_FOLLOWER) {
		feed_set_role(f, FEED_POLLING);
		f->todo |= TODO_MOVE | TODO_STEP | TODO_COUNT | TODO_PRESENCE;
	}
	if (feed_is_replica(f) && feed_position(f) < f->wanted) {
		clock_start(f->poll_timer, f->lag_ms);
		if ((f->lag_ms *= 2) > LAG_MAX_MS)
			f->lag_ms = LAG_MAX_MS;
	}
	if (!f->ready && line_is_started(f->main) && !f->lateness.late) {
		f->ready = true;
		f->ops->ready(f->arg, true);
	}
}

static void
feed_read_done(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (!line_answered(f->log, res))
		return;
	switch (tail_read_done(f->tail, res)) {
	case TAIL_PURGED:
		/* tail_placed finds the same, and says so. */
		pg_reset(line_pg(f->log), "rows were purged before they were read");
		return;
	case TAIL_FORKED:
		f->placed = false;
		f->todo |= TODO_PLACE;
		break;
	case TAIL_MORE:
		f->lag_ms = LAG_MIN_MS;
		f->todo |= TODO_READ;
		break;
	case TAIL_END:
		feed_read_all(f);
		break;
	}
	feed_next(f);
}

static void
feed_read(struct feed *f)
{
	line_sent(f->log, tail_read(f->tail, line_pg(f->log), feed_read_done, f));
}

static void
feed_placed(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;
	enum tail_place	 place;

	if (!line_answered(f->log, res))
		return;
	place = tail_placed(f->tail, res, feed_is_replica(f));
	/* Whoever is sent away has a position of the old history. */
	if (place == TAIL_MISSED)
		f->ops->missed(f->arg);
	if (place != TAIL_GOES_ON) {
		tail_begin(f->tail, res);
		f->wanted = f->lateness.target = 0;
		f->todo |= TODO_LOAD;
	}
	f->placed = true;
	f->lag_ms = LAG_MIN_MS;
	f->todo |= TODO_READ | TODO_LEAD | TODO_STAMP;
	feed_next(f);
}

static void
feed_place(struct feed *f)
{
	line_sent(f->log, tail_place(f->tail, line_pg(f->log), feed_placed, f));
}

static void
feed_loaded(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (!line_answered(f->log, res))
		return;
	tail_loaded(f->tail, res);
	feed_next(f);
}

static void
feed_load(struct feed *f)
{
	line_sent(f->log, tail_load(f->tail, line_pg(f->log), feed_loaded, f));
}

static void
feed_led(struct feed *f, const char *term)
{
	if (!tail_begin_term(f->tail, term)) {
		f->placed = false;
		f->todo |= TODO_PLACE;
	}
	log_info("feed=leader node=%s position=%" PRId64,
	    log_quote(f->node, strlen(f->node)), feed_position(f));
	stats_add(STAT_LEADER_CHANGES, 1);
	f->leading = true;
	f->todo |= TODO_READ;
}

static void
feed_counted(struct feed *f, bool some)
{
	/* The first has not been told what was moved since it read last. */
	if (some && !f->followers)
		f->todo |= TODO_RING;
	f->followers = some;
}

static void	feed_duty(struct feed *f, enum duty duty);

static void
feed_duty_done(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;
	bool		 yes;

	if (!feed_answered(f, res))
		return;
	yes = pg_true(res, 0, 0);
	switch (f->duty) {
	case DUTY_LEAD_TRY:
		if (yes) {
			move_forget(f->move);
			feed_duty(f, DUTY_LEAD);
		} else if (!f->following)
			f->todo |= TODO_FOLLOW;
		break;
	case DUTY_LEAD:
		feed_led(f, pg_value(res, 0, 0));
		break;
	case DUTY_FOLLOW:
		f->following = yes;
		break;
	case DUTY_UNFOLLOW:
		break;
	case DUTY_COUNT:
		feed_counted(f, yes);
		break;
	case DUTY_ARM:
		if (yes) {
			feed_set_role(f, FEED_ARMED);
			/* Once more: who committed before K was ours did not
			 * ring. */
			f->todo |= TODO_MOVE;
		}
		break;
	case DUTY_DISARM:
		feed_set_role(f, FEED_POLLING);
		f->todo |= TODO_MOVE;
		break;
	}
	feed_next(f);
}

static void
feed_duty(struct feed *f, enum duty duty)
{
	f->duty = duty;
	line_sent(f->main, duty_send(duty, line_pg(f->main), feed_duty_done,
	    f));
}

/* Held events */

static void
feed_stepped(void *arg, const struct pg_result *res)
{
	struct feed		*f = arg;
	struct held_step	 s;

	if (!feed_answered(f, res))
		return;
	s = held_stepped(f->held, res);
	if (s.found)
		f->stuck = false;
	if (s.found)
		f->todo |= TODO_READ | (f->followers ? TODO_RING : 0);
	if (s.asks)
		f->todo |= TODO_RENDER;
	else
		f->todo |= TODO_MOVE;	/* plain rows are quicker so */
	f->unasked = 0;
	if (s.has_due && s.due_ms > 0)
		clock_start(f->due_timer, s.due_ms);
	feed_next(f);
}

static void
feed_step(struct feed *f)
{
	line_sent(f->main, held_step(f->held, line_pg(f->main), feed_stepped,
	    f));
}

/* A failure is no reason to give the connection up: try, then without. */
static void
feed_rendered(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	line_sent(f->render, -1);
	/* What another term of ours asked for is no answer. */
	if (f->rendering) {
		f->rendering = false;
		held_rendered(f->held, res);
		f->todo |= held_asks(f->held) ? TODO_RENDER : TODO_STEP;
	}
	if (res != NULL)
		feed_next(f);
}

static void
feed_render(struct feed *f)
{
	int	status;

	if (!held_asks(f->held))
		return;
	status = held_render(f->held, line_pg(f->render), held_fails(f->held),
	    feed_rendered, f);
	f->rendering = status == 0;
	line_sent(f->render, status);
}

static void
feed_gave_up(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (!feed_answered(f, res))
		return;
	held_rendered(f->held, res);
	f->todo |= TODO_STEP;
	feed_next(f);
}

/* No connection to ask on: what was asked for becomes a resync. */
static void
feed_give_up(struct feed *f)
{
	if (f->rendering || !held_asks(f->held))
		return;
	log_warn("feed=leader msg=\"held events cannot be rendered\"");
	line_sent(f->main, held_render(f->held, line_pg(f->main), true,
	    feed_gave_up, f));
}

void
feed_presence_again(struct feed *f, int64_t ms)
{
	if (!f->leading)
		return;
	if (ms >= 0)
		clock_start(f->presence_timer, ms < 1 ? 1 : ms);
	feed_todo(f, TODO_MOVE);
}

static void
feed_purged(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (!feed_answered(f, res))
		return;
	if (duty_purged(res))
		f->todo |= TODO_PURGE;
	feed_next(f);
}

static void
feed_presence(struct feed *f)
{
	f->ops->present(f->arg);
	feed_next(f);
}

static void
feed_purge(struct feed *f)
{
	line_sent(f->main, duty_purge(line_pg(f->main), f->cfg->retain_ms,
	    feed_purged, f));
}

/* Perhaps another host has what the replica lacks. */
static void
feed_check_late(struct feed *f, int64_t newest)
{
	switch (lateness_check(&f->lateness, feed_position(f), newest,
	    clock_ms(), LATE_HEARTBEATS * f->cfg->heartbeat_ms)) {
	case LATENESS_NONE:
		break;
	case LATENESS_OVER:
		f->todo |= TODO_READ;
		break;
	case LATENESS_LATE:
		log_warn("feed=follower msg=\"the replica is late\" position=%"
		    PRId64 " primary=%" PRId64, feed_position(f), newest);
		feed_not_ready(f);
		pg_refuse(line_pg(f->replica), "the replica is late");
		break;
	}
}

static void
feed_stamped(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;
	int64_t		 newest;

	if (!feed_answered(f, res))
		return;
	if (!node_was_known(res))
		f->ops->unknown(f->arg);
	newest = node_newest_id(res);
	if (feed_is_replica(f) && f->placed)
		feed_check_late(f, newest);
	else if (f->role != FEED_FOLLOWER && newest < feed_position(f)) {
		/* Another term will tell. */
		pg_reset(line_pg(f->main), "the log ends before our position");
		return;
	}
	f->ops->newest(f->arg, newest, f->stamps);
	feed_next(f);
}

static void
feed_stamp(struct feed *f)
{
	struct feed_stamp	st = { 0, "{}" };

	f->stamps++;
	f->ops->stamp(f->arg, &st);
	line_sent(f->main, node_stamp(line_pg(f->main), f->node, f->leading,
	    &st, feed_stamped, f));
}

static void
feed_told(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	if (feed_answered(f, res))
		feed_next(f);
}

static void
feed_tell_followers(struct feed *f)
{
	line_sent(f->main, duty_ring(line_pg(f->main), feed_position(f),
	    feed_told, f));
}

static void
feed_said_goodbye(void *arg, const struct pg_result *res)
{
	struct feed	*f = arg;

	(void)line_answered(f->main, res);
	f->gone = true;
}

static void
feed_say_goodbye(struct feed *f)
{
	line_sent(f->main, node_goodbye(line_pg(f->main), f->node,
	    feed_said_goodbye, f));
}
struct action {
	enum todo	  what;
	void		(*send)(struct feed *f);	/* NULL: a duty */
	enum duty	  duty;
};
/* In the order of the bits. */
static const struct action actions[] = {
	{ TODO_STAMP, feed_stamp, 0 },
	{ TODO_PLACE, feed_place, 0 },
	{ TODO_LOAD, feed_load, 0 },
	{ TODO_READ, feed_read, 0 },
	{ TODO_LEAD, NULL, DUTY_LEAD_TRY },
	{ TODO_FOLLOW, NULL, DUTY_FOLLOW },
	{ TODO_GIVE_UP, feed_give_up, 0 },
	{ TODO_RING, feed_tell_followers, 0 },
	{ TODO_PRESENCE, feed_presence, 0 },
	{ TODO_COUNT, NULL, DUTY_COUNT },
	{ TODO_DISARM, NULL, DUTY_DISARM },
	{ TODO_STEP, feed_step, 0 },
	{ TODO_MOVE, feed_move, 0 },
	{ TODO_ARM, NULL, DUTY_ARM },
	{ TODO_PURGE, feed_purge, 0 },
	{ TODO_RENDER, feed_render, 0 },
	{ TODO_GOODBYE, feed_say_goodbye, 0 },
};

static void
feed_do(struct feed *f, enum todo what)
{
	const struct action	*a = actions;

	while (a->what != what)
		a++;
	f->todo &= ~(unsigned int)what;
	if (a->send != NULL)
		a->send(f);
	else
		feed_duty(f, a->duty);
}

/* What only a leader may do is forgotten if we are none. */
static unsigned int
feed_allowed(const struct feed *f)
{
	unsigned int	all = TODO_STAMP | TODO_PLACE;

	if (f->leaving)
		return TODO_GOODBYE;
	if (f->placed)
		all |= TODO_LOAD | TODO_READ;
	if (!f->leading)
		return all | TODO_FOLLOW | (f->placed && !feed_is_replica(f) ?
		    TODO_LEAD : 0);
	if (f->role == FEED_FOLLOWER)
		return all;
	all |= TODO_GIVE_UP | TODO_RING | TODO_PRESENCE | TODO_MOVE |
	    TODO_COUNT | TODO_PURGE | TODO_STEP | TODO_RENDER;
	return all | (f->role == FEED_ARMED ? TODO_DISARM : TODO_ARM);
}

/* The most urgent of what this connection does, if it is free; the next if it
 * turns out that there is nothing to send for it. */
static void
feed_next_of(struct feed *f, const struct line *l, unsigned int mask)
{
	unsigned int	todo;
	enum todo	what;

	while (line_is_free(l)) {
		f->todo &= feed_allowed(f);
		if ((todo = f->todo & mask) == 0)
			return;
		what = (enum todo)(todo & -todo);	/* the lowest bit */
		if (what == TODO_MOVE && f->moved && (todo & TODO_PURGE) != 0)
			what = TODO_PURGE;
		f->moved = what == TODO_MOVE;
		feed_do(f, what);
	}
}

static void
feed_next(struct feed *f)
{
	if (f->gone)
		return;
	if (f->leading && f->following && line_is_free(f->main)) {
		f->following = false;
		feed_duty(f, DUTY_UNFOLLOW);
		return;
	}
	if (feed_is_replica(f)) {
		feed_next_of(f, f->replica, TODO_OF_LOG);
		feed_next_of(f, f->main,
		    ~(unsigned int)(TODO_OF_LOG | TODO_RENDER));
	} else
		feed_next_of(f, f->main, ~(unsigned int)TODO_RENDER);
	feed_next_of(f, f->render, TODO_RENDER);
}

/* Bells and other payloads */

static void
feed_bell(struct feed *f)
{
	stats_add(STAT_BELLS, 1);
	if (f->role != FEED_ARMED)
		return;
	if (mode_is_busy(f->mode, clock_us()))
		f->todo |= TODO_DISARM;
	feed_todo(f, TODO_MOVE);
}

static bool
has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static void
feed_on_notify(void *arg, const char *channel, const char *payload, int pid)
{
	struct feed	*f = arg;
	int64_t		 id;

	(void)pid;
	if (strcmp(channel, "pgpush_log") == 0) {
		id = strtoll(payload, NULL, 10);
		if (f->wanted < id)
			f->wanted = id;
		if (!f->leading)
			feed_todo(f, TODO_READ);
	} else if (*payload == '\0' || has_prefix(payload, "{\"bell\":"))
		feed_bell(f);
	else if (has_prefix(payload, "{\"presence\":")) {
		if (f->leading)
			feed_todo(f, TODO_PRESENCE);
	} else
		f->ops->notify(f->arg, payload);
}

static void
feed_on_beat(evutil_socket_t fd, short what, void *arg)
{
	struct feed	*f = arg;

	(void)fd;
	(void)what;
	clock_start(f->beat_timer, BEAT_MS);
	if (++f->beats % PURGE_BEATS == 0)
		f->todo |= TODO_PURGE;
	if (held_asks(f->held) && ++f->unasked >= UNASKED_BEATS)
		f->todo |= TODO_GIVE_UP;
	feed_todo(f, TODO_STAMP | (f->leading ? TODO_COUNT : TODO_LEAD |
	    (f->following ? 0 : TODO_FOLLOW)));
}

static void
feed_on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
	struct feed	*f = arg;

	(void)fd;
	(void)what;
	clock_start(f->heart_timer, f->cfg->heartbeat_ms);
	if (++f->heartbeats % BELT_HEARTBEATS == 0)
		move_forget(f->move);
	feed_todo(f, f->leading ? TODO_PRESENCE | TODO_MOVE : TODO_READ);
}

/* The connection */

static void
feed_started(void *arg)
{
	struct feed	*f = arg;

	feed_todo(f, TODO_STAMP | TODO_FOLLOW | (f->placed ? TODO_READ :
	    TODO_PLACE));
}

static void
feed_down(void *arg)
{
	struct feed	*f = arg;

	stats_add(STAT_LEADER_CHANGES, f->leading);
	feed_set_role(f, FEED_FOLLOWER);
	move_restart(f->move);
	held_restart(f->held);
	f->leading = f->following = f->rendering = f->stuck = false;
	f->todo &= TODO_OF_LOG;
	if (!feed_is_replica(f))
		f->placed = false;
	(void)evtimer_del(f->due_timer);
	(void)evtimer_del(f->presence_timer);
	feed_not_ready(f);
}

static const struct line_ops feed_main_ops = { feed_started, feed_down,
	feed_on_notify };

static void
feed_replica_started(void *arg)
{
	feed_todo(arg, TODO_PLACE);
}

static void
feed_replica_down(void *arg)
{
	struct feed	*f = arg;

	f->placed = false;
	(void)evtimer_del(f->poll_timer);
	feed_not_ready(f);
}

static const struct line_ops feed_replica_ops = { feed_replica_started,
	feed_replica_down, NULL };

static void
feed_render_started(void *arg)
{
	struct feed	*f = arg;

	tail_vet(f->tail, line_pg(f->render));
	feed_todo(f, held_asks(f->held) ? TODO_RENDER : 0);
}

static void
feed_render_down(void *arg)
{
	(void)arg;
}

static const struct line_ops feed_render_ops = { feed_render_started,
	feed_render_down, NULL };

static void
feed_on_entry(void *arg, struct entry *e)
{
	struct feed	*f = arg;

	f->ops->entry(f->arg, e);
}

static void
feed_on_complete(void *arg)
{
	struct feed	*f = arg;

	f->ops->complete(f->arg);
}

static void
feed_on_term(void *arg, int64_t first)
{
	struct feed	*f = arg;

	f->ops->term(f->arg, first);
}

static const struct tail_ops feed_tail_ops = { feed_on_entry,
	feed_on_complete, feed_on_term };

struct feed *
feed_new(struct event_base *base, const struct config *cfg, const char *node,
    const struct feed_ops *ops, void *arg)
{
	struct feed	*f = xcalloc(1, sizeof(*f));

	f->cfg = cfg;
	f->node = node;
	f->ops = ops;
	f->arg = arg;
	stats_choose(STAT_ROLE, STAT_FOLLOWER);
	f->tail = tail_new(cfg, &feed_tail_ops, f);
	f->move = move_new(cfg);
	f->held = held_new(cfg);
	f->mode = mode_new(cfg);
	f->poll_timer = clock_new(base, feed_on_poll, f);
	f->due_timer = clock_new(base, feed_on_due, f);
	f->presence_timer = clock_new(base, feed_on_presence, f);
	f->beat_timer = clock_new(base, feed_on_beat, f);
	f->heart_timer = clock_new(base, feed_on_heartbeat, f);
	clock_start(f->beat_timer, BEAT_MS);
	clock_start(f->heart_timer, cfg->heartbeat_ms);
	f->main = line_new(base, cfg, LINE_MAIN, &feed_main_ops, f);
	f->render = line_new(base, cfg, LINE_RENDER, &feed_render_ops, f);
	if (cfg->follow_dsn[0] != '\0')
		f->replica = line_new(base, cfg, LINE_REPLICA,
		    &feed_replica_ops, f);
	f->log = f->replica != NULL ? f->replica : f->main;
	return f;
}

void
feed_free(struct feed *f)
{
	if (f == NULL)
		return;
	line_free(f->main);
	line_free(f->replica);
	line_free(f->render);
	event_free(f->poll_timer);
	event_free(f->due_timer);
	event_free(f->presence_timer);
	event_free(f->beat_timer);
	event_free(f->heart_timer);
	tail_free(f->tail);
	move_free(f->move);
	held_free(f->held);
	mode_free(f->mode);
	free(f);
}

void
feed_goodbye(struct feed *f)
{
	f->leaving = true;
	feed_todo(f, TODO_GOODBYE);
}

bool
feed_is_gone(const struct feed *f)
{
	return f->gone || !line_is_started(f->main);
}

int64_t
feed_position(const struct feed *f)
{
	return tail_position(f->tail);
}

const char *
feed_epoch(const struct feed *f)
{
	return tail_tag(f->tail);
}

bool
feed_knows(const struct feed *f, const char *epoch, int64_t id)
{
	return tail_knows(f->tail, epoch, id);
}

uint64_t
feed_asked(const struct feed *f)
{
	return f->stamps;
}

bool
feed_is_ready(const struct feed *f)
{
	return f->ready;
}

void
feed_vet(struct feed *f, struct pg *pg)
{
	tail_vet(f->tail, pg);
}

int
feed_backend(const struct feed *f)
{
	return pg_backend(line_pg(f->main));
}
