/* SPDX-License-Identifier: ISC */

/*
 * Payloads of the channel.  Any role of the database may send one, so nothing
 * is taken for granted.
 */

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "push/signal.h"
#include "push/value.h"
#include "base/xmalloc.h"

int
signal_parse(struct signal *sig, const char *payload)
{
	json_t		*j = value_load(payload);
	const json_t	*event, *rooms, *data;
	int		 r = -1;

	memset(sig, 0, sizeof(*sig));
	event = json_object_get(j, "event");
	if (!json_is_string(event))
		goto out;
	if ((rooms = json_object_get(j, "rooms")) == NULL)
		rooms = json_object_get(j, "room");
	if (value_names(rooms, &sig->rooms, &sig->nrooms) == -1 ||
	    sig->nrooms == 0)
		goto out;
	sig->event = xstrdup(json_string_value(event));
	data = json_object_get(j, "data");
	sig->data = data == NULL ? xstrdup("null") : value_text(data);
	if (json_is_string(json_object_get(j, "origin")))
		sig->origin = xstrdup(json_string_value(
		    json_object_get(j, "origin")));
	r = 0;
out:
	json_decref(j);
	return r;
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
