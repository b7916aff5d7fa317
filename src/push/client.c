/* SPDX-License-Identifier: ISC */

/*
 * Clients.  A command that must ask the database leaves a request behind, on
 * one list of all; a kick or a change of rules that passes the feed meanwhile
 * marks them, and revokes that pass are remembered for as long as a request is
 * under way that was sent before.  An answer that they touch counts for
 * nothing: a question of rights is asked again.  A handler that has run cannot
 * be undone: its answer stands, but for the rooms revoked.
 *
 * Commands of one session take effect in the order they came: as long as a
 * join is under way, what could depend on it waits behind it.
 */

#include <sys/queue.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "push/client.h"
#include "base/clock.h"
#include "base/config.h"
#include "net/conn.h"
#include "db/feed.h"
#include "push/handler.h"
#include "base/log.h"
#include "push/member.h"
#include "db/pg.h"
#include "push/presence.h"
#include "dialect/proto.h"
#include "push/room.h"
#include "push/session.h"
#include "base/stats.h"
#include "base/token.h"
#include "base/xmalloc.h"

#define PARKED_MAX	256		/* commands waiting for a join */
#define REQUESTS_MAX	256		/* of one session, under way */
#define REVOKES_MAX	10000		/* remembered */
#define EXPIRING_S	60		/* warn so long before the end */
#define LEFT_MS		5000		/* a position is kept after a leave */
#define LEFT_MAX	32		/* rooms left and remembered */
#define DEAD_PINGS	3		/* silent for so many: dead */
#define BURST_S		5		/* of messages at message_rate */

/* A right that need not be asked for again until it is revoked. */
struct grant {
	LIST_ENTRY(grant)	 entry;
	char			*event;		/* owned; "" for a join */
	char			*room;		/* owned */
	struct answer		 answer;	/* empty for a join */
};

/* A room left a moment ago, and how far it was heard. */
struct left {
	TAILQ_ENTRY(left)	 entry;		/* oldest first */
	char			*room;		/* owned */
	char			*epoch;		/* owned; last belongs to it */
	int64_t			 last;
	int64_t			 until_ms;
};

/* A command that waits for the joins before it. */
struct parked {
	TAILQ_ENTRY(parked)	 entry;
	struct command		 cmd;		/* owned */
};

enum request_type {
	REQUEST_GREET,
	REQUEST_JOIN,
	REQUEST_SEND,
};

/* A question to the database, until its answer. */
struct request {
	TAILQ_ENTRY(request)	 entry;		/* on requests */
	struct session		*session;	/* a reference */
	enum request_type	 type;
	bool			 is_void;	/* rights changed meanwhile */
	bool			 is_join;	/* others wait for it */
	bool			 is_held;	/* handlers are being loaded */
	uint64_t		 revokes;	/* ever, as it was sent */
	struct command		 cmd;		/* owned */
	char			*room;		/* owned; of a send, or NULL */
};

/* A revoke that passed since the oldest request was sent. */
struct revoke {
	TAILQ_ENTRY(revoke)	 entry;
	uint64_t		 number;
	char			*room;		/* owned */
	char			*user;		/* owned; "" is everybody */
};

enum client_state {
	CLIENT_NEW,		/* must show a token */
	CLIENT_GREETING,	/* the database is asked who it is */
	CLIENT_LIVE,
};

struct client {
	enum client_state	 state;
	bool			 warned;	/* that the token expires */
	unsigned int		 joins;		/* under way */
	unsigned int		 requests;	/* under way */
	unsigned int		 nparked;
	unsigned int		 nleft;
	unsigned int		 ngrants;
	int64_t			 ping_ms;	/* when the next is due */
	int64_t			 debt_us;	/* of messages, at the rate */
	int64_t			 debt_ms;	/* when that was */
	TAILQ_HEAD(, parked)	 parked;
	TAILQ_HEAD(, left)	 left;
	LIST_HEAD(, grant)	 grants;	/* newest first */
};

static const struct config	*cfg;
static struct feed		*feed;
static struct pg		*query;
static const struct token_keys	*keys;
static TAILQ_HEAD(, request)	 requests =	/* first sent first */
				    TAILQ_HEAD_INITIALIZER(requests);
static TAILQ_HEAD(revoke_list, revoke) revokes =
				    TAILQ_HEAD_INITIALIZER(revokes);
static uint64_t			 nrevokes;	/* ever */
static uint64_t			 nforgotten;	/* of them */

static const struct pg_stmt greet_stmt = { "greet",
	"SELECT g.rooms IS NULL, room"
	" FROM (SELECT pgpush.greet_user($1, $2::jsonb) AS rooms OFFSET 0) g"
	" LEFT JOIN LATERAL unnest(g.rooms) AS room ON true", 2 };
/* The same, and whether the user may enter the rooms he asks for. */
static const struct pg_stmt greet_rooms_stmt = { "greet_rooms",
	"WITH g AS MATERIALIZED (SELECT pgpush.greet_user($1, $2::jsonb) AS r)"
	" SELECT g.r IS NULL, room, true FROM g"
	" LEFT JOIN LATERAL unnest(g.r) AS room ON true"
	" UNION ALL SELECT false, room, coalesce(room = ANY (g.r), false)"
	"  OR pgpush.authorize($1, room, $2::jsonb)"
	" FROM g, jsonb_array_elements_text($3::jsonb) AS room"
	" WHERE g.r IS NOT NULL", 3 };
