/* SPDX-License-Identifier: ISC */
#ifndef HANDLER_H
#define HANDLER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/*
 * The functions registered with pgpush.on: which there are, and calls of them.
 * Each call is a transaction of its own, on a connection that it has for
 * itself, in its user's turn.  Only handlers registered with batch => true
 * share a transaction: those called within handler_interval, each in a
 * subtransaction of its own, so that typing never becomes a storm of commits.
 */

struct config;
struct event_base;
struct feed;
struct pg;
struct session;

struct handler {
	char		*event;
	char		*room;		/* template; NULL: the frame's own */
	bool		 member;	/* only for members of the room */
	bool		 grant;		/* a join: the answer may be kept */
	bool		 batch;		/* shares a transaction */
};

/*
 * The answer as JSON text, valid only in the callback; NULL if there is no
 * database, in which case the call may or may not have taken effect.
 */
typedef void	(*handler_done)(void *arg, const char *answer);

/*
 * cfg, feed and query outlive the module; the rules are read on query.  loaded
 * is called when handler_is_loading ends, one way or the other.
 */
void	 handler_init(struct event_base *base, const struct config *cfg,
	    struct feed *feed, struct pg *query, void (*loaded)(void));
void	 handler_exit(void);

/* Rules are loaded and calls can be made. */
bool	 handler_is_up(void);
/* They are being loaded, so what handler_find says may be old. */
bool	 handler_is_loading(void);
/* Append ",pid" for each connection. */
void	 handler_backends(struct text *out);
/* No call is waiting or under way. */
bool	 handler_is_idle(void);
/* The rules changed, or query is there again: load them. */
void	 handler_reload(void);

/* The handler of an event, or NULL.  Valid until the loop turns. */
const struct handler *
	 handler_find(const char *event);

/*
 * Call it for the session: room and key may be NULL, data is JSON text; all is
 * copied.  Calls of a batch run in the order made.  Returns -1, and will not
 * call done, if there is no database or handler_queue calls wait already.
 */
int	 handler_call(const struct session *s, const struct handler *h,
	    const char *room, const char *data, const char *key,
	    handler_done done, void *arg) __attribute__((warn_unused_result));

#endif
