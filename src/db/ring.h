/* SPDX-License-Identifier: ISC */
#ifndef RING_H
#define RING_H

#include <stddef.h>
#include <stdint.h>

/*
 * The newest entries of the log, bounded in number and in bytes.  A
 * subscription whose position lies inside is served from here, without the
 * database.
 */

struct entry;
struct ring;

/* At most so many entries, which together have at most so many bytes. */
struct ring	*ring_new(size_t entries, size_t bytes);
void		 ring_free(struct ring *r);

/* Add the newest entry, taking a reference; the oldest make room. */
void		 ring_add(struct ring *r, struct entry *e);
/* Drop all; what is added next is all that the log has after this id. */
void		 ring_clear(struct ring *r, int64_t since);
/* An empty ring will have all that the log has after this id. */
void		 ring_begin(struct ring *r, int64_t since);

/*
 * The index of the first entry whose id is larger, or -1 if the ring does not
 * reach back that far.  An index is good until the next ring_add.
 */
int64_t		 ring_after(const struct ring *r, int64_t id);
/* The entry there (borrowed), or NULL behind the last. */
struct entry	*ring_get(const struct ring *r, int64_t index);
/* The first index from this one on whose room has that hash, or the end. */
int64_t		 ring_find(const struct ring *r, int64_t index,
		    uint32_t hash);

#endif
