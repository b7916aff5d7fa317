/* SPDX-License-Identifier: ISC */
#ifndef FEED_H
#define FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The feed: every row of pgpush.log in the order of its id, each once, as long
 * as this daemon runs and however often its connection is lost.  One daemon of
 * a database, the leader, also moves rows from pgpush.outbox to the log; see
 * pgpush(7), "How an event travels".
 */

struct config;
struct entry;
struct event_base;
struct feed;

/* What the daemon says of itself every second in pgpush.nodes. */
struct feed_stamp {
	int64_t		 connections;
	char		 backends[2048];	/* a PostgreSQL array: {1,2,3} */
};

struct feed_ops {
	/* The next row; the feed keeps its own reference. */
	void	(*entry)(void *arg, struct entry *e);
	/* There are no more rows for now. */
	void	(*complete)(void *arg);
	/* A payload of channel pgpush that is no bell. */
	void	(*notify)(void *arg, const char *payload);
	/* Rows were purged before they could be handed over, or this is
	 * another database: perhaps somebody's rights have ended. */
	void	(*missed)(void *arg);
	/* Positions have another tag from now on: before its first event,
	 * whose id is at least this. */
	void	(*term)(void *arg, int64_t first);
	/* The newest id of all, as it was after feed_asked() had been less
	 * than asked. */
	void	(*newest)(void *arg, int64_t id, uint64_t asked);
	/* The feed is up to date and stays so; or is not any more. */
	void	(*ready)(void *arg, bool ready);
	void	(*stamp)(void *arg, struct feed_stamp *stamp);
	/* The leader is to see who came and who went, on a connection of its
	 * own; and then call feed_presence_again. */
	void	(*present)(void *arg);
	/* The database did not know this node: its connections are gone. */
	void	(*unknown)(void *arg);
};

/* cfg, node and ops outlive the feed. */
struct feed	*feed_new(struct event_base *base, const struct config *cfg,
		    const char *node, const struct feed_ops *ops, void *arg);
void		 feed_free(struct feed *f);

/* The id of the last row handed over; -1 before the first connection. */
int64_t		 feed_position(const struct feed *f);
/*
 * The tag that makes an id a position: of the term that is now, empty before
 * the first one.  It has letters and digits only.
 */
const char	*feed_epoch(const struct feed *f);
/* Whether a position is of this history; an id beyond the newest may be. */
bool		 feed_knows(const struct feed *f, const char *epoch,
		    int64_t id);
/* How often this daemon has asked for the newest id; see newest. */
uint64_t	 feed_asked(const struct feed *f);
bool		 feed_is_ready(const struct feed *f);
int		 feed_backend(const struct feed *f);

/* That was seen, and may have made rows; see again in so many milliseconds,
 * -1: when somebody comes or goes. */
void		 feed_presence_again(struct feed *f, int64_t ms);

/*
 * Make sure that a connection leads to the feed's server, or a replica of it:
 * after a failover the old primary may be there again, and one connection of
 * many end up with it.  Asks it for its epoch, now and when the feed's changes,
 * and refuses it if that is another one.  pg outlives the feed.
 */
struct pg;
void		 feed_vet(struct feed *f, struct pg *pg);

/*
 * The daemon ends: take its node and its connections out of the tables, and do
 * nothing more.  feed_is_gone: that is done, or there is nobody to tell.
 */
void		 feed_goodbye(struct feed *f);
bool		 feed_is_gone(const struct feed *f);

/*
 * The ring of the newest events.  feed_ring_after gives the index of the first
 * one whose id is larger, or -1 if the ring does not reach back that far;
 * feed_ring_get the entry there (borrowed), or NULL behind the last.  An index
 * is good until the next entry.
 */
int64_t		 feed_ring_after(const struct feed *f, int64_t id);
struct entry	*feed_ring_get(const struct feed *f, int64_t index);
/* The first index from this one on whose room has that hash, or the end. */
int64_t		 feed_ring_find(const struct feed *f, int64_t index,
		    uint32_t hash);

/*
 * The columns of a row of the log for feed_entry_from_row, which makes an
 * entry of that row of a result whose columns begin at column; the caller owns
 * it.  NULL if the kind is unknown: another version's.  $1 of the statement
 * must be max_event, over which an event becomes a resync.
 */
#define FEED_COLUMNS							\
	"id, kind, room, event, CASE"					\
	" WHEN kind = 'epoch' THEN data ->> 'epoch'"			\
	" WHEN kind IN ('revoke', 'kick') THEN data ->> 'reason'"	\
	" WHEN bytes <= $1 THEN data::text END,"			\
	" user_id, origin, dup, bytes"
#define FEED_DATA	4		/* which of them is data, from 0 */
#define FEED_BYTES	8		/* and bytes */

struct pg_result;
struct entry	*feed_entry_from_row(const struct pg_result *res, int row,
		    int column, int64_t max_event);

#endif
