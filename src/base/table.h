/* SPDX-License-Identifier: ISC */
#ifndef TABLE_H
#define TABLE_H

#include <sys/queue.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Hash tables of objects that hold their own link.  Whoever looks something up
 * compares the keys of what has its hash.
 */

struct link {
	LIST_ENTRY(link) entry;
	uint32_t	 hash;
};

LIST_HEAD(bucket, link);

/* All zero: empty. */
struct table {
	struct bucket	*buckets;
	size_t		 nbuckets;	/* a power of two */
	size_t		 n;
};

/* The object that a link is the member of. */
#define table_object(l, type, member)					\
	((type *)(void *)((char *)(l) - offsetof(type, member)))

/* Choose the seed: before the first hash. */
void		 table_init(void);
/* Of a key; never 0.  Not to be foreseen by who chooses keys. */
uint32_t	 table_hash(const char *key);

void		 table_add(struct table *t, struct link *l, uint32_t hash);
void		 table_remove(struct table *t, struct link *l);
/* The first link of that hash, and the next like it; NULL: no more. */
struct link	*table_first(const struct table *t, uint32_t hash);
struct link	*table_next(const struct link *l);

#endif
