/* SPDX-License-Identifier: ISC */

/*
 * Entries: one allocation holds the struct and all its strings.
 */

#include <stdlib.h>
#include <string.h>

#include "db/entry.h"
#include "net/frame.h"
#include "base/xmalloc.h"

static const char *const kind_names[] = {
	[ENTRY_EVENT] = "event",
	[ENTRY_SIGNAL] = "signal",
	[ENTRY_REVOKE] = "revoke",
	[ENTRY_KICK] = "kick",
	[ENTRY_CONFIG] = "config",
	[ENTRY_EPOCH] = "epoch",
	[ENTRY_RESYNC] = "resync",
};

static size_t
size_of(const char *s)
{
	return s == NULL ? 1 : strlen(s) + 1;
}

/* Copy s to *at, move *at behind it. */
static char *
place(char **at, const char *s)
{
	char	*p = *at;
	size_t	 n = size_of(s);

	memcpy(p, s == NULL ? "" : s, n);
	*at += n;
	return p;
}

struct entry *
entry_new(const struct entry_parts *parts)
{
	const char	*data = parts->data == NULL ? "null" : parts->data;
	struct entry	*e;
	size_t		 size;
	char		*at;

	size = sizeof(*e) + size_of(parts->room) + size_of(parts->event) +
	    size_of(data) + size_of(parts->user) + size_of(parts->origin) +
	    size_of(parts->dup);
	e = xmalloc(size);
	memset(e, 0, sizeof(*e));
	at = (char *)(e + 1);
	e->refs = 1;
	e->kind = parts->kind;
	e->id = parts->id;
	e->room = place(&at, parts->room);
	e->event = place(&at, parts->event);
	e->data_len = strlen(data);
	e->data = place(&at, data);
	e->user = place(&at, parts->user);
	e->origin = place(&at, parts->origin);
	e->dup = place(&at, parts->dup);
	e->bytes = 2 * size;
	return e;
}

struct entry *
entry_ref(struct entry *e)
{
	e->refs++;
	return e;
}

void
entry_unref(struct entry *e)
{
	if (e == NULL || --e->refs > 0)
		return;
	frame_drop_list(&e->frames);
	free(e);
}

bool
run_add(struct run *run, struct entry *e)
{
	if (run->n > 0 && (run->n == RUN_MAX ||
	    e->data_len > RUN_BYTES - run->bytes ||
	    strcmp(run->entries[0]->room, e->room) != 0))
		return false;
	run->is_plain = (run->n == 0 || run->is_plain) &&
	    e->origin[0] == '\0' && e->dup[0] == '\0';
	run->bytes += e->data_len < RUN_BYTES ? e->data_len : RUN_BYTES;
	run->entries[run->n++] = entry_ref(e);
	return true;
}

void
run_clear(struct run *run)
{
	size_t	i;

	for (i = 0; i < run->n; i++)
		entry_unref(run->entries[i]);
	frame_drop_list(&run->frames[0]);
	frame_drop_list(&run->frames[1]);
	run->n = run->bytes = 0;
}

int
entry_kind_parse(const char *name)
{
	size_t	i;

	for (i = 0; i < sizeof(kind_names) / sizeof(kind_names[0]); i++)
		if (strcmp(kind_names[i], name) == 0)
			return (int)i;
	return -1;
}
