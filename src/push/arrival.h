/* SPDX-License-Identifier: ISC */
#ifndef ARRIVAL_H
#define ARRIVAL_H

#include "base/text.h"

/*
 * Who came and who went, which the leader finds out: calls the functions
 * registered with pgpush.present on a connection that moves nothing, so that a
 * slow one holds up no event.
 */

struct config;
struct event_base;
struct feed;
struct pg;

/* All outlive the module. */
void	 arrival_init(struct event_base *base, const struct config *cfg,
	    struct feed *feed, struct pg *cancels);
void	 arrival_exit(void);
/* Append ",pid" for its connection. */
void	 arrival_backends(struct text *out);

/* See who came and who went, now or as soon as the last look is over. */
void	 arrival_look(void);

#endif