static const struct pg_stmt authorize_stmt = { "authorize",
	"SELECT pgpush.authorize($1, $2, $3::jsonb)", 3 };

static void	client_do(struct session *s, struct command *cmd);
static void	request_greet(struct request *q);
static void	request_join(struct request *q);
static void	request_send(struct request *q);

static struct client *
client_of(const struct session *s)
{
	return session_data(s);
}

static void
refuse(struct session *s, const char *ref, const char *code,
    const char *message)
{
	session_send(s, session_dialect(s)->error(ref, code, message));
}

/* Revokes that requests under way may have to know of */

static void
revokes_trim(void)
{
	const struct request	*oldest = TAILQ_FIRST(&requests);
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

static void
revokes_add(const char *room, const char *user)
{
	struct revoke	*v = xcalloc(1, sizeof(*v));

	v->number = ++nrevokes;
	v->room = xstrdup(room);
	v->user = xstrdup(user);
	TAILQ_INSERT_TAIL(&revokes, v, entry);
	revokes_trim();
}

/* Whether the room was revoked since the request was sent. */
static bool
request_is_revoked(const struct request *q, const char *room)
{
	const struct revoke	*v;

	TAILQ_FOREACH_REVERSE(v, &revokes, revoke_list, entry) {
		if (v->number <= q->revokes)
			return false;
		if (session_is_user(q->session, v->user) &&
		    strcmp(v->room, room) == 0)
			return true;
	}
	return q->revokes < nforgotten;		/* who knows */
}

static bool
request_is_revoked_any(const struct request *q, char *const *rooms, size_t n)
{
	size_t	i;

	for (i = 0; i < n; i++)
		if (request_is_revoked(q, rooms[i]))
			return true;
	return false;
}

/* Requests */

static struct request *
request_new(struct session *s, enum request_type type, struct command *cmd)
{
	struct request	*q = xcalloc(1, sizeof(*q));

	q->session = session_ref(s);
	q->type = type;
	if (cmd != NULL) {
		q->cmd = *cmd;
		memset(cmd, 0, sizeof(*cmd));
	}
	TAILQ_INSERT_TAIL(&requests, q, entry);
	client_of(s)->requests++;
	return q;
}

/* It goes to the database now, for the first time or again. */
static void
request_begin(struct request *q)
{
	q->is_void = false;
	q->revokes = nrevokes;
	TAILQ_REMOVE(&requests, q, entry);
	TAILQ_INSERT_TAIL(&requests, q, entry);
}

static void
request_set_join(struct request *q)
{
	q->is_join = true;
	client_of(q->session)->joins++;
}

/* Do what waited for the joins, until something must wait again. */
static void
client_unpark(struct session *s)
{
	struct client	*cl;
	struct parked	*p;

	/* A command may end the session, and free what we looked at. */
	while ((cl = client_of(s)) != NULL && cl->state == CLIENT_LIVE &&
	    cl->joins == 0 && (p = TAILQ_FIRST(&cl->parked)) != NULL) {
		TAILQ_REMOVE(&cl->parked, p, entry);
		cl->nparked--;
		client_do(s, &p->cmd);
		command_free(&p->cmd);
		free(p);
	}
}

static void
request_end(struct request *q)
{
	struct session	*s = q->session;
	struct client	*cl = client_of(s);

	TAILQ_REMOVE(&requests, q, entry);
	revokes_trim();
	if (cl != NULL) {
		cl->requests--;
		if (q->is_join && --cl->joins == 0)
			member_drained(s);
		client_unpark(s);
	}
	command_free(&q->cmd);
	free(q->room);
	free(q);
	session_unref(s);
}

/* The answer is for nobody any more: the session has ended. */
static bool
request_is_stale(const struct request *q)
{
	return client_of(q->session) == NULL;
}

/* Grants, and positions of rooms just left */

static void
grant_free(struct client *cl, struct grant *g)
{
	LIST_REMOVE(g, entry);
	cl->ngrants--;
	free(g->event);
	free(g->room);
	answer_free(&g->answer);
	free(g);
}

static struct grant *
grant_find(const struct client *cl, const char *event, const char *room)
{
	struct grant	*g;

	LIST_FOREACH(g, &cl->grants, entry)
		if (strcmp(g->event, event) == 0 && strcmp(g->room, room) == 0)
			break;
	return g;
}

/* Keep a right; takes the answer over (NULL: a join, which has none). */
static void
grant_add(struct client *cl, const char *event, const char *room,
    struct answer *answer)
{
	struct grant	*g = grant_find(cl, event, room), *oldest;

	if (g != NULL)
		grant_free(cl, g);
	if (cl->ngrants >= (unsigned int)cfg->max_rooms) {
		oldest = NULL;
		LIST_FOREACH(g, &cl->grants, entry)
			oldest = g;
		if (oldest != NULL)
			grant_free(cl, oldest);
	}
	g = xcalloc(1, sizeof(*g));
	g->event = xstrdup(event);
	g->room = xstrdup(room);
	if (answer != NULL) {
		g->answer = *answer;
		memset(answer, 0, sizeof(*answer));
	}
	LIST_INSERT_HEAD(&cl->grants, g, entry);
	cl->ngrants++;
}

static void
left_free(struct client *cl, struct left *l)
{
	TAILQ_REMOVE(&cl->left, l, entry);
	cl->nleft--;
	free(l->room);
	free(l->epoch);
	free(l);
}

static void
left_add(struct client *cl, const struct member *m)
{
	struct left	*l;

	if (cl->nleft >= LEFT_MAX)
		left_free(cl, TAILQ_FIRST(&cl->left));
	l = xcalloc(1, sizeof(*l));
	l->room = xstrdup(m->room->name);
	l->epoch = xstrdup(feed_epoch(feed));
	l->last = m->behind ? m->last : feed_position(feed);
	if (l->last < m->last)
		l->last = m->last;
	l->until_ms = clock_ms() + LEFT_MS;
	TAILQ_INSERT_TAIL(&cl->left, l, entry);
	cl->nleft++;
}

/*
 * Where a rejoin goes on, or -1, and in which epoch: the caller frees that.
 * What is too old is forgotten.
 */
static int64_t
left_take(struct client *cl, const char *room, char **epoch)
{
	struct left	*l, *next;
	int64_t		 last = -1, now = clock_ms();

	for (l = TAILQ_FIRST(&cl->left); l != NULL; l = next) {
		next = TAILQ_NEXT(l, entry);
		if (l->until_ms >= now && strcmp(l->room, room) != 0)
			continue;
		if (l->until_ms >= now) {
			last = l->last;
			*epoch = l->epoch;
			l->epoch = NULL;
		}
		left_free(cl, l);
	}
	return last;
}

/* Rooms */

/* Whether there is no room for one more, beside so many on their way in. */
static bool
too_many_rooms(struct session *s, size_t coming)
{
	return room_count(s) + coming >= (size_t)cfg->max_rooms;
}

/*
 * Put the session into a room that it may be in, and tell it: as the answer to
 * a join with that ref, or by itself if ref is NULL.
 */
static void
enter(struct session *s, const char *room, const char *ref, int64_t since,
    const char *epoch)
{
	const struct dialect	*d = session_dialect(s);
	struct member		*m = room_member(room, s);
	bool			 new = m == NULL;
	char			*kept_epoch = NULL;
	int64_t			 id, kept;

	if (new && too_many_rooms(s, 0)) {
		refuse(s, ref == NULL ? "null" : ref, "too_many",
		    "too many rooms");
		return;
	}
	if (new) {
		kept = left_take(client_of(s), room, &kept_epoch);
		if (since < 0) {
			since = kept;
			epoch = kept_epoch;
		}
		/* One position for all rooms cannot move for one. */
		if (d->merged) {
			since = -1;
			epoch = NULL;
		}
		m = member_join(s, room, since, epoch);
		free(kept_epoch);
	}
	id = m->behind || m->last > feed_position(feed) ? m->last :
	    feed_position(feed);
	session_send(s, ref == NULL ? d->put_in(room, id) :
	    d->joined(ref, room, id));
	/* Who resumes in several rooms is served when he is in them all: so he
	 * gets a happening of several once. */
	if (new && (!m->behind || client_of(s)->joins <= 1))
		member_start(m);
}

static void
leave(struct session *s, const char *room)
{
	struct member	*m = room_member(room, s);

	if (m == NULL)
		return;
	left_add(client_of(s), m);
	member_leave(m);
}

/* Being let in */

static void
welcome(struct session *s, char **rooms, size_t n, int64_t since,
    const char *epoch)
{
	const struct dialect	 *d = session_dialect(s);
	struct client		 *cl = client_of(s);
	struct member		**members = xcalloc(n + 1, sizeof(*members));
	struct welcome		  w = { session_id(s), session_user(s), rooms,
	    n, feed_position(feed), feed_epoch(feed),
	    cfg->ping_interval_ms / 1000, false };
	size_t			  i;

	for (i = 0; i < n; i++)
		members[i] = member_join(s, rooms[i], since, epoch);
	for (i = 0; i < n; i++)
		w.resets = w.resets || members[i]->reset;
	if (n > 0)
		w.id = members[0]->last;
	cl->state = CLIENT_LIVE;
	session_begin(s);
	if (d->begin != NULL)
		d->begin(session_conn(s));
	session_send(s, d->welcome(&w));
	for (i = 0; i < n; i++)
		member_start(members[i]);
	if (w.resets && d->merged)
		session_send(s, d->at(member_at(s)));
	free(members);
	presence_opened(s);
	cl->ping_ms = clock_ms() + cfg->ping_interval_ms;
	client_tick(s);
}

/* Whoever comes for one command is in no room, and on no list. */
static void
admit(struct session *s)
{
	client_of(s)->state = CLIENT_LIVE;
	conn_set_timer(session_conn(s), cfg->handler_timeout_ms +
	    cfg->auth_timeout_ms);
}

/* A room that was asked for and is not allowed, or NULL. */
static const char *
forbidden_room(const struct pg_result *res)
{
	int	i;

	for (i = 0; i < pg_rows(res); i++)
		if (pg_value(res, i, 2) != NULL && !pg_true(res, i, 2))
			return pg_value(res, i, 1);
	return NULL;
}

/* The rooms of an answer of greet_user, each once. */
static size_t
greet_rooms(const struct pg_result *res, char **rooms)
{
	const char	*name;
	size_t		 n = 0, j;
	int		 i;

	for (i = 0; i < pg_rows(res); i++) {
		name = pg_value(res, i, 1);
		if (name == NULL || !room_name_ok(name) ||
		    n >= (size_t)cfg->max_rooms)
			continue;
		for (j = 0; j < n && strcmp(rooms[j], name) != 0; j++)
			;
		if (j == n)
			rooms[n++] = xstrdup(name);
	}
	return n;
}

static void
on_greeted(void *arg, const struct pg_result *res)
{
	struct request	 *q = arg;
	struct session	 *s = q->session;
	char		**rooms;
	size_t		  n, i;
	bool		  again;

	if (request_is_stale(q)) {
		request_end(q);
		return;
	}
	if (q->is_void && res != NULL) {
		request_greet(q);
		return;
	}
	if (!pg_ok(res))
		session_close(s, CLOSE_TRY_LATER, "no database");
	else if (pg_true(res, 0, 0))
		session_close(s, CLOSE_FORBIDDEN, "user not found");
	else if (forbidden_room(res) != NULL)
		session_close(s, CLOSE_FORBIDDEN,
		    "not allowed in one of the rooms");
	else if (session_dialect(s)->is_brief)
		admit(s);
	else {
		rooms = xcalloc((size_t)pg_rows(res) + 1, sizeof(*rooms));
		n = greet_rooms(res, rooms);
		again = request_is_revoked_any(q, rooms, n);
		if (!again)
			welcome(s, rooms, n, q->cmd.since, q->cmd.epoch);
		for (i = 0; i < n; i++)
			free(rooms[i]);
		free(rooms);
		if (again) {
			request_greet(q);
			return;
		}
	}
	request_end(q);
}

static void
request_greet(struct request *q)
{
	struct session		*s = q->session;
	const struct pg_stmt	*stmt = q->cmd.rooms == NULL ? &greet_stmt :
				    &greet_rooms_stmt;
	char			*ctx = session_ctx(s);
	const char		*params[] = { session_user(s), ctx,
	    q->cmd.rooms };

	request_begin(q);
	if (!feed_is_ready(feed) ||
	    pg_send(query, stmt, params, on_greeted, q) == -1) {
		session_close(s, CLOSE_TRY_LATER, "no database");
		request_end(q);
	}
	free(ctx);
}

/* Returns -1 with the reason logged if the token is not good. */
static int
check_token(struct session *s, const char *token, size_t len, struct token *t)
{
	const char	*reason;

	if (token_verify(keys, token, len, (int64_t)time(NULL), t,
	    &reason) == 0)
		return 0;
	stats_add_to(STAT_REFUSED, REFUSED_TOKEN, 1);
	if (session_conn(s) != NULL)
		log_info("conn=%" PRIu64 " msg=\"token refused\" reason=%s",
		    conn_id(session_conn(s)), log_quote(reason,
		    strlen(reason)));
	return -1;
}

static void
client_authenticate(struct session *s, const char *token, size_t len,
    struct command *cmd)
{
	struct token	t;

	if (check_token(s, token, len, &t) == -1) {
		session_close(s, CLOSE_UNAUTHORIZED, "bad token");
		return;
	}
	session_identify(s, t.user, t.claims, t.exp);
	token_free(&t);
	client_of(s)->state = CLIENT_GREETING;
	request_greet(request_new(s, REQUEST_GREET, cmd));
}

void
client_token(struct session *s, const char *token, size_t len, int64_t since,
    const char *epoch, const char *rooms)
{
	struct command	cmd;

	memset(&cmd, 0, sizeof(cmd));
	cmd.since = since;
	cmd.epoch = epoch == NULL ? NULL : xstrdup(epoch);
	cmd.rooms = rooms == NULL ? NULL : xstrdup(rooms);
	client_authenticate(s, token, len, &cmd);
	command_free(&cmd);
}

/* A token for a session that has one: only the time may change. */
static void
client_refresh(struct session *s, struct command *cmd)
{
	struct token	t;

	if (check_token(s, cmd->token, strlen(cmd->token), &t) == -1) {
		refuse(s, cmd->ref, "unauthorized", "bad token");
		return;
	}
	if (strcmp(t.user, session_user(s)) != 0)
		session_close(s, CLOSE_FORBIDDEN, "another user");
	else {
		session_identify(s, t.user, t.claims, t.exp);
		client_of(s)->warned = false;
		session_send(s, session_dialect(s)->reply_auth(cmd->ref,
		    t.exp));
		client_tick(s);
	}
	token_free(&t);
}

/* Joining */

static void
on_authorized(void *arg, const struct pg_result *res)
{
	struct request	*q = arg;
	struct session	*s = q->session;

	if (request_is_stale(q)) {
		request_end(q);
		return;
	}
	if (res != NULL &&
	    (q->is_void || request_is_revoked(q, q->cmd.room))) {
		request_join(q);
		return;
	}
	if (!pg_ok(res))
		refuse(s, q->cmd.ref, "unavailable", "no database");
	else if (!pg_true(res, 0, 0))
		refuse(s, q->cmd.ref, "forbidden", "not allowed in this room");
	else {
		grant_add(client_of(s), "", q->cmd.room, NULL);
		enter(s, q->cmd.room, q->cmd.ref, q->cmd.since, q->cmd.epoch);
	}
	request_end(q);
}

static void
request_join(struct request *q)
{
	struct session	*s = q->session;
	char		*ctx = session_ctx(s);
	const char	*params[] = { session_user(s), q->cmd.room, ctx };

	request_begin(q);
	if (pg_send(query, &authorize_stmt, params, on_authorized, q) == -1) {
		refuse(s, q->cmd.ref, "unavailable", "no database");
		request_end(q);
	}
	free(ctx);
}

static void
client_join(struct session *s, struct command *cmd)
{
	struct request	*q;

	if (room_member(cmd->room, s) != NULL ||
	    grant_find(client_of(s), "", cmd->room) != NULL) {
		enter(s, cmd->room, cmd->ref, cmd->since, cmd->epoch);
		return;
	}
	/* Those under way count too, or one client could queue any number. */
	if (too_many_rooms(s, client_of(s)->joins)) {
		refuse(s, cmd->ref, "too_many", "too many rooms");
		return;
	}
	q = request_new(s, REQUEST_JOIN, cmd);
	request_set_join(q);
	request_join(q);
}

/* Sending */

static void
apply_rooms(struct session *s, const struct answer *a, const struct request *q)
{
	const struct dialect	*d = session_dialect(s);
	size_t			 i;

	if (d->is_brief)
		return;
	for (i = 0; i < a->njoin; i++)
		if (!room_name_ok(a->join[i]))
			log_warn("msg=\"bad room in an answer\" room=%s",
			    log_quote(a->join[i], strlen(a->join[i])));
		else if (q == NULL || !request_is_revoked(q, a->join[i]))
			enter(s, a->join[i], NULL, -1, NULL);
	for (i = 0; i < a->nleave; i++) {
		if (room_member(a->leave[i], s) == NULL)
			continue;
		leave(s, a->leave[i]);
		session_send(s, d->left(a->leave[i], "left"));
	}
}

/* q: whose answer it is; NULL if it has been kept, as a grant. */
static void
apply_answer(struct session *s, const struct answer *a, const char *ref,
    const struct request *q)
{
	const struct dialect	*d = session_dialect(s);
	size_t			 i;

	apply_rooms(s, a, q);
	for (i = 0; i < a->nemits; i++)
		session_send(s, d->emit(a->emits[i].event, a->emits[i].data));
	if (a->code != NULL)
		refuse(s, ref, a->code, a->message);
	else
		session_send(s, d->reply_send(ref, a->reply));
}

/* Whether the answer of a join is about rights that changed meanwhile. */
static bool
answer_is_void(const struct request *q, const struct answer *a)
{
	return q->is_void ||
	    (q->room != NULL && request_is_revoked(q, q->room)) ||
	    request_is_revoked_any(q, a->join, a->njoin);
}

static void
on_handled(void *arg, const char *json)
{
	struct request		*q = arg;
	struct session		*s = q->session;
	const struct handler	*h = handler_find(q->cmd.event);
	struct answer		 a;

	if (request_is_stale(q)) {
		request_end(q);
		return;
	}
	if (json == NULL)
		refuse(s, q->cmd.ref, "unavailable", "no database");
	else if (answer_parse(&a, json) == -1) {
		log_warn("msg=\"malformed answer\" event=%s answer=%s",
		    log_quote(q->cmd.event, strlen(q->cmd.event)),
		    log_quote(json, strlen(json)));
		refuse(s, q->cmd.ref, "internal", "internal error");
		answer_free(&a);
	} else if (q->is_join && answer_is_void(q, &a)) {
		answer_free(&a);
		request_send(q);
		return;
	} else {
		apply_answer(s, &a, q->cmd.ref, q);
		if (q->is_join && h != NULL && a.code == NULL &&
		    q->room != NULL)
			grant_add(client_of(s), q->cmd.event, q->room, &a);
		answer_free(&a);
	}
	request_end(q);
}

static void
request_send(struct request *q)
{
	request_begin(q);
	if (handler_call(q->session, q->cmd.event, q->room, q->cmd.data,
	    q->cmd.key, on_handled, q) == -1) {
		refuse(q->session, q->cmd.ref, "unavailable", "no database");
		request_end(q);
	}
}

/*
 * The room of a send into room: by the handler's template from the data, else
 * the frame's own.  Returns -1 after refusing.  A join whose data does not
 * give one goes to its handler all the same, which knows what to say.
 */
static int
send_room(struct session *s, const struct handler *h, struct command *cmd,
    char *room)
{
	char	*message;

	room[0] = '\0';
	if (h->room == NULL) {
		if (cmd->room != NULL)
			memcpy(room, cmd->room, strlen(cmd->room) + 1);
		return 0;
	}
	if (command_expand(cmd, h->room, room, ROOM_NAME_MAX + 1) == -1) {
		room[0] = '\0';
		if (!h->member)
			return 0;
		message = xasprintf("data does not give the room %s", h->room);
		refuse(s, cmd->ref, "bad_request", message);
		free(message);
		return -1;
	}
	if (cmd->room != NULL && strcmp(cmd->room, room) != 0) {
		refuse(s, cmd->ref, "bad_request",
		    "room and data name different rooms");
		return -1;
	}
	return 0;
}

/*
 * Whoever is in no room, because he comes for one command, must be one who may
 * enter it.
 */
static void
on_allowed(void *arg, const struct pg_result *res)
{
	struct request	*q = arg;
	struct session	*s = q->session;

	if (request_is_stale(q)) {
		request_end(q);
		return;
	}
	if (pg_ok(res) && pg_true(res, 0, 0) && !q->is_void &&
	    !request_is_revoked(q, q->room)) {
		request_send(q);
		return;
	}
	if (!pg_ok(res))
		refuse(s, q->cmd.ref, "unavailable", "no database");
	else
		refuse(s, q->cmd.ref, "forbidden", "not allowed in this room");
	request_end(q);
}

static void
request_allow(struct session *s, struct command *cmd, const char *room)
{
	struct request	*q = request_new(s, REQUEST_SEND, cmd);
	char		*ctx = session_ctx(s);
	const char	*params[] = { session_user(s), room, ctx };

	q->room = xstrdup(room);
	request_begin(q);
	if (pg_send(query, &authorize_stmt, params, on_allowed, q) == -1) {
		refuse(s, q->cmd.ref, "unavailable", "no database");
		request_end(q);
	}
	free(ctx);
}

/* Who has seen a handler registered finds it: wait until it is loaded. */
static void
request_hold(struct session *s, struct command *cmd)
{
	struct request	*q = request_new(s, REQUEST_SEND, cmd);

	request_begin(q);
	request_set_join(q);
	q->is_held = true;
}

static void
client_send(struct session *s, struct command *cmd)
{
	char			 room[ROOM_NAME_MAX + 1];
	const struct handler	*h;
	const struct grant	*g;
	struct request		*q;

	if (!handler_is_up()) {
		refuse(s, cmd->ref, "unavailable", "no database");
		return;
	}
	if (client_of(s)->requests >= REQUESTS_MAX) {
		refuse(s, cmd->ref, "too_many", "too many commands waiting");
		return;
	}
	if (handler_is_loading()) {
		request_hold(s, cmd);
		return;
	}
	h = handler_find(cmd->event);
	if (h == NULL || strcmp(cmd->event, "disconnect") == 0) {
		refuse(s, cmd->ref, "not_found", "no such event");
		return;
	}
	if (send_room(s, h, cmd, room) == -1)
		return;
	if (h->member && room[0] == '\0') {
		refuse(s, cmd->ref, "bad_request", "room is missing");
		return;
	}
	if (h->member && session_dialect(s)->is_brief) {
		request_allow(s, cmd, room);
		return;
	}
	if (h->member && room_member(room, s) == NULL) {
		refuse(s, cmd->ref, "forbidden", "not a member of this room");
		return;
	}
	if (h->grant && (g = grant_find(client_of(s), cmd->event, room)) !=
	    NULL) {
		apply_answer(s, &g->answer, cmd->ref, NULL);
		return;
	}
	q = request_new(s, REQUEST_SEND, cmd);
	if (room[0] != '\0')
		q->room = xstrdup(room);
	if (h->grant) {
		request_set_join(q);
		/* An answer kept under a key may be older than a revoke. */
		free(q->cmd.key);
		q->cmd.key = NULL;
	}
	request_send(q);
}

void
client_loaded(void)
{
	struct request	*q, *next;
	struct command	 cmd;

	for (q = TAILQ_FIRST(&requests); q != NULL; q = next) {
		next = TAILQ_NEXT(q, entry);
		if (!q->is_held)
			continue;
		cmd = q->cmd;
		memset(&q->cmd, 0, sizeof(q->cmd));
		if (!request_is_stale(q))
			client_send(q->session, &cmd);
		command_free(&cmd);
		request_end(q);
	}
}

/* Commands */

static void
client_leave(struct session *s, struct command *cmd)
{
	leave(s, cmd->room);
	session_send(s, session_dialect(s)->reply_leave(cmd->ref, cmd->room));
}

static void
client_bad(struct session *s, struct command *cmd)
{
	char	*message = xasprintf("bad or missing field: %s", cmd->wrong);

	refuse(s, cmd->ref, "bad_request", message);
	free(message);
}

/* Do a command now. */
static void
client_do(struct session *s, struct command *cmd)
{
	if (session_dialect(s)->is_brief && cmd->type != COMMAND_SEND &&
	    cmd->type != COMMAND_BAD) {
		refuse(s, cmd->ref, "bad_request", "only a send goes without "
		    "the session of a stream");
		return;
	}
	switch (cmd->type) {
	case COMMAND_AUTH:
		client_refresh(s, cmd);
		break;
	case COMMAND_JOIN:
		client_join(s, cmd);
		break;
	case COMMAND_LEAVE:
		client_leave(s, cmd);
		break;
	case COMMAND_SEND:
		client_send(s, cmd);
		break;
	case COMMAND_PING:
		session_send(s, session_dialect(s)->reply_ping(cmd->ref,
		    member_at(s)));
		break;
	case COMMAND_BAD:
		client_bad(s, cmd);
		break;
	}
}

/* Joins do not wait for one another, all else that touches rooms does. */
static bool
must_wait(const struct client *cl, const struct command *cmd)
{
	switch (cmd->type) {
	case COMMAND_JOIN:
		return !TAILQ_EMPTY(&cl->parked);
	case COMMAND_LEAVE:
	case COMMAND_SEND:
		return cl->joins > 0 || !TAILQ_EMPTY(&cl->parked);
	case COMMAND_AUTH:
	case COMMAND_PING:
	case COMMAND_BAD:
		break;
	}
	return false;
}

static void
client_park(struct session *s, struct command *cmd)
{
	struct client	*cl = client_of(s);
	struct parked	*p;

	if (cl->nparked >= PARKED_MAX) {
		refuse(s, cmd->ref, "too_many", "too many commands waiting");
		return;
	}
	p = xcalloc(1, sizeof(*p));
	p->cmd = *cmd;
	memset(cmd, 0, sizeof(*cmd));
	TAILQ_INSERT_TAIL(&cl->parked, p, entry);
	cl->nparked++;
}

/*
 * A leaky bucket: each message adds its share of a second, which runs off with
 * time.  Returns how many bursts are in it, so 0 is within the limit.
 */
static int64_t
client_over_rate(struct client *cl)
{
	int64_t	now = clock_ms();

	if (cfg->message_rate == 0)
		return 0;
	cl->debt_us -= (now - cl->debt_ms) * 1000;
	if (cl->debt_us < 0)
		cl->debt_us = 0;
	cl->debt_ms = now;
	cl->debt_us += 1000000 / cfg->message_rate;
	return cl->debt_us / (BURST_S * 1000000);
}

/* Who does not stop when told to is sent away. */
static bool
client_is_too_fast(struct session *s, const struct command *cmd)
{
	int64_t	bursts = client_over_rate(client_of(s));

	if (bursts == 1)
		refuse(s, cmd->ref, "rate_limited", "too many messages");
	else if (bursts > 1)
		session_close(s, CLOSE_POLICY, "too many messages");
	return bursts > 0;
}

void
client_command(struct session *s, struct command *cmd)
{
	struct client	*cl = client_of(s);

	if (client_is_too_fast(s, cmd))
		return;
	switch (cl->state) {
	case CLIENT_NEW:
		if (cmd->type != COMMAND_AUTH)
			session_close(s, CLOSE_UNAUTHORIZED,
			    "auth comes first");
		else
			client_authenticate(s, cmd->token, strlen(cmd->token),
			    cmd);
		break;
	case CLIENT_GREETING:
		/* Not yet in: what is asked waits for the welcome. */
		client_park(s, cmd);
		break;
	case CLIENT_LIVE:
		if (must_wait(cl, cmd))
			client_park(s, cmd);
		else
			client_do(s, cmd);
		break;
	}
}

/* Time */

static int64_t
min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void
client_ping(struct session *s, int64_t now)
{
	struct client	*cl = client_of(s);
	struct conn	*c = session_conn(s);

	if (now < cl->ping_ms)
		return;
	cl->ping_ms = now + cfg->ping_interval_ms;
	/* Who is full has enough to read; it could pile up for long. */
	if (conn_is_full(c))
		return;
	session_send(s, session_dialect(s)->at(member_at(s)));
	conn_ping(c);	/* of a WebSocket only */
}

/*
 * Milliseconds that the peer has left to show that it is there; 0: none.  One
 * that is full is not read from, so it shows that by taking what waits.
 */
static int64_t
client_alive_ms(struct session *s)
{
	struct conn	*c = session_conn(s);
	int64_t		 limit = conn_is_full(c) ? cfg->stall_timeout_ms :
			    DEAD_PINGS * cfg->ping_interval_ms;
	int64_t		 silent = conn_silent_ms(c);

	/* The other kind is found out by TCP. */
	if (!session_dialect(s)->has_pongs && !conn_is_full(c))
		return cfg->stall_timeout_ms;
	return silent > limit ? 0 : limit - silent + 1;
}

/* Milliseconds until the token's state changes next; the end is 0. */
static int64_t
client_token_ms(struct session *s)
{
	struct client	*cl = client_of(s);
	int64_t		 left = session_exp(s) + cfg->jwt_leeway_ms / 1000 -
			    (int64_t)time(NULL);

	if (left <= 0)
		return 0;
	if (left <= EXPIRING_S && !cl->warned) {
		cl->warned = true;
		session_send(s, session_dialect(s)->expiring(left));
	}
	if (left > EXPIRING_S)
		left -= EXPIRING_S;
	return left > INT64_MAX / 1000 ? INT64_MAX : left * 1000;
}

void
client_tick(struct session *s)
{
	struct client	*cl = client_of(s);
	struct conn	*c = session_conn(s);
	int64_t		 now = clock_ms(), next, alive;

	if (cl->state != CLIENT_LIVE) {
		session_close(s, CLOSE_AUTH_TIMEOUT, "no auth in time");
		return;
	}
	if (session_dialect(s)->is_brief) {
		session_close(s, CLOSE_TRY_LATER, "no answer in time");
		return;
	}
	if ((alive = client_alive_ms(s)) == 0) {
		if (conn_is_full(c))
			session_close(s, CLOSE_TRY_LATER, "not reading");
		else
			session_close(s, CLOSE_GOING_AWAY, "no sign of life");
		return;
	}
	if ((next = client_token_ms(s)) == 0) {
		session_close(s, CLOSE_UNAUTHORIZED, "token expired");
		return;
	}
	client_ping(s, now);
	next = min64(next, cl->ping_ms - now);
	/* It may become full before the next ping. */
	alive = min64(alive, cfg->stall_timeout_ms);
	conn_set_timer(c, min64(next, alive));
}

/* The beginning and the end */

void
client_open(struct session *s)
{
	struct client	*cl = xcalloc(1, sizeof(*cl));

	TAILQ_INIT(&cl->parked);
	TAILQ_INIT(&cl->left);
	LIST_INIT(&cl->grants);
	session_set_data(s, cl);
	conn_set_timer(session_conn(s), cfg->auth_timeout_ms);
}

static void
on_disconnected(void *arg, const char *answer)
{
	(void)arg;
	(void)answer;
}

/* Let the application know which rooms a session was in as it ended. */
static void
tell_disconnect(struct session *s)
{
	char	*rooms, *data;

	if (handler_find("disconnect") == NULL)
		return;
	rooms = member_rooms(s);
	data = xasprintf("{\"rooms\":%s}", rooms);
	if (handler_call(s, "disconnect", NULL, data, NULL, on_disconnected,
	    NULL) == -1)
		log_info("msg=\"disconnect handler not called\" session=%s",
		    session_id(s));
	free(rooms);
	free(data);
}

void
client_close(struct session *s)
{
	struct client	*cl = client_of(s);
	struct parked	*p;

	if (cl->state == CLIENT_LIVE && !session_dialect(s)->is_brief) {
		tell_disconnect(s);
		presence_closed(s);
	}
	member_leave_all(s);
	while ((p = TAILQ_FIRST(&cl->parked)) != NULL) {
		TAILQ_REMOVE(&cl->parked, p, entry);
		command_free(&p->cmd);
		free(p);
	}
	while (!LIST_EMPTY(&cl->grants))
		grant_free(cl, LIST_FIRST(&cl->grants));
	while (!TAILQ_EMPTY(&cl->left))
		left_free(cl, TAILQ_FIRST(&cl->left));
	session_set_data(s, NULL);
	free(cl);
	session_end(s);
	session_unref(s);
}

/* Rights that change */

static bool
answer_has_room(const struct answer *a, const char *room)
{
	size_t	i;

	for (i = 0; i < a->njoin; i++)
		if (strcmp(a->join[i], room) == 0)
			return true;
	return false;
}

/* Forget what the session may do in a room; "" is every room. */
static void
client_forget(struct client *cl, const char *room)
{
	struct grant	*g, *gnext;
	struct left	*l, *lnext;

	for (g = LIST_FIRST(&cl->grants); g != NULL; g = gnext) {
		gnext = LIST_NEXT(g, entry);
		if (room[0] == '\0' || strcmp(g->room, room) == 0 ||
		    answer_has_room(&g->answer, room))
			grant_free(cl, g);
	}
	for (l = TAILQ_FIRST(&cl->left); l != NULL; l = lnext) {
		lnext = TAILQ_NEXT(l, entry);
		if (room[0] == '\0' || strcmp(l->room, room) == 0)
			left_free(cl, l);
	}
}

void
client_revoked(const char *room, const char *user)
{
	struct session	*s;
	struct request	*q;

	if (room[0] != '\0')
		revokes_add(room, user);
	else
		TAILQ_FOREACH(q, &requests, entry)
			if (session_is_user(q->session, user))
				q->is_void = true;
	if (user[0] != '\0')
		for (s = session_of(user); s != NULL; s = session_of_next(s))
			client_forget(client_of(s), room);
	else
		for (s = TAILQ_FIRST(&sessions); s != NULL;
		    s = session_next(s))
			client_forget(client_of(s), room);
}

void
client_kicked(struct session *s)
{
	session_close(s, CLOSE_FORBIDDEN, "kicked");
}

void
client_config(void)
{
	client_revoked("", "");
	handler_reload();
}

void
client_init(const struct config *config, struct feed *f, struct pg *pg,
    const struct token_keys *token_keys)
{
	cfg = config;
	feed = f;
	query = pg;
	keys = token_keys;
}
