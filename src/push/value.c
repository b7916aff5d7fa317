/* SPDX-License-Identifier: ISC */

/*
 * Copies of parts of a text.
 */

#include <stdlib.h>

#include "base/xmalloc.h"
#include "push/value.h"

char *
value_string(const struct span *v)
{
	char	*text = xmalloc(v->len + 1);

	if (span_string(v, text, v->len + 1) != -1)
		return text;
	free(text);
	return NULL;
}

static int
add_name(char ***names, size_t *n, const struct span *v)
{
	char	*name = value_string(v);

	if (name == NULL)
		return -1;
	*names = xrealloc(*names, (*n + 1) * sizeof(**names));
	(*names)[(*n)++] = name;
	return 0;
}

int
value_names(const struct span *v, char ***names, size_t *n)
{
	struct span	item;
	size_t		at = 0;

	if (v->kind == SPAN_NONE || v->kind == SPAN_NULL)
		return 0;
	if (v->kind == SPAN_STRING)
		return add_name(names, n, v);
	if (v->kind != SPAN_ARRAY)
		return -1;
	while ((item = span_next(v, &at)).kind != SPAN_NONE)
		if (add_name(names, n, &item) == -1)
			return -1;
	return 0;
}

void
value_free_names(char **names, size_t n)
{
	while (n > 0)
		free(names[--n]);
	free(names);
}
