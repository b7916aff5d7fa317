/* SPDX-License-Identifier: ISC */

/*
 * Payloads of the channel.  Any role of the database may send one, so nothing
 * is taken for granted.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "push/signal.h"
#include "push/value.h"
#include "base/xmalloc.h"

int
signal_parse(struct signal *sig, const char *payload)
{
	struct span	j = span_parse(payload, strlen(payload)),
			event = span_member(&j, "event"),
			rooms = span_member(&j, "rooms"),
			data = span_member(&j, "data"),
			origin = span_member(&j, "origin");

	memset(sig, 0, sizeof(*sig));
	/* No more than jsonb could hold: a page may take it to the database. */
	if (event.kind != SPAN_STRING || !span_is_jsonb(&j, SIZE_MAX))
		return -1;
	if (rooms.kind == SPAN_NONE)
		rooms = span_member(&j, "room");
	if (value_names(&rooms, &sig->rooms, &sig->nrooms) == -1 ||
	    sig->nrooms == 0)
		return -1;
	sig->event = value_string(&event);
	sig->data = data.kind == SPAN_NONE ? xstrdup("null") :
	    xmemdup(data.p, data.len);
	if (origin.kind == SPAN_STRING)
		sig->origin = value_string(&origin);
	return 0;
}

void
signal_free(struct signal *sig)
{
	value_free_names(sig->rooms, sig->nrooms);
	free(sig->event);
	free(sig->data);
	free(sig->origin);
	memset(sig, 0, sizeof(*sig));
}
