/* SPDX-License-Identifier: ISC */

/*
 * Clients.  A command that must ask the database leaves a request behind.  An
 * answer that is void counts for nothing: a question of rights is asked again.
 * A handler that has run cannot be undone: its answer stands, but for the
 * rooms revoked.
 *
 * Commands of one session take effect in the order they came: as long as a
 * join is under way, what could depend on it waits behind it.
 */

#include <sys/queue.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "push/alive.h"
#include "push/client.h"
#include "base/clock.h"
#include "push/command.h"
#include "base/config.h"
#include "net/conn.h"
#include "db/feed.h"
#include "push/grant.h"
#include "push/handler.h"
#include "base/log.h"
#include "push/member.h"
#include "db/pg.h"
#include "push/presence.h"
#include "push/rights.h"
#include "push/room.h"
#include "push/refusal.h"
#include "push/session.h"
#include "base/stats.h"
#include "base/token.h"
#include "base/xmalloc.h"

#define PARKED_MAX	256		/* commands waiting for a join */
#define REQUESTS_MAX	256		/* of one session, under way */
#define BURST_S		5		/* of messages at message_rate */

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
	TAILQ_ENTRY(request)	 entry;		/* on held if is_held */
	struct rights		 rights;
	struct session		*session;	/* a reference */
	enum request_type	 type;
	bool			 is_join;	/* others wait for it */
	bool			 is_held;	/* handlers are being loaded */
	struct command		 cmd;		/* owned */
	char			*room;		/* owned; of a send, or NULL */
};

enum client_state {
	CLIENT_NEW,		/* must show a token */
	CLIENT_GREETING,	/* the database is asked who it is */
	CLIENT_LIVE,
};

struct client {
	enum client_state	 state;
	unsigned int		 joins;		/* under way */
	unsigned int		 requests;	/* under way */
	unsigned int		 nparked;
	int64_t			 debt_us;	/* of messages, at the rate */
	int64_t			 debt_ms;	/* when that was */
	TAILQ_HEAD(, parked)	 parked;
	struct grants		 grants;
	struct alive		 alive;
};

static const struct config	*cfg;
static struct feed		*feed;
static struct pg		*query;
static const struct token_keys	*keys;
static TAILQ_HEAD(, request)	 held = TAILQ_HEAD_INITIALIZER(held);

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

static void	client_tick(struct session *s);
static void	command_do(struct session *s, struct command *cmd);
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
	refusal_log(s, code);
	session_send(s, session_dialect(s)->error(ref, code, message));
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
	client_of(s)->requests++;
	return q;
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
		command_do(s, &p->cmd);
		command_free(&p->cmd);
		free(p);
	}
}

static void
request_end(struct request *q)
{
	struct session	*s = q->session;
	struct client	*cl = client_of(s);

	if (q->is_held)
		TAILQ_REMOVE(&held, q, entry);
	rights_end(&q->rights);
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
		kept = grant_rejoin(&client_of(s)->grants, room,
		    &kept_epoch);
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
	int64_t		 last;

	if (m == NULL)
		return;
	last = m->behind || m->last > feed_position(feed) ? m->last :
	    feed_position(feed);
	grant_left(&client_of(s)->grants, room, last, feed_epoch(feed));
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
	if (d->begin != NULL && session_conn(s) != NULL)
		d->begin(session_conn(s));
	session_send(s, d->welcome(&w));
	for (i = 0; i < n; i++)
		member_start(members[i]);
	if (w.resets && d->merged)
		session_send(s, d->at(member_at(s)));
	free(members);
	refusal_welcome(s, (unsigned int)n);
	session_changed(s);
	alive_begin(&cl->alive);
	client_tick(s);
}

