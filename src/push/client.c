/* SPDX-License-Identifier: ISC */

/*
 * Clients.  A command waits in its session's queue for its turn; a ping, and
 * what is no command, is answered at once.
 */

#include <sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/stats.h"
#include "base/xmalloc.h"
#include "net/conn.h"
#include "push/account.h"
#include "push/admit.h"
#include "push/alive.h"
#include "push/client.h"
#include "push/command.h"
#include "push/door.h"
#include "push/grant.h"
#include "push/greet.h"
#include "push/handler.h"
#include "push/join.h"
#include "push/login.h"
#include "push/member.h"
#include "push/presence.h"
#include "push/queue.h"
#include "push/tell.h"
#include "push/rights.h"
#include "push/send.h"
#include "push/session.h"

#define QUEUE_MAX	256		/* commands of a session that wait */

static const struct config	*cfg;
static TAILQ_HEAD(, client)	 nameless = TAILQ_HEAD_INITIALIZER(nameless);

static void	client_tick(struct session *s);

bool
client_is_busy(const struct session *s)
{
	const struct client	*cl = client_of(s);

	return cl != NULL && cl->nqueued > 0;
}

void
client_token(struct session *s, const char *token, size_t len, int64_t since,
    const char *epoch, const char *rooms)
{
	struct command	cmd;

	memset(&cmd, 0, sizeof(cmd));
	cmd.type = COMMAND_AUTH;
	cmd.since = since;
	cmd.epoch = epoch == NULL ? NULL : xstrdup(epoch);
	cmd.rooms = rooms == NULL ? NULL : xstrdup(rooms);
	login_authenticate(s, token, len, &cmd);
	command_free(&cmd);
}

/* Commands */

static void
command_leave(struct request *q)
{
	struct session	*s = q->session;

	door_leave(s, &client_of(s)->grants, q->cmd.room);
	tell_left(s, &q->cmd);
	queue_end(q);
}

static void
command_bad(struct session *s, struct command *cmd)
{
	char	*message = xasprintf("bad or missing field: %s", cmd->wrong);

	tell_error(s, cmd, "bad_request", message);
	free(message);
}

/* The command's turn has come. */
static void
client_turn(struct request *q)
{
	if (client_of(q->session)->is_once &&
	    q->cmd.type != COMMAND_SEND && q->cmd.type != COMMAND_BAD) {
		queue_refuse(q, "bad_request", "only a send goes without "
		    "the session of a stream");
		return;
	}
	switch (q->cmd.type) {
	case COMMAND_AUTH:
		login_refresh(q);
		break;
	case COMMAND_JOIN:
		join_do(q);
		break;
	case COMMAND_LEAVE:
		command_leave(q);
		break;
	case COMMAND_SEND:
		send_do(q);
		break;
	case COMMAND_PING:
		tell_ping(q->session, &q->cmd, member_at(q->session));
		queue_end(q);
		break;
	case COMMAND_BAD:
		command_bad(q->session, &q->cmd);
		queue_end(q);
		break;
	}
}

/* Whether there is no room for a command, beside those that wait. */
static bool
client_is_loaded(const struct client *cl, const struct command *cmd)
{
	size_t	bytes = command_bytes(cmd);

	if (cl->nqueued == 0)
		return false;
	return cl->nqueued >= QUEUE_MAX ||
	    cl->bytes + bytes > (size_t)cfg->max_pending ||
	    (cl->user != NULL && account_bytes(cl->user) + bytes >
	    (size_t)cfg->max_pending_user);
}

static void
client_queue(struct session *s, struct command *cmd)
{
	if (client_is_loaded(client_of(s), cmd)) {
		tell_error(s, cmd, "too_many", "too many commands waiting");
		return;
	}
	/* A stream is not held back by not being read from. */
	if (session_dialect(s)->merged && session_is_full(s)) {
		tell_error(s, cmd, "too_many", "output waits to be read");
		return;
	}
	(void)queue_add(s, cmd);
	queue_run(s);
}

/* Answered at once, or in its turn. */
static void
client_do(struct session *s, struct command *cmd)
{
	bool	live = client_of(s)->state == CLIENT_LIVE &&
		    !client_of(s)->is_once;

	if (live && cmd->type == COMMAND_BAD)
		command_bad(s, cmd);
	else if (live && cmd->type == COMMAND_PING)
		tell_ping(s, cmd, member_at(s));
	else
		client_queue(s, cmd);
}

/* How many bursts of messages there are, with one more; 0: within the limit. */
static int64_t
client_over_rate(struct client *cl)
{
	return leaky_fill(cl->user != NULL ? account_bucket(cl->user) :
	    &cl->bucket, cfg->message_rate, 1, clock_ms());
}

static void
client_too_fast(struct session *s)
{
	stats_add_to(STAT_REFUSED, REFUSED_RATE, 1);
	session_close(s, CLOSE_POLICY, "too many messages");
}

void
client_pinged(struct session *s)
{
	if (client_over_rate(client_of(s)) > 1)
		client_too_fast(s);
}

/* A client that does not stop when told to is sent away. */
static bool
client_is_too_fast(struct session *s, struct command *cmd)
{
	int64_t	bursts = client_over_rate(client_of(s));

	if (bursts == 1)
		tell_error(s, cmd, "rate_limited", "too many messages");
	else if (bursts > 1)
		client_too_fast(s);
	return bursts > 0;
}

