/* SPDX-License-Identifier: ISC */

/*
 * Tables double their buckets as objects come, and never shrink, which costs
 * eight bytes for each object of the busiest hour.
 */

#include <openssl/rand.h>
#include <stdlib.h>

#include "table.h"
#include "xmalloc.h"

#define MIN_BUCKETS	256

static uint32_t	seed;

void
table_init(void)
{
	(void)RAND_bytes((unsigned char *)&seed, sizeof(seed));
}

/* FNV-1a from a random start: keys are the client's to choose. */
uint32_t
table_hash(const char *key)
{
	uint32_t	h = 2166136261U ^ seed;

	for (; *key != '\0'; key++)
		h = (h ^ (uint8_t)*key) * 16777619U;
	h ^= h >> 15;
	return h == 0 ? 1 : h;
}

static struct bucket *
table_bucket(const struct table *t, uint32_t hash)
{
	return &t->buckets[hash & (t->nbuckets - 1)];
}

static void
table_grow(struct table *t)
{
	struct bucket	*old = t->buckets;
	struct link	*l;
	size_t		 n = t->nbuckets, i;

	t->nbuckets = n == 0 ? MIN_BUCKETS : n * 2;
	t->buckets = xcalloc(t->nbuckets, sizeof(*t->buckets));
	for (i = 0; i < n; i++)
		while ((l = LIST_FIRST(&old[i])) != NULL) {
			LIST_REMOVE(l, entry);
			LIST_INSERT_HEAD(table_bucket(t, l->hash), l, entry);
		}
	free(old);
}

void
table_add(struct table *t, struct link *l, uint32_t hash)
{
	if (t->n == t->nbuckets)
		table_grow(t);
	l->hash = hash;
	LIST_INSERT_HEAD(table_bucket(t, hash), l, entry);
	t->n++;
}

void
table_remove(struct table *t, struct link *l)
{
	LIST_REMOVE(l, entry);
	t->n--;
}

static struct link *
table_same(struct link *l, uint32_t hash)
{
	while (l != NULL && l->hash != hash)
		l = LIST_NEXT(l, entry);
	return l;
}

struct link *
table_first(const struct table *t, uint32_t hash)
{
	return t->n == 0 ? NULL :
	    table_same(LIST_FIRST(table_bucket(t, hash)), hash);
}

struct link *
table_next(const struct link *l)
{
	return table_same(LIST_NEXT(l, entry), l->hash);
}
