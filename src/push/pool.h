/* SPDX-License-Identifier: ISC */
#ifndef POOL_H
#define POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/pg.h"
#include "base/text.h"

/*
 * A few connections to PostgreSQL for the statements of many users, which take
 * turns (push/fair.h).  Each statement is a transaction of its own, has a
 * connection for itself while it runs, and a time limit.
 */

struct ask;
struct config;
struct event_base;
struct feed;
struct pool;

struct pool_settings {
	const char	*name;		/* for the log; outlives the pool */
	int64_t		 connections;
	int64_t		 slow_ms;	/* a statement over this is slow */
	int64_t		 timeout_ms;	/* statement_timeout */
	int64_t		 lock_timeout_ms;
	/* The first connection is there, or the last is gone; may be NULL. */
	void		(*changed)(void);
};

/*
 * cfg, feed and cancels outlive the pool; cancels is a connection on which the
 * statement of an asker that has gone is cancelled.
 */
struct pool	*pool_new(struct event_base *base, const struct config *cfg,
		    struct feed *feed, struct pg *cancels,
		    const struct pool_settings *set);
/* Every statement is answered with NULL. */
void		 pool_free(struct pool *p);

bool		 pool_is_up(const struct pool *p);
bool		 pool_is_idle(const struct pool *p);
/* Statements that wait. */
size_t		 pool_waiting(const struct pool *p);
/* Append ",pid" for each connection that is there. */
void		 pool_backends(const struct pool *p, struct text *out);

/*
 * Run a statement for the user; the kind tells apart what may be slow for
 * reasons of its own.  Everything is copied but stmt.  done is called once, as
 * pg_send does, and never from here.  Returns NULL, and will not call done, if
 * there is no connection.
 */
struct ask	*pool_ask(struct pool *p, const char *user, const char *kind,
		    const struct pg_stmt *stmt, const char *const *params,
		    pg_done done, void *arg)
		    __attribute__((warn_unused_result));
/* Nobody wants the answer: done is not called, and the statement ends. */
void		 pool_withdraw(struct ask *a);

#endif
