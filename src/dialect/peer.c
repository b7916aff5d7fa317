/* SPDX-License-Identifier: ISC */

/*
 * The session begins with CONNECT and ends with the socket: its transport is
 * the engine's matter.  Whatever the daemon does to a session it does to its
 * engine, but for what ends a socket for good.
 *
 * A socket that returns takes its row over, is in its rooms again from where it
 * was, and its output is held until all that it missed has been gathered: then
 * comes the answer to CONNECT, behind the events, and output goes on.  If any
 * step fails it begins anew as another socket, of which the client makes
 * nothing but a fresh connection.
 */

#include <sys/queue.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/text.h"
#include "base/token.h"
#include "base/xmalloc.h"
#include "dialect/peer.h"
#include "dialect/sio.h"
#include "dialect/siotext.h"
#include "net/frame.h"
#include "push/client.h"
#include "push/member.h"
#include "push/session.h"

#define CATCH_UP_MS	10000		/* then it is too much */
#define WATCH_MS	50
#define LEAVE_MS	5000

enum peer_state {
	PEER_ASKING,		/* the database, for what it was before */
	PEER_GREETING,
	PEER_CATCHING_UP,	/* what it has missed is gathered */
	PEER_LIVE,
};

/* What joins a session to its socket. */
struct peer {
	TAILQ_ENTRY(peer)	 watch_entry;	/* on watched if is_watched */
	struct sio		*sio;		/* outlives us */
	struct session		*session;	/* NULL: none yet, or it ends */
	const struct variant	*variant;
	struct recovery_ask	*ask;		/* NULL: not asking */
	enum peer_state		 state;
	bool			 is_watched;
	bool			 is_due;	/* in this turn */
	bool			 returns;	/* it is to recover */
	bool			 lost;		/* it missed something */
	bool			 has_left;	/* a room that is still kept */
	unsigned int		 writes;	/* that its output waits for */
	int64_t			 give_up_ms;	/* of catching up */
	const char		*address;	/* of the client; outlives us */
	char			*token;		/* owned, until it is live */
	/* As in struct recovery. */
	char			 pid[RECOVERY_PID_LEN + 1];	/* "": none */
	int64_t			 life;
	int64_t			 at;
	char			*epoch;		/* owned */
	char			*rooms;		/* owned: as kept */
};
TAILQ_HEAD(peers, peer);

static const struct config	*cfg;
static const struct token_keys	*keys;
static struct event		*watch_timer;
static struct event		*leave_timer;
static struct peers		 watched = TAILQ_HEAD_INITIALIZER(watched);

static void	peer_open(struct peer *p, const struct recovery *r,
		    int64_t since);

/* Sessions and sockets */

static struct peer *
peer_of(const struct session *s)
{
	return session_owner(s);
}

/* The session is no longer the peer's. */
static struct session *
peer_part(struct peer *p)
{
	struct session	*s = p->session;

	p->session = NULL;
	if (s != NULL)
		session_set_owner(s, NULL);
	recovery_forget(p);
	p->writes = 0;
	return s;
}

static void
peer_unwatch(struct peer *p)
{
	if (p->is_watched)
		TAILQ_REMOVE(&watched, p, watch_entry);
	p->is_watched = false;
}

/* Look after it in a later turn of the loop. */
static void
peer_watch(struct peer *p, int64_t wait_ms)
{
	if (!p->is_watched)
		TAILQ_INSERT_TAIL(&watched, p, watch_entry);
	p->is_watched = true;
	clock_start(watch_timer, wait_ms);
}

static void
peer_free(struct peer *p)
{
	peer_unwatch(p);
	if (p->ask != NULL)
		recovery_cancel(p->ask);
	free(p->token);
	free(p->epoch);
	free(p->rooms);
	free(p);
}

/* It cannot go on as what it was: begin as another one. */
static void
peer_begin_anew(struct peer *p)
{
	if (p->pid[0] != '\0')
		recovery_end(p->pid, p->life, true);
	p->pid[0] = '\0';
	p->returns = p->lost = false;
	peer_unwatch(p);
	peer_open(p, NULL, -1);
}

void
peer_refuse(struct sio *sio, const char *message, const char *code)
{
	char	*json = siotext_refusal(message, code);

	sio_refuse(sio, json);
	free(json);
}

