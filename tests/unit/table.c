/* SPDX-License-Identifier: ISC */

/*
 * Keys that meet in one bucket: whoever finds some, by chance or by knowing
 * the function, must not have them meet in a daemon with another seed.
 */

#include <stdint.h>

#include "base/table.h"
#include "tap.h"

#define KEYS	(1 << 18)	/* some eight pairs of these meet */
#define SEEDS	4000
#define PAIRS	64

struct key {
	uint32_t	hash;
	uint32_t	n;
};

static struct key	keys[KEYS];

static const char *
name_of(char out[16], uint32_t n)
{
	snprintf(out, 16, "room:%08x", n * 2654435761U);	/* far apart */
	return out;
}

static int
by_hash(const void *a, const void *b)
{
	const struct key	*x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* Pairs of keys, one behind the other, that have the same hash. */
static size_t
find_pairs(struct key pairs[PAIRS][2])
{
	char		name[16];
	uint32_t	i;
	size_t		n = 0;

	for (i = 0; i < KEYS; i++) {
		keys[i].n = i;
		keys[i].hash = table_hash(name_of(name, i));
	}
	qsort(keys, KEYS, sizeof(keys[0]), by_hash);
	for (i = 1; i < KEYS && n < PAIRS; i++)
		if (keys[i].hash == keys[i - 1].hash) {
			pairs[n][0] = keys[i - 1];
			pairs[n++][1] = keys[i];
		}
	return n;
}

int
main(void)
{
	static struct key	pairs[PAIRS][2];
	char			a[16], b[16];
	size_t			n = 0, i, seed, again = 0;

	while (n == 0) {
		table_init();
		n = find_pairs(pairs);
	}
	for (seed = 0; seed < SEEDS; seed++) {
		table_init();
		for (i = 0; i < n; i++)
			again += table_hash(name_of(a, pairs[i][0].n)) ==
			    table_hash(name_of(b, pairs[i][1].n));
	}
	ok(again == 0, "keys that meet do so with their seed only: %zu pairs, "
	    "%d other seeds, %zu meetings", n, SEEDS, again);
	return tap_done();
}
