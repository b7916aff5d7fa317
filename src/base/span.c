/* SPDX-License-Identifier: ISC */

/*
 * One loop walks over a text without recursion; a bit for each open bracket
 * says which kind it is.  After span_parse a text is known to be well formed,
 * so that skipping a value needs to look at brackets and strings alone.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"

#define DIGITS_MAX	131072		/* of numeric, before the point */
#define SCALE_MAX	16383		/* and behind it */
#define EXPONENT_MAX	1000000		/* counted no further */

static bool
is_space(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r';
}

static bool
is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

static int
hex_value(char ch)
{
	if (is_digit(ch))
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	return ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;
}

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

/* The four digits of \uXXXX at p, or -1. */
static int
hex4(const char *p, const char *end)
{
	int	i, d, n = 0;

	if (end - p < 4)
		return -1;
	for (i = 0; i < 4; i++) {
		if ((d = hex_value(p[i])) == -1)
			return -1;
		n = n << 4 | d;
	}
	return n;
}

/* Scanning: each returns the end of what begins at p, or NULL. */

static const char *
scan_string(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		if (*p == '"')
			return p + 1;
		if ((unsigned char)*p < ' ')
			return NULL;
		if (*p != '\\')
			continue;
		if (++p == end)
			return NULL;
		if (*p == 'u') {
			if (hex4(p + 1, end) == -1)
				return NULL;
			p += 4;
		} else if (*p == '\0' || strchr("\"\\/bfnrt", *p) == NULL)
			return NULL;
	}
	return NULL;
}

static const char *
scan_digits(const char *p, const char *end)
{
	const char	*start = p;

	while (p < end && is_digit(*p))
		p++;
	return p == start ? NULL : p;
}

static const char *
scan_number(const char *p, const char *end)
{
	if (*p == '-' && ++p == end)
		return NULL;
	if (*p == '0')
		p++;
	else if ((p = scan_digits(p, end)) == NULL)
		return NULL;
	if (p < end && *p == '.' && (p = scan_digits(p + 1, end)) == NULL)
		return NULL;
	if (p == end || (*p != 'e' && *p != 'E'))
		return p;
	p++;
	if (p < end && (*p == '+' || *p == '-'))
		p++;
	return scan_digits(p, end);
}

static const char *
scan_word(const char *p, const char *end, const char *word)
{
	size_t	n = strlen(word);

	return (size_t)(end - p) >= n && memcmp(p, word, n) == 0 ? p + n : NULL;
}

static enum span_kind
kind_at(char ch)
{
	switch (ch) {
	case '{':
		return SPAN_OBJECT;
	case '[':
		return SPAN_ARRAY;
	case '"':
		return SPAN_STRING;
	case 't':
		return SPAN_TRUE;
	case 'f':
		return SPAN_FALSE;
	case 'n':
		return SPAN_NULL;
	default:
		return is_digit(ch) || ch == '-' ? SPAN_NUMBER : SPAN_NONE;
	}
}

static const char *
scan_scalar(const char *p, const char *end)
{
	switch (kind_at(*p)) {
	case SPAN_STRING:
		return scan_string(p, end);
	case SPAN_NUMBER:
		return scan_number(p, end);
	case SPAN_TRUE:
		return scan_word(p, end, "true");
	case SPAN_FALSE:
		return scan_word(p, end, "false");
	case SPAN_NULL:
		return scan_word(p, end, "null");
	case SPAN_NONE:
	case SPAN_ARRAY:
	case SPAN_OBJECT:
		break;
	}
	return NULL;
}

/* The brackets that are open, outermost first. */
struct nest {
	size_t		depth;
	unsigned char	is_object[SPAN_DEPTH_MAX / 8];	/* bits */
};

static bool
nest_in_object(const struct nest *n)
{
	size_t	i = n->depth - 1;

	return (n->is_object[i / 8] >> i % 8 & 1) != 0;
}

static int
nest_open(struct nest *n, bool is_object)
{
	size_t	i = n->depth++;

	if (i == SPAN_DEPTH_MAX)
		return -1;
	n->is_object[i / 8] = (unsigned char)((n->is_object[i / 8] &
	    ~(1 << i % 8)) | is_object << i % 8);
	return 0;
}

/* A member's name and its colon, or NULL. */
static const char *
scan_name(const char *p, const char *end)
{
	p = skip_space(p, end);
	if (p == end || *p != '"' || (p = scan_string(p, end)) == NULL)
		return NULL;
	p = skip_space(p, end);
	return p < end && *p == ':' ? p + 1 : NULL;
}

