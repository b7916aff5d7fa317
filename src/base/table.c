/* SPDX-License-Identifier: ISC */

/*
 * Tables double their buckets as objects come, and never shrink, which costs
 * eight bytes for each object of the busiest hour.
 */

#include <openssl/rand.h>
#include <stdlib.h>

#include "base/table.h"
#include "base/xmalloc.h"

#define MIN_BUCKETS	256

static uint64_t	seed;

void
table_init(void)
{
	(void)RAND_bytes((unsigned char *)&seed, sizeof(seed));
}

/*
 * Keys are the client's to choose.  The upper half goes back into the lower one
 * with each byte: else that byte would meet nothing but the lowest of the seed,
 * and keys that collide for one of its 256 values are soon found.
 */
uint32_t
table_hash(const char *key)
{
	uint64_t	h = seed;

	for (; *key != '\0'; key++) {
		h = (h ^ (uint8_t)*key) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 32;
	}
	return (uint32_t)h == 0 ? 1 : (uint32_t)h;
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
