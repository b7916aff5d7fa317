/* SPDX-License-Identifier: ISC */

/*
 * A circular array in the order of ids.  What holds always: every entry of the
 * log whose id is larger than since is here, so since moves with each one that
 * is dropped.
 */

#include <stdlib.h>

#include "base/table.h"
#include "base/xmalloc.h"
#include "db/entry.h"
#include "db/ring.h"

struct ring {
	struct entry	**entries;	/* references */
	uint32_t	 *hashes;	/* of their rooms */
	size_t		  size;
	size_t		  n;
	size_t		  head;		/* the oldest */
	size_t		  bytes;
	size_t		  bytes_max;
	int64_t		  since;	/* it has all after this */
};

/* Where the i-th oldest is. */
static size_t
ring_slot(const struct ring *r, size_t i)
{
	i += r->head;
	return i < r->size ? i : i - r->size;
}

static void
ring_drop_oldest(struct ring *r)
{
	struct entry	*e = r->entries[r->head];

	r->since = e->id;
	r->bytes -= e->bytes;
	r->head = ring_slot(r, 1);
	r->n--;
	entry_unref(e);
}

struct ring *
ring_new(size_t entries, size_t bytes)
{
	struct ring	*r = xcalloc(1, sizeof(*r));

	r->size = entries;
	r->bytes_max = bytes;
	r->entries = xcalloc(entries, sizeof(struct entry *));
	r->hashes = xcalloc(entries, sizeof(uint32_t));
	return r;
}

void
ring_free(struct ring *r)
{
	if (r == NULL)
		return;
	while (r->n > 0)
		ring_drop_oldest(r);
	free(r->hashes);
	free(r->entries);
	free(r);
}

void
ring_add(struct ring *r, struct entry *e)
{
	size_t	slot;

	if (r->n == r->size)
		ring_drop_oldest(r);
	slot = ring_slot(r, r->n++);
	r->entries[slot] = entry_ref(e);
	r->hashes[slot] = e->hash = table_hash(e->room);
	r->bytes += e->bytes;
	while (r->n > 0 && r->bytes > r->bytes_max)
		ring_drop_oldest(r);
}

void
ring_clear(struct ring *r, int64_t since)
{
	while (r->n > 0)
		ring_drop_oldest(r);
	r->since = since;
}

void
ring_begin(struct ring *r, int64_t since)
{
	if (r->n == 0)
		r->since = since;
}

int64_t
ring_after(const struct ring *r, int64_t id)
{
	size_t	lo = 0, hi = r->n, mid;

	if (id < r->since)
		return -1;
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (r->entries[ring_slot(r, mid)]->id <= id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (int64_t)lo;
}

struct entry *
ring_get(const struct ring *r, int64_t index)
{
	return (size_t)index < r->n ?
	    r->entries[ring_slot(r, (size_t)index)] : NULL;
}

int64_t
ring_find(const struct ring *r, int64_t index, uint32_t hash)
{
	size_t	i = (size_t)index;

	while (i < r->n && r->hashes[ring_slot(r, i)] != hash)
		i++;
	return (int64_t)i;
}