/*
 * End the socket of a session that ends.  After CONNECT_ERROR and DISCONNECT a
 * client does not come back by itself: that is for a user who may not.  One
 * that only loses its transport comes back, and recovers.
 */
static void
peer_end(struct peer *p, int code, const char *reason)
{
	if (p->state == PEER_LIVE && code == CLOSE_FORBIDDEN)
		sio_disconnect(p->sio);
	else if (p->returns && code == CLOSE_FORBIDDEN)
		peer_begin_anew(p);
	else if (p->state != PEER_LIVE && code == CLOSE_FORBIDDEN)
		peer_refuse(p->sio, "Authentication error: User not found",
		    "forbidden");
	else if (p->state != PEER_LIVE && code == CLOSE_UNAUTHORIZED)
		peer_refuse(p->sio, "Authentication error: Invalid token",
		    "unauthorized");
	else
		sio_close(p->sio, code, reason);
}

static void
peer_on_end(struct session *s, int code, const char *reason)
{
	struct peer	*p = peer_of(s);

	if (p == NULL)
		return;
	(void)peer_part(p);
	client_close(s);
	peer_end(p, code, reason);
}

/* The same, but the caller closes the session. */
static void
peer_on_gone(struct session *s, int code, const char *reason)
{
	struct peer	*p = peer_of(s);

	if (p == NULL)
		return;
	(void)peer_part(p);
	peer_end(p, code, reason);
}

void
peer_closed(struct sio *sio, bool for_good)
{
	struct peer	*p = sio_data(sio);
	struct session	*s;

	if (p == NULL)
		return;
	if (p->pid[0] != '\0' && p->state != PEER_ASKING)
		recovery_end(p->pid, p->life, for_good || p->lost);
	s = peer_part(p);
	peer_free(p);
	sio_set_data(sio, NULL);
	if (s != NULL)
		client_close(s);
}

static void
peer_on_wake(struct session *s)
{
	if (peer_of(s) != NULL)
		sio_wake(peer_of(s)->sio);
}

struct frame *
peer_take(struct sio *sio)
{
	struct peer	*p = sio_data(sio);
	struct frame	*f;
	bool		 was_full;

	if (p == NULL || p->session == NULL)
		return NULL;
	was_full = session_is_full(p->session);
	f = session_take(p->session);
	if (was_full && !session_is_full(p->session))
		client_drained(p->session);
	return f;
}

void
peer_carried(struct sio *sio)
{
	struct peer	*p = sio_data(sio);

	if (p != NULL && p->session != NULL)
		client_carry(p->session, sio_conn(sio));
}

void
peer_heard(struct sio *sio)
{
	struct peer	*p = sio_data(sio);

	if (p != NULL && p->session != NULL)
		session_heard(p->session);
}

void
peer_drained(struct sio *sio)
{
	struct peer	*p = sio_data(sio);

	if (p != NULL && p->session != NULL)
		client_drained(p->session);
}

/* The dialect, beside its texts */

/* Keep the socket as it is; its output waits for that if done is not NULL. */
static void
peer_keep(struct peer *p, void (*done)(void *arg, bool ok))
{
	struct recovery	r = { .life = p->life, .at = p->at,
			    .epoch = p->epoch };

	free(p->rooms);
	p->rooms = member_rooms(p->session);
	p->has_left = false;
	memcpy(r.pid, p->pid, sizeof(r.pid));
	r.session = session_id(p->session);
	r.user = session_user(p->session);
	r.nsp = p->variant->nsp;
	r.rooms = p->rooms;
	recovery_keep(&r, done, p);
}

static struct frame *
peer_connected(struct peer *p)
{
	p->state = PEER_LIVE;
	p->returns = false;
	peer_unwatch(p);
	free(p->token);
	p->token = NULL;
	sio_connected(p->sio);
	return siotext_connected(p->session, p->pid[0] == '\0' ? NULL :
	    p->pid);
}

/* A socket that returns is told later, behind what it has missed. */
static struct frame *
peer_on_welcome(struct session *s, const struct welcome *w)
{
	struct peer	*p = peer_of(s);

	if (p->returns) {
		p->state = PEER_CATCHING_UP;
		p->give_up_ms = clock_ms() + CATCH_UP_MS;
		peer_watch(p, WATCH_MS);
		return NULL;
	}
	if (p->variant->recovers) {
		recovery_make_pid(p->pid);
		p->life = 1;
		p->at = w->id;
		free(p->epoch);
		p->epoch = xstrdup(w->epoch);
		peer_keep(p, NULL);
	}
	return peer_connected(p);
}

