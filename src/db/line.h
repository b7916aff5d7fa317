/* SPDX-License-Identifier: ISC */
#ifndef LINE_H
#define LINE_H

#include <stdbool.h>

#include "db/pg.h"

/*
 * A connection of the feed: its session is set, and one statement is under way
 * at any time.
 */

struct config;
struct event_base;
struct line;

struct line_ops {
	/* The session is as it should be. */
	void	(*started)(void *arg);
	/* The connection is gone. */
	void	(*down)(void *arg);
	/* A notification, if it listens; may be NULL. */
	void	(*notify)(void *arg, const char *channel, const char *payload,
		    int pid);
};

enum line_kind {
	LINE_MAIN,		/* to the primary: moves, listens; a session
				 * that is silent for 10 s is ended */
	LINE_REPLICA,		/* reads the log of follow_dsn */
	LINE_RENDER,		/* asks the application, with a time limit */
};

/* cfg and ops outlive the line. */
struct line	*line_new(struct event_base *base, const struct config *cfg,
		    enum line_kind kind, const struct line_ops *ops, void *arg);
void		 line_free(struct line *l);

/* Its connection, for pg_send and what is like it. */
struct pg	*line_pg(const struct line *l);
bool		 line_is_started(const struct line *l);
/* Started, and nothing under way. */
bool		 line_is_free(const struct line *l);

/* What pg_send returned. */
void		 line_sent(struct line *l, int status);
/* Begin an answer: whether there is one.  One that failed resets the line. */
bool		 line_answered(struct line *l, const struct pg_result *res);

#endif
