/* SPDX-License-Identifier: ISC */
#ifndef ENTRY_H
#define ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One happening on its way to the sessions: a row of pgpush.log, or an
 * ephemeral event from the channel.  Reference-counted and never changed, but
 * for what is worked out when it is first asked for: hash and frames.
 */

struct frame;

enum entry_kind {
	ENTRY_EVENT,
	ENTRY_SIGNAL,		/* live only: no id to the client */
	ENTRY_REVOKE,
	ENTRY_KICK,
	ENTRY_CONFIG,
	ENTRY_EPOCH,
	ENTRY_RESYNC,		/* an event too large to send */
};

struct entry {
	unsigned int	 refs;
	enum entry_kind	 kind;
	int64_t		 id;		/* in the log; 0: not logged */
	char		*room;		/* all strings owned, never NULL */
	char		*event;
	char		*data;		/* JSON text, "null" if there is none */
	size_t		 data_len;	/* bytes */
	char		*user;		/* empty: everybody */
	char		*origin;	/* session that must not get it */
	char		*dup;		/* one for rows of one happening */
	size_t		 bytes;		/* what it costs, with a frame */
	uint32_t	 hash;		/* of the room; 0 until asked for */
	struct frame	*frames;	/* owned; by dialect, see frame_find */
};

/*
 * Consecutive events of one room: to whom they are all new and all due, they
 * go as one piece.
 */
#define RUN_MAX		64		/* entries */
#define RUN_BYTES	65536		/* of data, unless it is one entry */

struct run {
	struct entry	*entries[RUN_MAX];	/* references */
	size_t		 n;
	size_t		 bytes;
	bool		 is_plain;	/* without origin and dup: the same for
					 * everybody */
	struct frame	*frames[2];	/* of all, by dialect; the second for
					 * carriers without headers */
};

/* Strings to make an entry from: borrowed, NULL means empty. */
struct entry_parts {
	enum entry_kind	 kind;
	int64_t		 id;
	const char	*room;
	const char	*event;
	const char	*data;
	const char	*user;
	const char	*origin;
	const char	*dup;
};

/* A new entry with one reference; copies all that it is given. */
struct entry	*entry_new(const struct entry_parts *parts);
struct entry	*entry_ref(struct entry *e);
void		 entry_unref(struct entry *e);

/* Add an entry, taking a reference; false: it begins another run. */
bool		 run_add(struct run *run, struct entry *e);
/* Empty it. */
void		 run_clear(struct run *run);

/* The kind by its name in the log; an unknown name is -1. */
int		 entry_kind_parse(const char *name);

#endif
