/* SPDX-License-Identifier: ISC */

/* Parts of JSON texts, found where they lie. */

#include <stdint.h>

#include "base/span.h"
#include "tap.h"

static struct span
parse(const char *text)
{
	return span_parse(text, strlen(text));
}

static bool
is(struct span v, enum span_kind kind, const char *text)
{
	return v.kind == kind && v.len == strlen(text) &&
	    memcmp(v.p, text, v.len) == 0;
}

static void
test_valid(void)
{
	static const struct {
		const char	*text;
		enum span_kind	 kind;
		const char	*value;
	} rows[] = {
		{ " {} ", SPAN_OBJECT, "{}" },
		{ "[]", SPAN_ARRAY, "[]" },
		{ "[[],{}, [ ]]", SPAN_ARRAY, "[[],{}, [ ]]" },
		{ "\t\"a\\\"b\\\\\" \r\n", SPAN_STRING, "\"a\\\"b\\\\\"" },
		{ "-0.5e+07", SPAN_NUMBER, "-0.5e+07" },
		{ "12345678901234567890", SPAN_NUMBER,
		    "12345678901234567890" },
		{ "1e400", SPAN_NUMBER, "1e400" },
		{ "0", SPAN_NUMBER, "0" },
		{ "true", SPAN_TRUE, "true" },
		{ "false", SPAN_FALSE, "false" },
		{ "null", SPAN_NULL, "null" },
		{ "{\"a\":[1,{\"b\":[]}],\"c\":{}}", SPAN_OBJECT,
		    "{\"a\":[1,{\"b\":[]}],\"c\":{}}" },
		{ "\"\\ud800\"", SPAN_STRING, "\"\\ud800\"" },
	};
	size_t	i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ok(is(parse(rows[i].text), rows[i].kind, rows[i].value),
		    "a value: %zu", i);
}

static void
test_invalid(void)
{
	static const char *const rows[] = {
		"", " ", "{", "}", "[", "]", "[1,]", "[,1]", "[1 2]", "{,}",
		"{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":1 \"b\":2}",
		"[1}", "{\"a\":1]", "01", "-", "-a", "1.", ".5", "1e", "1e+",
		"+1", "0x1", "tru", "nul", "True", "\"", "\"\\\"", "\"\\x\"",
		"\"\\u12g4\"", "\"\\u123", "\"a\nb\"", "1 2", "{} {}", "[]]",
		"{\"a\":1}}", "NaN", "'a'", "[\"a\":1]", "{\"a\",1}", "/**/1",
	};
	size_t	 i, n;
	char	*copy;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		n = strlen(rows[i]);
		copy = tap_copy(rows[i], n);
		ok(span_parse(copy, n).kind == SPAN_NONE, "refused: %zu", i);
		free(copy);
	}
	ok(span_parse("\"a\0b\"", 5).kind == SPAN_NONE, "a NUL is no text");
}

static void
test_depth(void)
{
	char	text[2 * (SPAN_DEPTH_MAX + 1)];
	size_t	n = SPAN_DEPTH_MAX;

	memset(text, '[', n);
	memset(text + n, ']', n);
	ok(span_parse(text, 2 * n).kind == SPAN_ARRAY, "deep enough");
	n++;
	memset(text, '[', n);
	memset(text + n, ']', n);
	ok(span_parse(text, 2 * n).kind == SPAN_NONE, "too deep");
}

