/* SPDX-License-Identifier: ISC */

/*
 * Any UTF-8 as JSON: what span.c takes jansson takes too, and the other way
 * round; and every part that is found is a value, inside of what it is part of.
 */

#include <jansson.h>
#include <string.h>

#include "base/span.h"
#include "fuzz.h"
#include "net/ws.h"

static void
inside(const struct span *part, const struct span *whole)
{
	struct span	again = span_parse(part->p, part->len);

	must(part->p >= whole->p &&
	    part->p + part->len <= whole->p + whole->len);
	must(again.p == part->p && again.len == part->len &&
	    again.kind == part->kind);
}

static void
check_string(const struct span *v, const json_t *j)
{
	char	*text;
	long	 n;

	must((text = malloc(v->len)) != NULL);
	n = span_string(v, text, v->len);
	if (n >= 0)
		must((size_t)n == json_string_length(j) &&
		    memcmp(text, json_string_value(j), (size_t)n) == 0);
	free(text);
}

static void
check_object(const struct span *v, json_t *j)
{
	const char	*name;
	json_t		*value;
	struct span	 member;

	json_object_foreach(j, name, value) {
		member = span_member(v, name);
		must(member.kind != SPAN_NONE);
		inside(&member, v);
		if (json_is_string(value))
			check_string(&member, value);
	}
}

static void
check_array(const struct span *v, const json_t *j)
{
	struct span	item;
	size_t		at = 0, n = 0;

	while ((item = span_next(v, &at)).kind != SPAN_NONE) {
		inside(&item, v);
		n++;
	}
	must(n == json_array_size(j));
}

/* What jansson refuses and JSON does not: values that C cannot hold, and
 * halves of pairs. */
static int
is_jansson_alone(const json_error_t *err)
{
	return json_error_code(err) == json_error_numeric_overflow ||
	    json_error_code(err) == json_error_null_byte_in_key ||
	    strstr(err->text, "Unicode") != NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span	 v;
	json_error_t	 err;
	json_t		*j;
	uint32_t	 utf8 = WS_UTF8_START;
	char		*copy;

	/* jansson loses a NUL behind a number. */
	if (memchr(data, '\0', size) != NULL)
		return 0;
	if (!ws_utf8_check(&utf8, data, size) || utf8 != WS_UTF8_START)
		return 0;
	must((copy = malloc(size + 1)) != NULL);
	memcpy(copy, data, size);
	copy = realloc(copy, size == 0 ? 1 : size);
	v = span_parse(copy, size);
	j = json_loadb(copy, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &err);
	if (j == NULL)
		must(v.kind == SPAN_NONE || is_jansson_alone(&err));
	else {
		must(v.kind != SPAN_NONE);
		if (json_is_object(j))
			check_object(&v, j);
		if (json_is_array(j))
			check_array(&v, j);
		if (json_is_string(j))
			check_string(&v, j);
	}
	if (v.kind != SPAN_NONE)
		(void)span_is_jsonb(&v, size);
	json_decref(j);
	free(copy);
	return 0;
}
