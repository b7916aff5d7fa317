/* SPDX-License-Identifier: ISC */

/*
 * The ring of the newest entries: what it says it has, it has, at its bounds
 * too.
 */

#include <string.h>

#include "base/table.h"
#include "db/entry.h"
#include "db/ring.h"
#include "tap.h"

static void
add(struct ring *r, int64_t id, const char *room, const char *data)
{
	struct entry_parts	 p = { ENTRY_EVENT, id, room, "e", data, NULL,
				    NULL, NULL };
	struct entry		*e = entry_new(&p);

	ring_add(r, e);
	entry_unref(e);
}

/* The ids from an index on, as text. */
static const char *
ids_after(const struct ring *r, int64_t id)
{
	static char	 out[256];
	struct entry	*e;
	int64_t		 i = ring_after(r, id);
	size_t		 n = 0;

	if (i < 0)
		return "none";
	out[0] = '\0';
	while ((e = ring_get(r, i++)) != NULL)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%d ",
		    (int)e->id);
	return out;
}

static void
is(const char *got, const char *want, const char *name)
{
	ok(strcmp(got, want) == 0, "%s", name);
	if (strcmp(got, want) != 0)
		printf("# got: %s\n# want: %s\n", got, want);
}

static void
test_empty(void)
{
	struct ring	*r = ring_new(4, 1 << 20);

	ring_clear(r, 10);
	is(ids_after(r, 10), "", "an empty ring has all after its beginning");
	is(ids_after(r, 11), "", "and all after a later position");
	is(ids_after(r, 9), "none", "but nothing of before");
	ok(ring_get(r, 0) == NULL, "an empty ring has no first entry");
	ok(ring_find(r, 0, 1) == 0, "a room is not found in an empty ring");
	ring_free(r);
}

static void
test_order(void)
{
	struct ring	*r = ring_new(4, 1 << 20);

	ring_clear(r, 10);
	add(r, 12, "a", "1");
	add(r, 15, "b", "2");
	is(ids_after(r, 10), "12 15 ", "entries come in the order of ids");
	is(ids_after(r, 11), "12 15 ", "a position need not be an entry's");
	is(ids_after(r, 12), "15 ", "an entry's own position excludes it");
	is(ids_after(r, 15), "", "nothing is after the newest");
	ring_free(r);
}

static void
test_full(void)
{
	struct ring	*r = ring_new(3, 1 << 20);
	int		 i;

	for (i = 1; i <= 7; i++)
		add(r, i, "a", "1");
	is(ids_after(r, 4), "5 6 7 ", "a full ring keeps the newest");
	is(ids_after(r, 3), "none", "and knows which it has dropped");
	is(ids_after(r, 6), "7 ", "the search works across the wrap");
	ring_free(r);
}

static void
test_bytes(void)
{
	char		 data[2000];
	struct ring	*r = ring_new(100, 10000);

	memset(data, '1', sizeof(data) - 1);
	data[sizeof(data) - 1] = '\0';
	add(r, 1, "a", data);
	add(r, 2, "a", data);
	add(r, 3, "a", data);
	is(ids_after(r, 1), "2 3 ", "bytes are bounded, not only entries");
	is(ids_after(r, 0), "none", "what went for its bytes is known as gone");
	ring_free(r);

	r = ring_new(100, 100);
	ring_clear(r, 5);
	add(r, 6, "a", data);
	is(ids_after(r, 6), "", "an entry larger than the ring is not kept");
	is(ids_after(r, 5), "none", "and the ring begins behind it");
	ring_free(r);
}

static void
test_find(void)
{
	struct ring	*r = ring_new(3, 1 << 20);
	struct entry	*e;

	add(r, 1, "a", "1");
	add(r, 2, "b", "1");
	add(r, 3, "a", "1");
	add(r, 4, "b", "1");
	e = ring_get(r, ring_find(r, 0, table_hash("a")));
	ok(e != NULL && e->id == 3, "a room's first entry is found");
	e = ring_get(r, ring_find(r, 0, table_hash("b")));
	ok(e != NULL && e->id == 2, "another room's, too");
	ok(ring_get(r, ring_find(r, 2, table_hash("a"))) == NULL,
	    "behind its last entry a room has none");
	ring_free(r);
}

static void
test_begin(void)
{
	struct ring	*r = ring_new(8, 1 << 20);

	ring_clear(r, 100);
	ring_begin(r, 40);
	add(r, 41, "a", "1");
	add(r, 60, "a", "1");
	is(ids_after(r, 40), "41 60 ", "an empty ring may begin earlier");
	ring_begin(r, 10);
	is(ids_after(r, 20), "none", "one with entries may not");
	ring_clear(r, 200);
	is(ids_after(r, 60), "none", "a cleared ring has nothing of before");
	ring_free(r);
}

int
main(void)
{
	test_empty();
	test_order();
	test_full();
	test_bytes();
	test_find();
	test_begin();
	return tap_done();
}
