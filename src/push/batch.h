/* SPDX-License-Identifier: ISC */
#ifndef BATCH_H
#define BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "db/pg.h"

/*
 * Calls of handlers that share a transaction, on a connection of their own:
 * those that came within handler_interval go out together.
 */

struct config;
struct event_base;
struct feed;

/* The answer as JSON text; NULL: there is no database. */
typedef void	(*batch_done)(void *arg, const char *answer);

/* cfg and feed outlive the module. */
void	 batch_init(struct event_base *base, const struct config *cfg,
	    struct feed *feed);
void	 batch_exit(void);

bool	 batch_is_up(void);
bool	 batch_is_idle(void);
/* Append ",pid" for its connection. */
void	 batch_backends(struct text *out);

/*
 * One call as pgpush.handle takes it, JSON text that is copied.  Calls run in
 * the order made.  Returns -1, and will not call done, if there is no database
 * or handler_queue calls wait already.
 */
int	 batch_call(const char *json, batch_done done, void *arg)
	    __attribute__((warn_unused_result));

/* Of a statement that failed, what to answer: JSON text. */
const char *
	 batch_failure(const struct pg_result *res);

#endif