static void
peer_on_live(struct session *s)
{
	struct peer	*p = peer_of(s);

	if (p == NULL || p->state != PEER_CATCHING_UP || p->lost)
		return;
	if (session_waiting(s) > (size_t)cfg->recovery_max) {
		p->lost = true;
		peer_watch(p, 0);
		return;
	}
	log_debug("session=%s msg=recovered missed=%zu", session_id(s),
	    session_waiting(s));
	free(p->rooms);
	p->rooms = member_rooms(s);
	session_send(s, peer_connected(p));
	session_release(s);
}

static void
on_kept(void *arg, bool ok)
{
	struct peer	*p = arg;

	if (!ok)
		sio_close(p->sio, CLOSE_TRY_LATER, "no database");
	else if (--p->writes == 0)
		session_release(p->session);
}

/* Whether the room is one that is kept. */
static bool
is_kept(const struct peer *p, const char *room)
{
	struct text	t = { NULL, 0, 0 };
	bool		kept;

	text_add_string(&t, room);
	kept = p->rooms != NULL && strstr(p->rooms, t.buf) != NULL;
	free(t.buf);
	return kept;
}

/* A join is answered when its room is kept: else the socket could come back
 * without the room. */
static struct frame *
peer_on_put_in(struct session *s, const char *room, int64_t id)
{
	struct peer	*p = peer_of(s);

	(void)id;
	if (p->pid[0] == '\0' || p->state != PEER_LIVE || is_kept(p, room))
		return NULL;
	p->writes++;
	session_hold(s);
	peer_keep(p, on_kept);
	return NULL;
}

static struct frame *
peer_on_left(struct session *s, const char *room, const char *reason)
{
	struct peer	*p = peer_of(s);

	(void)room;
	(void)reason;
	if (p->state == PEER_CATCHING_UP) {
		p->lost = true;
		peer_watch(p, 0);
	}
	p->has_left = true;
	if (!evtimer_pending(leave_timer, NULL))
		clock_start(leave_timer, LEAVE_MS);
	return NULL;
}

/* It missed something that the log does not have any more. */
static struct frame *
peer_on_reset(struct session *s, const char *room, int64_t id,
    const char *epoch)
{
	struct peer	*p = peer_of(s);

	(void)room;
	(void)id;
	(void)epoch;
	p->lost = true;
	peer_watch(p, 0);
	return NULL;
}

/* Rooms that were left and not entered again for a while are not kept. */
static void
on_leave_timer(evutil_socket_t fd, short what, void *arg)
{
	struct session	*s;
	struct peer	*p;

	(void)fd;
	(void)what;
	(void)arg;
	for (s = TAILQ_FIRST(&sessions); s != NULL;
	    s = session_next(s)) {
		p = session_dialect(s)->label == STAT_SOCKETIO ? peer_of(s) :
		    NULL;
		if (p != NULL && p->has_left && p->pid[0] != '\0' &&
		    p->state == PEER_LIVE)
			peer_keep(p, NULL);
	}
}

/* One that is watched.  It may be freed. */
static void
peer_look_after(struct peer *p)
{
	struct session	*s;

	if (p->state == PEER_LIVE && p->lost) {
		sio_close(p->sio, CLOSE_RESTART, "events are missing");
		return;
	}
	if (p->state != PEER_CATCHING_UP)
		return;
	if (!p->lost && !session_is_full(p->session) &&
	    clock_ms() < p->give_up_ms) {
		peer_watch(p, WATCH_MS);
		return;
	}
	s = peer_part(p);
	client_close(s);
	peer_begin_anew(p);
}

static void
on_watch_timer(evutil_socket_t fd, short what, void *arg)
{
	struct peer	*p;

	(void)fd;
	(void)what;
	(void)arg;
	TAILQ_FOREACH(p, &watched, watch_entry)
		p->is_due = true;
	while ((p = TAILQ_FIRST(&watched)) != NULL && p->is_due) {
		p->is_due = false;
		peer_unwatch(p);
		peer_look_after(p);
	}
}

static struct frame *
no_number(struct session *s, int64_t n)
{
	(void)s;
	(void)n;
	return NULL;
}

