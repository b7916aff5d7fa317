/* SPDX-License-Identifier: ISC */
#ifndef READER_H
#define READER_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads of the log beside the feed: the events of rooms between two positions,
 * for those that are behind.  A few reads are under way at a time.  The nearest
 * to the feed's position go first, and now and then the farthest, so that none
 * waits for ever.  What fails is asked again.
 */

struct config;
struct entry;
struct event_base;
struct feed;

#define READER_FAIR	8		/* one of so many is for the farthest */

enum reader_state {
	READER_IDLE,
	READER_WAITING,		/* in a queue */
	READER_READING,		/* the database is asked */
	READER_TAKEN,		/* what came is in its owner's hands */
};

/* A read; its owner embeds it, all zero at first. */
struct reader_turn {
	TAILQ_ENTRY(reader_turn) entry;
	enum reader_state	 state;
	unsigned int		 distance;	/* the queue it waits in */
	bool			 dropped;	/* nobody wants what comes */
	int64_t			 upto;		/* as asked */
	int64_t			 from;
};

/* What is read: kept events with an id above from, and not above upto. */
struct reader_range {
	char		*rooms;		/* a name, or a JSON array; the reader
					 * frees it */
	bool		 merged;	/* an array: in one order of id */
	unsigned int	 members;	/* whom it is for, for the log */
	int64_t		 from;
	int64_t		 upto;		/* never beyond the feed's position */
};

struct reader_ops {
	/* Its turn has come: what is to be read? */
	void	(*ask)(struct reader_turn *t, struct reader_range *range);
	/* The entries, in the order of id, whose references the owner takes,
	 * with the array; they are complete up to that id.  The turn counts as
	 * under way until reader_end. */
	void	(*rows)(struct reader_turn *t, struct entry **entries, size_t n,
		    int64_t complete);
	/* Rows above from were purged, up to floor.  Else as rows. */
	void	(*below)(struct reader_turn *t, int64_t floor);
	/* The answer to a read that was dropped has come: it may be freed,
	 * after reader_end. */
	void	(*dropped)(struct reader_turn *t);
};

/* All outlive the module. */
void	 reader_init(struct event_base *base, const struct config *cfg,
	    struct feed *feed, const struct reader_ops *ops);
void	 reader_exit(void);

bool	 reader_is_up(void);
/* The server process of its connection, 0: none, or another server's. */
int	 reader_backend(void);

/* How far that position is behind the feed, as a number of bits. */
unsigned int
	 reader_distance(int64_t position);

/* Wait for a read; one that waits already only comes nearer. */
void	 reader_wait(struct reader_turn *t, unsigned int distance);
/* It neither waits nor counts any more.  Not while READER_READING, unless it
 * was dropped and has been answered. */
void	 reader_end(struct reader_turn *t);
/* Send waiting reads, as long as few enough are under way. */
void	 reader_run(void);

#endif
