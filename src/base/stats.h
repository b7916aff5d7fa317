/* SPDX-License-Identifier: ISC */
#ifndef STATS_H
#define STATS_H

#include <stddef.h>
#include <stdint.h>

/*
 * What the daemon counts: one table in stats.c gives each family its name,
 * help, kind and label values.  The label values are fixed, so that no client
 * can make the table grow.  A module counts where the thing happens, with one
 * call; who prints the families walks the table.
 */

enum stat {
	STAT_ACCEPTED,
	STAT_SESSIONS,		/* stat_dialect */
	STAT_SESSIONS_OPENED,	/* stat_dialect */
	STAT_CLOSED,		/* stat_close */
	STAT_REFUSED,		/* stat_refusal */
	STAT_RECEIVED_BYTES,
	STAT_SENT_BYTES,
	STAT_RECEIVED,
	STAT_ROOMS,
	STAT_MEMBERS,
	STAT_BEHIND,
	STAT_EVENTS,		/* stat_event */
	STAT_DELIVERED,		/* stat_dialect */
	STAT_RESETS,
	STAT_CATCHUPS,		/* stat_source */
	STAT_MOVES,		/* stat_found */
	STAT_BELLS,
	STAT_POSITION,
	STAT_READY,
	STAT_ROLE,		/* stat_role */
	STAT_LEADER_CHANGES,
	STAT_DB_CONNECTS,
	STAT_DB_LOST,
	STAT_DB_FAILED,
	STAT_HANDLERS,		/* stat_answer */
	STAT_HANDLER_TIME,
	STAT_RULE_TIME,
	STAT_GREET_TIME,
	STAT_PUSH_TIME,
	STAT_LOG_DROPPED,
	STAT_RELOADS,		/* stat_reload */
	STAT_RELOAD_OK,
	STAT_RELOAD_TIME,
	STAT_START_TIME,
	STAT_MEMORY,
	STAT_FDS,
	STAT_MAX,
};

enum stat_kind {
	STAT_COUNTER,		/* only grows */
	STAT_GAUGE,
	STAT_HISTOGRAM,		/* of times, kept in microseconds */
};

/* Label values: each stands for the word of its place in the table. */
enum stat_dialect { STAT_NATIVE, STAT_SSE, STAT_POST, STAT_SOCKETIO };
enum stat_event { STAT_EVENT, STAT_SIGNAL, STAT_REVOKE, STAT_KICK,
	STAT_CONFIG, STAT_EPOCH, STAT_RESYNC };
enum stat_source { STAT_FROM_RING, STAT_FROM_LOG };
enum stat_found { STAT_EMPTY, STAT_FOUND, STAT_BACKLOG };
enum stat_role { STAT_FOLLOWER, STAT_POLLING, STAT_ARMED };
enum stat_answer { STAT_OK, STAT_ERROR, STAT_QUEUE_FULL };
enum stat_reload { STAT_RELOADED, STAT_RELOAD_REFUSED };

/* Why a client, a request or a command was turned away. */
enum stat_refusal {
	REFUSED_ORIGIN,
	REFUSED_TOKEN,		/* missing, bad or expired */
	REFUSED_USER,		/* the database knows no such user */
	REFUSED_ROOM,		/* no rule admits the user */
	REFUSED_CONNECTIONS,	/* max_connections, descriptors */
	REFUSED_DRAINING,
	REFUSED_REQUEST,	/* HTTP that cannot be served */
	REFUSED_RATE,
	REFUSED_TOO_BIG,
	REFUSED_ROOMS,		/* max_rooms */
	REFUSED_LATE,		/* no token in time */
	REFUSED_UNAVAILABLE,	/* no database */
};

/* How a connection ended. */
enum stat_close {
	CLOSED_BY_CLIENT,
	CLOSED_CUT,		/* no goodbye */
	CLOSED_STALLED,		/* reads too little, or shows no life */
	CLOSED_PROTOCOL,
	CLOSED_POLICY,		/* rate, size */
	CLOSED_TOKEN,
	CLOSED_KICKED,
	CLOSED_RESTART,
	CLOSED_OTHER,
};

#define STAT_LABELS_MAX		12	/* values of one label */
#define STAT_BUCKETS		14	/* with the one that has no bound */

struct stat_family {
	const char	*name;		/* with its unit, without _total */
	const char	*help;
	enum stat_kind	 kind;
	const char	*unit;		/* "seconds", "bytes" or NULL */
	const char	*label;		/* NULL: none */
	const char	*values;	/* its words, in the enum's order */
};

/* For whoever prints: the description of a family, never NULL. */
const struct stat_family *
	 stats_family(enum stat);
/* The number of values of its label; 1 if it has none. */
size_t	 stats_labels(enum stat);
/* The word of a label value into out[size]. */
void	 stats_label(enum stat, size_t value, char *out, size_t size);

/* Add to a counter or a gauge without a label, or to one label value of it. */
void	 stats_add(enum stat, int64_t n);
void	 stats_add_to(enum stat, size_t value, int64_t n);
/* Set a gauge. */
void	 stats_set(enum stat, int64_t n);
void	 stats_set_to(enum stat, size_t value, int64_t n);
/* Of a label whose values exclude one another: this one is 1, the rest 0. */
void	 stats_choose(enum stat, size_t value);
/* Record a time; a negative one counts as 0. */
void	 stats_time(enum stat, int64_t us);

int64_t	 stats_get(enum stat, size_t value);
/* The upper bound of a bucket in microseconds; -1: none, it is the last. */
int64_t	 stats_bound_us(size_t bucket);
/* How many times fell into this bucket, and in none before it. */
int64_t	 stats_bucket(enum stat, size_t bucket);
int64_t	 stats_sum_us(enum stat);
/* Forget everything; for tests. */
void	 stats_clear(void);

#endif
