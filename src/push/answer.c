/* SPDX-License-Identifier: ISC */

/*
 * Answers of handlers, which an application's functions wrote.
 */

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "push/answer.h"
#include "push/value.h"
#include "base/xmalloc.h"

static int
answer_get_emits(struct answer *a, const json_t *j)
{
	const json_t	*item, *event;
	size_t		 i;

	if (j == NULL || json_is_null(j))
		return 0;
	if (!json_is_array(j))
		return -1;
	a->emits = xcalloc(json_array_size(j) + 1, sizeof(*a->emits));
	for (i = 0; i < json_array_size(j); i++) {
		item = json_array_get(j, i);
		event = json_array_get(item, 0);
		if (!json_is_string(event) || json_array_size(item) != 2)
			return -1;
		a->emits[i].event = xstrdup(json_string_value(event));
		a->emits[i].data = value_text(json_array_get(item, 1));
		a->nemits++;
	}
	return 0;
}

static int
answer_get_error(struct answer *a, const json_t *j)
{
	const char	*code, *message;

	if (j == NULL || json_is_null(j))
		return 0;
	code = json_string_value(json_object_get(j, "code"));
	message = json_string_value(json_object_get(j, "message"));
	if (code == NULL)
		return -1;
	a->code = xstrdup(code);
	a->message = xstrdup(message == NULL ? code : message);
	return 0;
}

int
answer_parse(struct answer *a, const char *json)
{
	json_t		*j = value_load(json);
	const json_t	*reply;
	int		 r = -1;

	memset(a, 0, sizeof(*a));
	if (!json_is_object(j))
		goto out;
	if (value_names(json_object_get(j, "join"), &a->join, &a->njoin) == -1 ||
	    value_names(json_object_get(j, "leave"), &a->leave,
	    &a->nleave) == -1 ||
	    answer_get_emits(a, json_object_get(j, "emit")) == -1 ||
	    answer_get_error(a, json_object_get(j, "error")) == -1)
		goto out;
	reply = json_object_get(j, "reply");
	a->reply = reply == NULL ? xstrdup("null") : value_text(reply);
	r = 0;
out:
	json_decref(j);
	return r;
}

void
answer_free(struct answer *a)
{
	size_t	i;

	free(a->reply);
	value_free_names(a->join, a->njoin);
	value_free_names(a->leave, a->nleave);
	for (i = 0; i < a->nemits; i++) {
		free(a->emits[i].event);
		free(a->emits[i].data);
	}
	free(a->emits);
	free(a->code);
	free(a->message);
	memset(a, 0, sizeof(*a));
}