void
client_command(struct session *s, struct command *cmd)
{
	if (client_is_too_fast(s, cmd))
		return;
	if (client_of(s)->state != CLIENT_NEW)
		client_do(s, cmd);
	else if (cmd->type != COMMAND_AUTH)
		session_close(s, CLOSE_UNAUTHORIZED, "auth comes first");
	else
		login_authenticate(s, cmd->token, strlen(cmd->token), cmd);
}

/* Time */

static void
client_tick(struct session *s)
{
	struct client	*cl = client_of(s);

	if (cl->state != CLIENT_LIVE) {
		stats_add_to(STAT_REFUSED, REFUSED_LATE, 1);
		session_close(s, CLOSE_AUTH_TIMEOUT, "no auth in time");
	} else if (client_of(s)->is_once)
		session_close(s, CLOSE_TRY_LATER, "no answer in time");
	else
		alive_tick(&cl->alive, s);
}

/* The beginning and the end */

/* Those who have shown no token keep to a number of their own. */

static void
client_unlist(struct client *cl)
{
	if (!cl->is_nameless)
		return;
	TAILQ_REMOVE(&nameless, cl, nameless_entry);
	cl->is_nameless = false;
	admit_nameless(-1);
}

static void
client_list(struct client *cl)
{
	struct client	*oldest = TAILQ_FIRST(&nameless);

	TAILQ_INSERT_TAIL(&nameless, cl, nameless_entry);
	cl->is_nameless = true;
	admit_nameless(1);
	if (admit_nameless_count() <= cfg->max_unauthenticated)
		return;
	stats_add_to(STAT_REFUSED, REFUSED_LATE, 1);
	log_limited(LOG_REQUEST, LOG_LEVEL_INFO,
	    "address=%s msg=\"too many connections without a token\"",
	    session_address(oldest->session));
	session_close(oldest->session, CLOSE_TRY_LATER,
	    "too many connections without a token");
}

static void
client_named(struct session *s)
{
	client_unlist(client_of(s));
}

/* once: for one send, and so no connection of its own. */
static void
client_new(struct session *s, bool once)
{
	struct client	*cl = xcalloc(1, sizeof(*cl));

	TAILQ_INIT(&cl->queue);
	grants_init(&cl->grants, (unsigned int)cfg->max_rooms);
	cl->session = s;
	cl->is_once = once;
	session_set_data(s, cl);
	session_set_timer(s, cfg->auth_timeout_ms);
	if (once)
		return;
	cl->address = account_get(ACCOUNT_ADDRESS, session_address(s));
	account_add_sessions(cl->address, 1);
	client_list(cl);
}

void
client_open(struct session *s)
{
	client_new(s, false);
}

void
client_once(struct conn *c, const struct dialect *d, const char *token,
    size_t len, struct command *cmd)
{
	struct session	*s = session_ref(session_new(c, d));
	struct client	*cl;

	session_detach(s);
	client_new(s, true);
	(void)queue_add(s, cmd);
	client_token(s, token, len, -1, NULL, NULL);
	if ((cl = client_of(s)) != NULL && client_over_rate(cl) > 0)
		client_too_fast(s);
	session_unref(s);
}

static void
on_disconnected(void *arg, const char *answer)
{
	(void)arg;
	(void)answer;
}

/* Let the application know which rooms a session was in as it ended. */
static void
client_tell_disconnect(struct session *s)
{
	const struct handler	*h = handler_find("disconnect");
	char			*rooms, *data;

	if (h == NULL)
		return;
	rooms = member_rooms(s);
	data = xasprintf("{\"rooms\":%s}", rooms);
	if (handler_call(s, h, NULL, data, NULL, on_disconnected, NULL) == -1)
		log_info("msg=\"disconnect handler not called\" session=%s",
		    session_id(s));
	free(rooms);
	free(data);
}

/* End it; commands that wait are dropped, with the code it was closed with. */
static void
client_end(struct session *s, int code, const char *reason)
{
	struct client	*cl = client_of(s);

	if (cl->state == CLIENT_LIVE && !cl->is_once) {
		client_tell_disconnect(s);
		presence_closed(s);
	}
	member_leave_all(s);
	session_set_data(s, NULL);
	queue_drop(cl, code, reason);
	client_unlist(cl);
	if (cl->is_counted)
		account_add_sessions(cl->user, -1);
	if (cl->address != NULL)
		account_add_sessions(cl->address, -1);
	account_put(cl->user);
	account_put(cl->address);
	grants_clear(&cl->grants);
	free(cl);
	session_end(s);
	session_unref(s);
}

void
client_close(struct session *s)
{
	client_end(s, 0, "");
}

/* A session for one send ends when nothing is left to do. */
static void
client_idle(struct session *s)
{
	const struct client	*cl = client_of(s);

	if (cl->is_once && cl->state == CLIENT_LIVE)
		client_close(s);
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

void
client_loaded(void)
{
	send_loaded();
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

static const struct queue_ops queue_ops = { client_turn, send_is_batch,
	client_idle, send_unhold };
static const struct session_ops session_ops = { client_tick, client_end };

void
client_init(struct event_base *base, const struct config *config,
    struct feed *feed, const struct token_keys *keys)
{
	cfg = config;
	alive_init(config);
	door_init(config, feed);
	queue_init(&queue_ops);
	login_init(config, client_tick, client_named);
	greet_init(config, feed, keys);
	session_init(base, (size_t)cfg->output_high, &session_ops);
}

void
client_exit(void)
{
	struct session	*s;

	while ((s = TAILQ_FIRST(&sessions)) != NULL)
		client_close(s);
}
