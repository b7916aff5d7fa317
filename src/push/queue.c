/* SPDX-License-Identifier: ISC */

/*
 * The queue runs itself: each end begins what comes next.
 */

#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "push/greet.h"
#include "push/pool.h"
#include "push/queue.h"
#include "push/tell.h"
#include "push/session.h"

static const struct queue_ops	*ops;

void
queue_init(const struct queue_ops *queue_ops)
{
	ops = queue_ops;
}

struct client *
client_of(const struct session *s)
{
	return session_data(s);
}

static struct request *
request_new(struct session *s, struct command *cmd)
{
	struct client	*cl = client_of(s);
	struct request	*q = xcalloc(1, sizeof(*q));

	q->session = session_ref(s);
	q->cmd = *cmd;
	memset(cmd, 0, sizeof(*cmd));
	q->bytes = command_bytes(&q->cmd);
	cl->bytes += q->bytes;
	if (cl->user != NULL)
		account_add_bytes(cl->user, q->bytes);
	cl->nqueued++;
	return q;
}

static void
request_remove(struct client *cl, struct request *q)
{
	TAILQ_REMOVE(&cl->queue, q, entry);
	cl->nqueued--;
	cl->bytes -= q->bytes;
	if (cl->user != NULL)
		account_take_bytes(cl->user, q->bytes);
}

void
queue_set_user(struct client *cl, const char *user)
{
	cl->user = account_get(ACCOUNT_USER, user);
	account_add_bytes(cl->user, cl->bytes);
}

struct request *
queue_add(struct session *s, struct command *cmd)
{
	struct request	*q = request_new(s, cmd);

	TAILQ_INSERT_TAIL(&client_of(s)->queue, q, entry);
	return q;
}

struct request *
queue_add_first(struct session *s, struct command *cmd)
{
	struct request	*q = request_new(s, cmd);

	TAILQ_INSERT_HEAD(&client_of(s)->queue, q, entry);
	return q;
}

void
queue_free(struct request *q)
{
	if (q->ask != NULL)
		pool_withdraw(q->ask);
	if (q->is_held)
		ops->unhold(q);
	greet_free(q->greeting);
	rights_end(&q->rights);
	command_free(&q->cmd);
	free(q->room);
	session_unref(q->session);
	free(q);
}

void
queue_begin(struct request *q)
{
	if (q->is_begun)
		return;
	q->is_begun = true;
	client_of(q->session)->nbegun++;
}

/* The next that may begin, or NULL. */
static struct request *
queue_next(const struct client *cl)
{
	struct request	*q;

	if (cl->nbegun == 0)
		return TAILQ_FIRST(&cl->queue);
	TAILQ_FOREACH(q, &cl->queue, entry) {
		if (!q->is_begun)
			return ops->is_batch(q) ? q : NULL;
		if (!q->is_batch || !q->is_called)
			return NULL;
	}
	return NULL;
}

void
queue_run(struct session *s)
{
	struct client	*cl = client_of(s);
	struct request	*q;

	if (cl->is_running)
		return;
	(void)session_ref(s);
	/* A command may end the session, and free what we looked at. */
	while ((cl = client_of(s)) != NULL && cl->state == CLIENT_LIVE &&
	    (q = queue_next(cl)) != NULL) {
		cl->is_running = true;
		ops->turn(q);
		if ((cl = client_of(s)) != NULL)
			cl->is_running = false;
	}
	session_unref(s);
}

void
queue_end(struct request *q)
{
	struct session	*s = q->session;
	struct client	*cl = client_of(s);

	if (cl != NULL) {
		request_remove(cl, q);
		if (q->is_begun)
			cl->nbegun--;
		queue_run(s);
		if ((cl = client_of(s)) != NULL && cl->nqueued == 0)
			ops->idle(s);
	}
	queue_free(q);
}

bool
queue_is_stale(const struct request *q)
{
	return client_of(q->session) == NULL;
}

void
queue_refuse(struct request *q, const char *code, const char *message)
{
	tell_error(q->session, &q->cmd, code, message);
	queue_end(q);
}

void
queue_unavailable(struct request *q)
{
	queue_refuse(q, "unavailable", "no answer of the database");
}

void
queue_drop(struct client *cl, int code, const char *reason)
{
	struct request	*q;

	while ((q = TAILQ_FIRST(&cl->queue)) != NULL) {
		request_remove(cl, q);
		if (q->is_called)
			continue;
		command_drop(&q->cmd, code, reason);
		queue_free(q);
	}
}