/* Each event brings its own position. */
static struct frame *
no_position(struct session *s, int64_t id, const char *epoch)
{
	(void)s;
	(void)id;
	(void)epoch;
	return NULL;
}

const struct dialect peer_dialect = {
	.label = STAT_SOCKETIO,
	.merged = true,
	.has_pongs = true,
	.outlives = true,
	.end = peer_on_end,
	.gone = peer_on_gone,
	.wake = peer_on_wake,
	.event = siotext_event,
	.emit = siotext_emit,
	.welcome = peer_on_welcome,
	.live = peer_on_live,
	.put_in = peer_on_put_in,
	.left = peer_on_left,
	.reply_send = siotext_sent,
	.error = siotext_error,
	.reset = peer_on_reset,
	.at = no_position,
	.expiring = no_number,
};

/* Connecting */

/* Begin its session: of one that returns, as r says. */
static void
peer_open(struct peer *p, const struct recovery *r, int64_t since)
{
	struct session		*s;

	s = session_new(sio_conn(p->sio), &p->variant->dialect);
	session_set_address(s, p->address);
	p->session = s;
	p->state = PEER_GREETING;
	session_set_owner(s, p);
	if (r != NULL) {
		session_restore(s, r->session);
		session_hold(s);
	}
	client_open(s);
	client_token(s, p->token, strlen(p->token), since, r == NULL ? NULL :
	    p->epoch, r == NULL ? NULL : r->rooms);
}

/* If its old session is still here, its transport has died unheard. */
static void
end_old(const char *session)
{
	struct session	*s = session_find(session);

	if (s != NULL && session_dialect(s)->label == STAT_SOCKETIO &&
	    peer_of(s) != NULL)
		sio_close(peer_of(s)->sio, CLOSE_GOING_AWAY, "it came back");
}

/* What it was before, or NULL. */
static void
on_found(void *arg, const struct recovery *r)
{
	struct peer	*p = arg;

	p->ask = NULL;
	/* A position of another history is found here or, of the row, when
	 * the rooms are joined. */
	if (r == NULL || (p->epoch != NULL &&
	    !siotext_knows(p->epoch, p->at))) {
		p->pid[0] = '\0';
		peer_begin_anew(p);
		return;
	}
	end_old(r->session);
	p->returns = true;
	p->life = r->life;
	/* The client's own position, if it is the later one; whether there is
	 * such a position is found when its rooms are joined. */
	if (p->epoch == NULL || p->at < r->at) {
		p->at = r->at;
		free(p->epoch);
		p->epoch = xstrdup(r->epoch);
	}
	peer_open(p, r, p->at);
}

/* Ask whether it was here before.  Returns -1 if it need not be asked. */
static int
peer_ask(struct peer *p, const struct peer_past *past)
{
	struct token	 t;
	const char	*reason;

	if (past == NULL || !p->variant->recovers ||
	    token_verify(keys, p->token, strlen(p->token),
	    (int64_t)time(NULL), &t, &reason) == -1)
		return -1;
	memcpy(p->pid, past->pid, sizeof(p->pid));
	p->at = past->at;
	if (past->at != -1)
		p->epoch = xstrdup(past->epoch);
	p->ask = recovery_take(p->pid, t.user, p->variant->nsp, on_found, p);
	token_free(&t);
	return p->ask == NULL ? -1 : 0;
}

void
peer_new(struct sio *sio, const struct variant *v, const char *address,
    char *token, const struct peer_past *past)
{
	struct peer	*p = xcalloc(1, sizeof(*p));

	p->sio = sio;
	p->variant = v;
	p->address = address;
	p->token = token;
	sio_set_data(sio, p);
	if (peer_ask(p, past) == 0)
		return;
	p->pid[0] = '\0';
	peer_open(p, NULL, -1);
}

struct session *
peer_session(const struct sio *sio)
{
	const struct peer	*p = sio_data(sio);

	return p == NULL ? NULL : p->session;
}

void
peer_init(struct event_base *base, const struct config *config,
    const struct token_keys *token_keys)
{
	cfg = config;
	keys = token_keys;
	watch_timer = clock_new(base, on_watch_timer, NULL);
	leave_timer = clock_new(base, on_leave_timer, NULL);
}

void
peer_exit(void)
{
	event_free(watch_timer);
	event_free(leave_timer);
}
