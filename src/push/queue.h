/* SPDX-License-Identifier: ISC */
#ifndef QUEUE_H
#define QUEUE_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "push/account.h"
#include "push/alive.h"
#include "push/command.h"
#include "push/grant.h"
#include "push/rights.h"

/*
 * The commands of a session, in one queue: they take effect in the order they
 * came.  What is begun is at the head, and the next begins when that has
 * ended.  Two things are begun together, because their order cannot matter:
 * joins that follow one another, whose rights are asked for with one
 * statement; and sends to handlers of the batch, which runs them in order and
 * whose answers change no rooms.
 */

struct ask;
struct greeting;
struct session;

/* A command, until it has had its effect. */
struct request {
	TAILQ_ENTRY(request)	 entry;		/* of its session */
	TAILQ_ENTRY(request)	 held_entry;	/* sending.c's */
	struct session		*session;	/* a reference */
	struct command		 cmd;		/* owned */
	struct rights		 rights;
	int64_t			 asked_ms;
	struct ask		*ask;		/* of rules; NULL: none */
	struct greeting		*greeting;	/* owned, or NULL */
	char			*room;		/* owned; of a send, or NULL */
	unsigned int		 njoins;	/* asked for together */
	size_t			 bytes;		/* of cmd, as it came */
	bool			 is_begun;
	bool			 is_alone;	/* a join not to be grouped */
	bool			 is_grant;	/* the answer is to be kept */
	bool			 is_batch;
	bool			 is_called;	/* a handler runs for it */
	bool			 is_held;	/* handlers are being loaded */
};
TAILQ_HEAD(request_list, request);

enum client_state {
	CLIENT_NEW,		/* must show a token */
	CLIENT_GREETING,	/* the database is asked who it is */
	CLIENT_LIVE,
};

/* What the command layer keeps of a session, as its session_data. */
struct client {
	enum client_state	 state;
	struct request_list	 queue;		/* first come first */
	unsigned int		 nqueued;
	unsigned int		 nbegun;	/* at the head of the queue */
	bool			 is_running;	/* queue_run is */
	bool			 is_once;	/* here for one send alone: in
						 * no room, on no list */
	size_t			 bytes;		/* of the commands queued */
	struct account		*user;		/* NULL until there is one */
	struct account		*address;
	bool			 is_counted;	/* as a session of its user */
	bool			 is_nameless;	/* on a list of client.c's */
	TAILQ_ENTRY(client)	 nameless_entry;
	struct session		*session;	/* owns us */
	struct leaky		 bucket;	/* before there is a user */
	struct grants		 grants;
	struct alive		 alive;
};

struct queue_ops {
	/* A command's turn has come: do it, or begin it. */
	void	(*turn)(struct request *q);
	/* It is a send to a handler of the batch. */
	bool	(*is_batch)(const struct request *q);
	/* Nothing is left to do for the session, which may be ended. */
	void	(*idle)(struct session *s);
	/* It is to be freed while it is held. */
	void	(*unhold)(struct request *q);
};

void	 queue_init(const struct queue_ops *ops);

/* NULL after the session's end. */
struct client	*client_of(const struct session *s);

/* Behind all others, or first of all; takes the command over. */
struct request	*queue_add(struct session *s, struct command *cmd);
struct request	*queue_add_first(struct session *s, struct command *cmd);
/* It has a user now, whose share its commands count for. */
void	 queue_set_user(struct client *cl, const char *user);
/* Do what may be done, until something must wait.  May end the session. */
void	 queue_run(struct session *s);

/* The command's effect takes time: it has begun. */
void	 queue_begin(struct request *q);
/* It has had its effect, or never will; frees it, and runs the next. */
void	 queue_end(struct request *q);
/* The same with an error as the answer. */
void	 queue_refuse(struct request *q, const char *code,
	    const char *message);
void	 queue_unavailable(struct request *q);

/* Its session has ended while a handler ran for it: only free it. */
bool	 queue_is_stale(const struct request *q);
void	 queue_free(struct request *q);

/* The session ends, closed with that code.  What has not begun never will; a
 * handler that runs for it has nobody to tell. */
void	 queue_drop(struct client *cl, int code, const char *reason);

#endif
