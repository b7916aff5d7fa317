/* SPDX-License-Identifier: ISC */

/*
 * JSON values.  Text is compact; numbers are as jansson prints them.
 */

#include <jansson.h>
#include <stdlib.h>

#include "push/value.h"
#include "base/xmalloc.h"

char *
value_text(const json_t *j)
{
	char	*s = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);

	/* Only a number that no longer fits can fail here. */
	return s != NULL ? s : xstrdup("null");
}

/* What the database says: its integers have no end, ours become reals. */
json_t *
value_load(const char *text)
{
	json_error_t	 err;
	json_t		*j = json_loads(text, 0, &err);

	if (j == NULL && json_error_code(&err) == json_error_numeric_overflow)
		j = json_loads(text, JSON_DECODE_INT_AS_REAL, &err);
	return j;
}

/* A copy of an array of strings, or of a lone string; -1 if it is neither. */
int
value_names(const json_t *j, char ***names, size_t *n)
{
	const json_t	*item;
	size_t		 i;

	if (j == NULL || json_is_null(j))
		return 0;
	if (json_is_string(j)) {
		*names = xcalloc(1, sizeof(**names));
		(*names)[(*n)++] = xstrdup(json_string_value(j));
		return 0;
	}
	if (!json_is_array(j))
		return -1;
	*names = xcalloc(json_array_size(j) + 1, sizeof(**names));
	for (i = 0; i < json_array_size(j); i++) {
		item = json_array_get(j, i);
		if (!json_is_string(item))
			return -1;
		(*names)[(*n)++] = xstrdup(json_string_value(item));
	}
	return 0;
}

void
value_free_names(char **names, size_t n)
{
	while (n > 0)
		free(names[--n]);
	free(names);
}