/* Whoever comes for one command is in no room, and on no list. */
static void
admit(struct session *s)
{
	client_of(s)->state = CLIENT_LIVE;
	session_set_timer(s, cfg->handler_timeout_ms +
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
	if (rights_is_void(&q->rights) && res != NULL) {
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
		again = rights_is_revoked_any(&q->rights, rooms, n);
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

	rights_ask(&q->rights, q->session);
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
		log_limited(LOG_TOKEN, LOG_LEVEL_INFO,
		    "conn=%" PRIu64 " msg=\"token refused\" reason=%s",
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
	if (session_conn(s) != NULL)
		conn_set_user(session_conn(s), t.user);
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
command_refresh(struct session *s, struct command *cmd)
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
		alive_renew(&client_of(s)->alive);
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
	    (rights_is_void(&q->rights) ||
	    rights_is_revoked(&q->rights, q->cmd.room))) {
		request_join(q);
		return;
	}
	if (!pg_ok(res))
		refuse(s, q->cmd.ref, "unavailable", "no database");
	else if (!pg_true(res, 0, 0))
		refuse(s, q->cmd.ref, "forbidden", "not allowed in this room");
	else {
		grant_add(&client_of(s)->grants, "", q->cmd.room, NULL);
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

	rights_ask(&q->rights, q->session);
	if (pg_send(query, &authorize_stmt, params, on_authorized, q) == -1) {
		refuse(s, q->cmd.ref, "unavailable", "no database");
		request_end(q);
	}
	free(ctx);
}

static void
command_join(struct session *s, struct command *cmd)
{
	struct request	*q;

	if (room_member(cmd->room, s) != NULL ||
	    grant_find(&client_of(s)->grants, "", cmd->room) != NULL) {
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
			log_limited(LOG_ANSWER, LOG_LEVEL_WARNING,
			    "msg=\"bad room in an answer\" room=%s",
			    log_quote(a->join[i], strlen(a->join[i])));
		else if (q == NULL || !rights_is_revoked(&q->rights, a->join[i]))
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
	return rights_is_void(&q->rights) ||
	    (q->room != NULL && rights_is_revoked(&q->rights, q->room)) ||
	    rights_is_revoked_any(&q->rights, a->join, a->njoin);
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
		log_limited(LOG_ANSWER, LOG_LEVEL_WARNING,
		    "msg=\"malformed answer\" event=%s answer=%s",
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
			grant_add(&client_of(s)->grants, q->cmd.event, q->room, &a);
		answer_free(&a);
	}
	request_end(q);
}

static void
request_send(struct request *q)
{
	rights_ask(&q->rights, q->session);
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
	if (pg_ok(res) && pg_true(res, 0, 0) && !rights_is_void(&q->rights) &&
	    !rights_is_revoked(&q->rights, q->room)) {
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
	rights_ask(&q->rights, q->session);
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

	rights_ask(&q->rights, q->session);
	request_set_join(q);
	q->is_held = true;
	TAILQ_INSERT_TAIL(&held, q, entry);
}

static void
command_send(struct session *s, struct command *cmd)
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
	if (h->grant && (g = grant_find(&client_of(s)->grants, cmd->event, room)) !=
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

	for (q = TAILQ_FIRST(&held); q != NULL; q = next) {
		next = TAILQ_NEXT(q, entry);
		cmd = q->cmd;
		memset(&q->cmd, 0, sizeof(q->cmd));
		if (!request_is_stale(q))
			command_send(q->session, &cmd);
		command_free(&cmd);
		request_end(q);
	}
}

/* Commands */

static void
command_leave(struct session *s, struct command *cmd)
{
	leave(s, cmd->room);
	session_send(s, session_dialect(s)->reply_leave(cmd->ref, cmd->room));
}

static void
command_bad(struct session *s, struct command *cmd)
{
	char	*message = xasprintf("bad or missing field: %s", cmd->wrong);

	refuse(s, cmd->ref, "bad_request", message);
	free(message);
}

/* Do a command now. */
static void
command_do(struct session *s, struct command *cmd)
{
	if (session_dialect(s)->is_brief && cmd->type != COMMAND_SEND &&
	    cmd->type != COMMAND_BAD) {
		refuse(s, cmd->ref, "bad_request", "only a send goes without "
		    "the session of a stream");
		return;
	}
	switch (cmd->type) {
	case COMMAND_AUTH:
		command_refresh(s, cmd);
		break;
	case COMMAND_JOIN:
		command_join(s, cmd);
		break;
	case COMMAND_LEAVE:
		command_leave(s, cmd);
		break;
	case COMMAND_SEND:
		command_send(s, cmd);
		break;
	case COMMAND_PING:
		session_send(s, session_dialect(s)->reply_ping(cmd->ref,
		    member_at(s)));
		break;
	case COMMAND_BAD:
		command_bad(s, cmd);
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
command_park(struct session *s, struct command *cmd)
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
command_is_too_fast(struct session *s, const struct command *cmd)
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

	if (command_is_too_fast(s, cmd))
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
		command_park(s, cmd);
		break;
	case CLIENT_LIVE:
		if (must_wait(cl, cmd))
			command_park(s, cmd);
		else
			command_do(s, cmd);
		break;
	}
}

/* Time */

static void
client_tick(struct session *s)
{
	struct client	*cl = client_of(s);

	if (cl->state != CLIENT_LIVE)
		session_close(s, CLOSE_AUTH_TIMEOUT, "no auth in time");
	else if (session_dialect(s)->is_brief)
		session_close(s, CLOSE_TRY_LATER, "no answer in time");
	else
		alive_tick(&cl->alive, s);
}

/* The beginning and the end */

void
client_open(struct session *s)
{
	struct client	*cl = xcalloc(1, sizeof(*cl));

	TAILQ_INIT(&cl->parked);
	grants_init(&cl->grants, (unsigned int)cfg->max_rooms);
	session_set_data(s, cl);
	session_set_timer(s, cfg->auth_timeout_ms);
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
	grants_clear(&cl->grants);
	session_set_data(s, NULL);
	free(cl);
	session_end(s);
	session_unref(s);
}

void
client_lost(struct session *s)
{
	if (!session_dialect(s)->outlives) {
		client_close(s);
		return;
	}
	session_detach(s);
	if (client_of(s)->state == CLIENT_LIVE)
		client_tick(s);
}

void
client_carry(struct session *s, struct conn *c)
{
	session_attach(s, c);
	client_drained(s);
	if (!session_has_ended(s) && client_of(s)->state == CLIENT_LIVE)
		client_tick(s);
}

void
client_drained(struct session *s)
{
	if (!session_is_full(s))
		member_drained(s);
}

/* Rights that change */

void
client_revoked(const char *room, const char *user)
{
	struct session	*s;

	rights_revoke(room, user);
	if (user[0] != '\0')
		for (s = session_of(user); s != NULL; s = session_of_next(s))
			grants_forget(&client_of(s)->grants, room);
	else
		for (s = TAILQ_FIRST(&sessions); s != NULL;
		    s = session_next(s))
			grants_forget(&client_of(s)->grants, room);
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

static const struct session_ops session_ops = { client_tick, client_close };

void
client_init(struct event_base *base, const struct config *config,
    struct feed *f, struct pg *pg, const struct token_keys *token_keys)
{
	cfg = config;
	feed = f;
	query = pg;
	keys = token_keys;
	alive_init(config);
	session_init(base, (size_t)cfg->output_high, &session_ops);
}
