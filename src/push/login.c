/* SPDX-License-Identifier: ISC */

/*
 * A greeting's request is at the head of its queue, so what follows waits.
 */

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/stats.h"
#include "net/conn.h"
#include "push/admit.h"
#include "push/greet.h"
#include "push/login.h"
#include "push/member.h"
#include "push/queue.h"
#include "push/tell.h"
#include "push/room.h"
#include "push/session.h"

static const struct config	*cfg;
static void			(*login_tick)(struct session *s);
static void			(*login_named)(struct session *s);

static void
login_welcome(struct session *s, const struct request *q)
{
	struct client	*cl = client_of(s);

	cl->state = CLIENT_LIVE;
	/* A session for one command is in no room, and on no list. */
	if (client_of(s)->is_once) {
		session_set_timer(s, cfg->handler_timeout_ms +
		    cfg->auth_timeout_ms);
		return;
	}
	greet_welcome(s, q->greeting, q->cmd.since, q->cmd.epoch);
	alive_begin(&cl->alive);
	login_tick(s);
}

/* End a session that a greeting does not let in, or no longer.  False if it
 * does. */
static bool
login_turned_away(struct session *s, const struct greeting *g)
{
	switch (g->outcome) {
	case GREET_UNAVAILABLE:
		stats_add_to(STAT_REFUSED, REFUSED_UNAVAILABLE, 1);
		session_close(s, CLOSE_TRY_LATER, "no database");
		return true;
	case GREET_UNKNOWN:
		stats_add_to(STAT_REFUSED, REFUSED_USER, 1);
		session_close(s, CLOSE_FORBIDDEN, "user not found");
		return true;
	case GREET_KNOWN:
		break;
	}
	return false;
}

static void
on_greeted(struct greeting *g)
{
	struct session	*s = session_ref(g->session);
	struct request	*q = TAILQ_FIRST(&client_of(s)->queue);

	if (login_turned_away(s, g)) {
		session_unref(s);
		return;
	}
	if (g->ndenied > 0) {
		stats_add_to(STAT_REFUSED, REFUSED_ROOM, 1);
		session_close(s, CLOSE_FORBIDDEN,
		    "not allowed in one of the rooms");
	} else
		login_welcome(s, q);
	if (client_of(s) != NULL)
		queue_end(q);
	session_unref(s);
}

/* Each room of a stream's request counts as a message. */
static int64_t
login_messages(const struct command *cmd)
{
	const char	*p = cmd->rooms;
	int64_t		 n = 0;

	while (p != NULL && (p = strchr(p, '"')) != NULL) {
		n++;
		p++;
	}
	return n / 2;
}

/* There is a user: it has its share.  False: that is used up, and the session
 * is closed. */
static bool
login_is_admitted(struct session *s, const struct command *cmd)
{
	struct client	*cl = client_of(s);
	const char	*why = NULL;

	queue_set_user(cl, session_user(s));
	login_named(s);
	if (leaky_fill(account_bucket(cl->user), cfg->message_rate,
	    login_messages(cmd), clock_ms()) > 1) {
		session_close(s, CLOSE_POLICY, "too many messages");
		return false;
	}
	if (cl->is_once)
		return true;
	if (cfg->max_per_user > 0 &&
	    account_sessions(cl->user) >= cfg->max_per_user)
		why = "too many connections of this user";
	else if (admit_is_over())
		why = "too many connections";
	if (why != NULL) {
		stats_add_to(STAT_REFUSED, REFUSED_CONNECTIONS, 1);
		log_limited(LOG_REQUEST, LOG_LEVEL_INFO,
		    "msg=\"connection refused\" user=%s why=%s",
		    log_quote(session_user(s), strlen(session_user(s))),
		    log_quote(why, strlen(why)));
		session_close(s, CLOSE_TRY_LATER, why);
		return false;
	}
	account_add_sessions(cl->user, 1);
	cl->is_counted = true;
	return true;
}

void
login_authenticate(struct session *s, const char *token, size_t len,
    struct command *cmd)
{
	struct request	*q;

	if (greet_identify(s, token, len) == GREET_BAD) {
		session_close(s, CLOSE_UNAUTHORIZED, "bad token");
		return;
	}
	if (session_conn(s) != NULL)
		conn_set_user(session_conn(s), session_user(s));
	client_of(s)->state = CLIENT_GREETING;
	if (!login_is_admitted(s, cmd))
		return;
	q = queue_add_first(s, cmd);
	queue_begin(q);
	q->greeting = greet_ask(s, q->cmd.rooms, on_greeted);
	if (q->greeting == NULL) {
		stats_add_to(STAT_REFUSED, REFUSED_UNAVAILABLE, 1);
		session_close(s, CLOSE_TRY_LATER, "no database");
	}
}

static void
login_refreshed(struct request *q)
{
	struct session	*s = session_ref(q->session);

	alive_renew(&client_of(s)->alive);
	tell_auth(s, &q->cmd, session_exp(s));
	queue_end(q);
	if (client_of(s) != NULL)
		login_tick(s);
	session_unref(s);
}

/* The claims are others: out of the rooms that they do not open. */
static void
on_greeted_again(struct greeting *g)
{
	struct session	*s = g->session;
	struct member	*m;
	size_t		 i;

	if (login_turned_away(s, g))
		return;
	for (i = 0; i < g->ndenied; i++) {
		if ((m = room_member(g->denied[i], s)) == NULL)
			continue;
		session_send(s, session_dialect(s)->left(s, g->denied[i],
		    "revoked"));
		member_leave(m);
	}
	login_refreshed(TAILQ_FIRST(&client_of(s)->queue));
}

void
login_refresh(struct request *q)
{
	struct session		*s = q->session;
	enum greet_token	 found = greet_identify(s, q->cmd.token,
				    strlen(q->cmd.token));
	char			*rooms;

	if (found == GREET_BAD) {
		queue_refuse(q, "unauthorized", "bad token");
		return;
	}
	if (found == GREET_STRANGER) {
		session_close(s, CLOSE_FORBIDDEN, "another user");
		return;
	}
	if (found == GREET_SAME) {
		login_refreshed(q);
		return;
	}
	grants_forget(&client_of(s)->grants, "");
	queue_begin(q);
	rooms = member_rooms(s);
	q->greeting = greet_ask(s, rooms, on_greeted_again);
	free(rooms);
	if (q->greeting == NULL)
		session_close(s, CLOSE_TRY_LATER, "no database");
}

void
login_init(const struct config *config, void (*tick)(struct session *),
    void (*named)(struct session *))
{
	cfg = config;
	login_tick = tick;
	login_named = named;
}