/*
 * Behind a value: close what ends here, up to a comma, behind which the next
 * value of the innermost bracket begins.  Returns where that is, or the end of
 * everything with depth 0.
 */
static const char *
scan_behind(struct nest *n, const char *p, const char *end)
{
	while (n->depth > 0) {
		p = skip_space(p, end);
		if (p == end)
			return NULL;
		if (*p == ',')
			return nest_in_object(n) ? scan_name(p + 1, end) :
			    p + 1;
		if (*p != (nest_in_object(n) ? '}' : ']'))
			return NULL;
		p++;
		n->depth--;
	}
	return p;
}

/* A bracket opens at p; what is in it, or behind it if it is empty. */
static const char *
scan_open(struct nest *n, const char *p, const char *end)
{
	bool		 is_object = *p == '{';
	const char	*next;

	if (nest_open(n, is_object) == -1)
		return NULL;
	next = skip_space(p + 1, end);
	if (next < end && *next == (is_object ? '}' : ']'))
		return scan_behind(n, next, end);
	return is_object ? scan_name(next, end) : next;
}

static const char *
scan_value(const char *p, const char *end)
{
	struct nest	n;

	n.depth = 0;
	do {
		p = skip_space(p, end);
		if (p == end)
			return NULL;
		if (*p == '{' || *p == '[')
			p = scan_open(&n, p, end);
		else if ((p = scan_scalar(p, end)) != NULL)
			p = scan_behind(&n, p, end);
	} while (p != NULL && n.depth > 0);
	return p;
}

struct span
span_parse(const char *p, size_t len)
{
	const struct span	 none = { NULL, 0, SPAN_NONE };
	struct span		 v = none;
	const char		*end = p + len, *behind;

	p = skip_space(p, end);
	if (p == end || (behind = scan_value(p, end)) == NULL ||
	    skip_space(behind, end) != end)
		return none;
	v.p = p;
	v.len = (size_t)(behind - p);
	v.kind = kind_at(*p);
	return v;
}

/* Walking over what is known to be well formed */