static void
test_members(void)
{
	struct span	v = parse("{\"a\" : 19.990 , \"d\\u0061ta\":{\"a\":[1]},"
			    "\"a\":\"x\",\"\":null,\"\\u0000\":1}");
	struct span	a = parse("[1,[2,3],\"}\" ,{}]"), none = parse("[ ]");
	size_t		at = 0;

	ok(is(span_member(&v, "a"), SPAN_STRING, "\"x\""),
	    "of several members of one name the last counts");
	ok(is(span_member(&v, "data"), SPAN_OBJECT, "{\"a\":[1]}"),
	    "a name may be written with escapes");
	ok(is(span_member(&v, ""), SPAN_NULL, "null"), "an empty name");
	ok(span_member(&v, "b").kind == SPAN_NONE &&
	    span_member(&a, "b").kind == SPAN_NONE, "no such member");
	ok(is(span_next(&a, &at), SPAN_NUMBER, "1") &&
	    is(span_next(&a, &at), SPAN_ARRAY, "[2,3]") &&
	    is(span_next(&a, &at), SPAN_STRING, "\"}\"") &&
	    is(span_next(&a, &at), SPAN_OBJECT, "{}") &&
	    span_next(&a, &at).kind == SPAN_NONE, "the elements of an array");
	at = 0;
	ok(span_next(&none, &at).kind == SPAN_NONE, "of an empty one");
	v = parse("{\"n\":12345678901234567890.10}");
	ok(is(span_member(&v, "n"), SPAN_NUMBER, "12345678901234567890.10"),
	    "a number is the digits that were written");
}

static void
test_strings(void)
{
	static const struct {
		const char	*text;
		long		 len;
		const char	*string;
	} rows[] = {
		{ "\"\"", 0, "" },
		{ "\"a\\n\\/\\u00e9\\u20ac\"", 8, "a\n/\303\251\342\202\254" },
		{ "\"\\ud83d\\ude00\"", 4, "\360\237\230\200" },
		{ "\"\303\251\"", 2, "\303\251" },
		{ "\"\\u0000\"", -1, "" },
		{ "\"\\ud83d\"", -1, "" },
		{ "\"\\ud83dx\"", -1, "" },
		{ "\"\\ude00\\ud83d\"", -1, "" },
		{ "\"\\ud83d\\u0041\"", -1, "" },
		{ "1", -1, "" },
	};
	struct span	v;
	char		out[16];
	size_t		i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		v = parse(rows[i].text);
		ok(span_string(&v, out, sizeof(out)) == rows[i].len &&
		    (rows[i].len == -1 || strcmp(out, rows[i].string) == 0),
		    "a string's text: %zu", i);
	}
	v = parse("\"abc\"");
	ok(span_string(&v, out, 4) == 3 && span_string(&v, out, 3) == -1,
	    "it must fit with its NUL");
}

static void
test_jsonb(void)
{
	static const struct {
		const char	*text;
		bool		 fits;
	} rows[] = {
		{ "{\"a\":[1,2.5,\"\\u0041\"]}", true },
		{ "[\"\\u0000\"]", false },
		{ "{\"\\u0000\":1}", false },
		{ "[\"\\ud800\"]", false },
		{ "[\"\\ud83d\\ude00\"]", true },
		{ "[1e308]", true },
		{ "[1e2000]", false },		/* more than 1000 bytes */
		{ "[1e308,1e308,1e308,1e308]", false },
		{ "[1e-17000]", false },
		{ "[1e99999999999999999999]", false },
		{ "[-0.000e-5]", true },
	};
	struct span	v;
	size_t		i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		v = parse(rows[i].text);
		ok(span_is_jsonb(&v, 1000) == rows[i].fits, "jsonb: %s",
		    rows[i].text);
	}
	v = parse("[1e131072]");
	ok(!span_is_jsonb(&v, SIZE_MAX), "a number over numeric's digits");
}

static void
test_integers(void)
{
	struct span	v = parse("[9223372036854775807,9223372036854775808,1.0,"
			    "1e2,\"1\"]"), item;
	size_t		at = 0;
	int64_t		n = 0;

	item = span_next(&v, &at);
	ok(span_integer(&item, &n) == 0 && n == INT64_MAX, "the largest");
	while ((item = span_next(&v, &at)).kind != SPAN_NONE)
		ok(span_integer(&item, &n) == -1, "no integer: %.*s",
		    (int)item.len, item.p);
}

int
main(void)
{
	test_valid();
	test_invalid();
	test_depth();
	test_members();
	test_strings();
	test_jsonb();
	test_integers();
	return tap_done();
}
