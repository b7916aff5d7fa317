/* SPDX-License-Identifier: ISC */
#ifndef NODE_H
#define NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/pg.h"

/*
 * This daemon as the others see it: what it says of itself every second in
 * pgpush.nodes, and that it takes leave.  Whether the replica that it reads
 * from keeps up with the primary.
 */

struct feed_stamp;

/* As pg_send; the answer has whether the node was known, and the newest id. */
int	 node_stamp(struct pg *pg, const char *node, bool leading,
	    const struct feed_stamp *stamp, pg_done done, void *arg);
bool	 node_was_known(const struct pg_result *res);
int64_t	 node_newest_id(const struct pg_result *res);

/* As pg_send: out of the tables, and all locks given up. */
int	 node_goodbye(struct pg *pg, const char *node, pg_done done,
	    void *arg);

/* How far a replica has to come by now. */
struct lateness {
	int64_t	target;		/* the primary's newest id */
	int64_t	target_ms;	/* when it was that */
	bool	late;		/* and is not here yet */
};

/*
 * Note what the primary has; says what has become of the replica, which stands
 * at position: one that was promoted, or has lost its primary, never comes on.
 */
enum lateness_news {
	LATENESS_NONE,
	LATENESS_OVER,		/* it was late, and no longer is */
	LATENESS_LATE,		/* it has had more than limit_ms */
};
enum lateness_news
	 lateness_check(struct lateness *l, int64_t position, int64_t newest,
	    int64_t now_ms, int64_t limit_ms);

#endif
