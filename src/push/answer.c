/* SPDX-License-Identifier: ISC */

/*
 * Answers of handlers, which an application's functions wrote.
 */

#include <stdlib.h>
#include <string.h>

#include "push/answer.h"
#include "push/value.h"
#include "base/xmalloc.h"

static int
answer_get_emits(struct answer *a, const struct span *j)
{
	struct span	 item, event, data, more;
	size_t		 at = 0, i;
	char		*name;

	if (j->kind == SPAN_NONE || j->kind == SPAN_NULL)
		return 0;
	if (j->kind != SPAN_ARRAY)
		return -1;
	while ((item = span_next(j, &at)).kind != SPAN_NONE) {
		i = 0;
		event = span_next(&item, &i);
		data = span_next(&item, &i);
		more = span_next(&item, &i);
		if (data.kind == SPAN_NONE || more.kind != SPAN_NONE ||
		    (name = value_string(&event)) == NULL)
			return -1;
		a->emits = xrealloc(a->emits, (a->nemits + 1) *
		    sizeof(*a->emits));
		a->emits[a->nemits].event = name;
		a->emits[a->nemits++].data = xmemdup(data.p, data.len);
	}
	return 0;
}

static int
answer_get_error(struct answer *a, const struct span *j)
{
	struct span	code = span_member(j, "code"),
			message = span_member(j, "message");

	if (j->kind == SPAN_NONE || j->kind == SPAN_NULL)
		return 0;
	if ((a->code = value_string(&code)) == NULL)
		return -1;
	if ((a->message = value_string(&message)) == NULL)
		a->message = xstrdup(a->code);
	return 0;
}

int
answer_parse(struct answer *a, const char *json)
{
	struct span	j = span_parse(json, strlen(json)),
			reply = span_member(&j, "reply"),
			join = span_member(&j, "join"),
			leave = span_member(&j, "leave"),
			emit = span_member(&j, "emit"),
			error = span_member(&j, "error");

	memset(a, 0, sizeof(*a));
	if (j.kind != SPAN_OBJECT ||
	    value_names(&join, &a->join, &a->njoin) == -1 ||
	    value_names(&leave, &a->leave, &a->nleave) == -1 ||
	    answer_get_emits(a, &emit) == -1 ||
	    answer_get_error(a, &error) == -1)
		return -1;
	a->reply = reply.kind == SPAN_NONE ? xstrdup("null") :
	    xmemdup(reply.p, reply.len);
	return 0;
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
