/* SPDX-License-Identifier: ISC */

/* Lists in one text: what separates them is a comma or a blank. */

#include <string.h>

#include "base/words.h"

static bool
is_separator(char ch)
{
	return ch == ',' || ch == ' ' || ch == '\t';
}

bool
words_next(const char **pos, char *out, size_t size)
{
	const char	*p = *pos;
	size_t		 n = 0;

	while (is_separator(*p))
		p++;
	*pos = p;
	if (*p == '\0' || size == 0)
		return false;
	for (; *p != '\0' && !is_separator(*p); p++)
		if (n + 1 < size)
			out[n++] = *p;
	out[n] = '\0';
	*pos = p;
	return true;
}

bool
words_has(const char *list, const char *item)
{
	size_t	 len, wanted = strlen(item);

	for (; *list != '\0'; list += len) {
		while (is_separator(*list))
			list++;
		len = strcspn(list, ", \t");
		if (len > 0 && len == wanted && memcmp(list, item, len) == 0)
			return true;
	}
	return false;
}