/* The end of the string at p. */
static const char *
skip_string(const char *p)
{
	for (p++; *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p + 1;
}

/* The end of the value at p. */
static const char *
skip_value(const char *p, const char *end)
{
	size_t	depth = 0;

	do {
		if (*p == '"') {
			p = skip_string(p);
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		else if (*p == '}' || *p == ']')
			depth--;
		else if (depth == 0) {
			while (p < end && !is_space(*p) && *p != ',' &&
			    *p != '}' && *p != ']')
				p++;
			return p;
		}
		p++;
	} while (depth > 0);
	return p;
}

/* The value at or behind p, before end. */
static struct span
value_at(const char *p, const char *end)
{
	struct span	v;

	p = skip_space(p, end);
	v.p = p;
	v.len = (size_t)(skip_value(p, end) - p);
	v.kind = kind_at(*p);
	return v;
}

/* Decode one character of a string, or a surrogate pair, at *p, which moves on.
 * Returns the code point; or -1 for half of a pair. */
static long
next_char(const char **p)
{
	static const char	 from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char		*s = *p, *found;
	long			 high, low;

	if (*s != '\\') {
		*p = s + 1;
		return (unsigned char)*s;
	}
	if (s[1] != 'u') {
		*p = s + 2;
		found = strchr(from, s[1]);
		return found == NULL ? s[1] : to[found - from];
	}
	*p = s + 6;
	high = hex4(s + 2, s + 6);
	if (high < 0xd800 || high > 0xdfff)
		return high;
	if (high > 0xdbff || s[6] != '\\' || s[7] != 'u')
		return -1;
	low = hex4(s + 8, s + 12);
	if (low < 0xdc00 || low > 0xdfff)
		return -1;
	*p = s + 12;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* The UTF-8 of a code point that was escaped; returns its length. */
static size_t
put_utf8(char out[4], long ch)
{
	if (ch < 0x80) {
		out[0] = (char)ch;
		return 1;
	}
	if (ch < 0x800) {
		out[0] = (char)(0xc0 | ch >> 6);
		out[1] = (char)(0x80 | (ch & 0x3f));
		return 2;
	}
	if (ch < 0x10000) {
		out[0] = (char)(0xe0 | ch >> 12);
		out[1] = (char)(0x80 | (ch >> 6 & 0x3f));
		out[2] = (char)(0x80 | (ch & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | ch >> 18);
	out[1] = (char)(0x80 | (ch >> 12 & 0x3f));
	out[2] = (char)(0x80 | (ch >> 6 & 0x3f));
	out[3] = (char)(0x80 | (ch & 0x3f));
	return 4;
}

/* One character of a string as UTF-8 into out; 0 if jsonb refuses it. */
static size_t
next_utf8(const char **p, char out[4])
{
	bool	escaped = **p == '\\';
	long	ch = next_char(p);

	if (ch <= 0)
		return 0;
	if (escaped)
		return put_utf8(out, ch);
	out[0] = (char)ch;		/* a byte of UTF-8 */
	return 1;
}

long
span_string(const struct span *v, char *out, size_t size)
{
	const char	*p, *end;
	char		 ch[4];
	size_t		 n, len = 0;

	if (v->kind != SPAN_STRING || size == 0)
		return -1;
	end = v->p + v->len - 1;
	for (p = v->p + 1; p < end; len += n) {
		n = next_utf8(&p, ch);
		if (n == 0 || n >= size - len)
			return -1;
		memcpy(out + len, ch, n);
	}
	out[len] = '\0';
	return (long)len;
}

/* Whether the string from p on, quotes and all, is the name. */
static bool
string_is(const char *p, const char *name)
{
	char	ch[4];
	size_t	n;

	for (p++; *p != '"'; name += n) {
		n = next_utf8(&p, ch);
		if (n == 0 || strncmp(name, ch, n) != 0)
			return false;
	}
	return *name == '\0';
}

struct span
span_member(const struct span *v, const char *name)
{
	struct span	 found = { NULL, 0, SPAN_NONE }, value;
	const char	*p, *end;
	bool		 is_it;

	if (v->kind != SPAN_OBJECT)
		return found;
	end = v->p + v->len;
	for (p = v->p + 1;; p++) {		/* behind '{' or ',' */
		p = skip_space(p, end);
		if (*p == '}')
			return found;
		is_it = string_is(p, name);
		p = skip_space(skip_string(p), end);
		value = value_at(p + 1, end);
		if (is_it)
			found = value;
		p = skip_space(value.p + value.len, end);
		if (*p == '}')
			return found;
	}
}

struct span
span_next(const struct span *array, size_t *at)
{
	struct span	 v = { NULL, 0, SPAN_NONE };
	const char	*p, *end;

	if (array->kind != SPAN_ARRAY)
		return v;
	end = array->p + array->len;
	p = skip_space(array->p + *at + (*at == 0), end);
	if (*at > 0 && *p == ',')
		p = skip_space(p + 1, end);
	if (*p == ']')
		return v;
	v = value_at(p, end);
	*at = (size_t)(v.p + v.len - array->p);
	return v;
}

int
span_integer(const struct span *v, int64_t *n)
{
	char	text[24], *end;

	if (v->kind != SPAN_NUMBER || v->len >= sizeof(text))
		return -1;
	memcpy(text, v->p, v->len);
	text[v->len] = '\0';
	errno = 0;
	*n = strtoll(text, &end, 10);
	return errno != 0 || *end != '\0' ? -1 : 0;
}

/* What jsonb takes */

static bool
string_is_jsonb(const char *p)
{
	for (p++; *p != '"';)
		if (next_char(&p) <= 0)
			return false;
	return true;
}

/*
 * The bytes of a number written out, with the digits that an exponent adds
 * before the point or behind it; 0 if numeric cannot hold it.
 */
static size_t
number_size(const char *p, const char *end)
{
	long	whole = 0, fraction = 0, exponent = 0, sign = *p == '-';
	bool	minus = false;

	for (p += sign; p < end && is_digit(*p); p++)
		whole++;
	if (p < end && *p == '.')
		for (p++; p < end && is_digit(*p); p++)
			fraction++;
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		minus = *p == '-';
		for (p += *p == '-' || *p == '+'; p < end; p++)
			if (exponent < EXPONENT_MAX)
				exponent = exponent * 10 + (*p - '0');
		if (minus)
			exponent = -exponent;
	}
	whole += exponent;
	fraction -= exponent;
	if (whole > DIGITS_MAX || fraction > SCALE_MAX)
		return 0;
	return (size_t)(sign + (whole < 1 ? 1 : whole) + (fraction > 0 ?
	    fraction + 1 : 0));
}

bool
span_is_jsonb(const struct span *v, size_t max)
{
	const char	*p = v->p, *end = p + v->len, *next;
	size_t		 n;

	while (p < end) {
		if (*p == '"') {
			if (!string_is_jsonb(p))
				return false;
			p = skip_string(p);
		} else if (kind_at(*p) == SPAN_NUMBER) {
			next = scan_number(p, end);
			n = number_size(p, next);
			if (n == 0 || n > max)
				return false;
			max -= n;
			p = next;
		} else
			p++;
	}
	return true;
}
