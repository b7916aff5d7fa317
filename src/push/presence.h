/* SPDX-License-Identifier: ISC */
#ifndef PRESENCE_H
#define PRESENCE_H

/*
 * Tells the database which sessions this daemon has and the rooms they are in,
 * in batches: the rows of pgpush.connections, from which the leader computes
 * who is online.
 */

struct event_base;
struct pg;
struct session;

/* query is the connection to write on; node is this daemon's name.  Both
 * outlive the module. */
void	 presence_init(struct event_base *base, struct pg *query,
	    const char *node);
void	 presence_exit(void);

/* Before session_end.  What opens or changes is found by session_changed. */
void	 presence_closed(struct session *s);
/* Say everything again: the connection is new, or the rows are gone. */
void	 presence_renew(void);

#endif
