/* SPDX-License-Identifier: ISC */

/*
 * Values of settings.  No memory is kept; lists are checked item by item.
 */

#include <sys/socket.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/setting.h"
#include "base/words.h"
#include "base/xmalloc.h"

/* A unit and what it multiplies with; largest first, for printing. */
struct unit {
	const char	*name;
	int64_t		 factor;
};

static const struct unit byte_units[] = {
	{ "G", GIB }, { "M", MIB }, { "k", KIB }, { "", 1 }, { NULL, 0 },
};

static const struct unit time_units[] = {
	{ "d", DAY }, { "h", HOUR }, { "m", MIN }, { "s", SEC }, { "ms", 1 },
	{ NULL, 0 },
};

static const struct unit no_units[] = {
	{ "", 1 }, { NULL, 0 },
};

/* The number of a word in a list of them, or -1. */
int64_t
setting_word(const char *words, const char *word)
{
	char	 item[32];
	int64_t	 i = 0;

	for (; words_next(&words, item, sizeof(item)); i++)
		if (strcmp(item, word) == 0)
			return i;
	return -1;
}

static const struct unit *
kind_units(enum kind kind)
{
	switch (kind) {
	case KIND_BYTES:
		return byte_units;
	case KIND_TIME:
		return time_units;
	case KIND_TEXT:
	case KIND_SECRET:
	case KIND_ORIGINS:
	case KIND_ADDRESSES:
	case KIND_ADDRESSES_OR_NONE:
	case KIND_WORDS:
	case KIND_CHOICE:
	case KIND_NUMBER:
		break;
	}
	return no_units;
}

/* A number with the largest unit that leaves no rest.  24h stays 24h: whoever
 * writes hours thinks in them up to two days. */
void
setting_number_print(char *out, size_t size, enum kind kind, int64_t n)
{
	const struct unit	*u = kind_units(kind);

	if (n == 0 && kind == KIND_TIME) {
		snprintf(out, size, "0s");
		return;
	}
	while (u[1].name != NULL &&
	    (n == 0 || n % u->factor != 0 ||
	    (u->factor == DAY && n < 2 * DAY)))
		u++;
	snprintf(out, size, "%" PRId64 "%s", n / u->factor, u->name);
}

/* Digits and a unit.  Returns -1 if it is anything else, or too large. */
int
setting_number_parse(const char *text, enum kind kind, int64_t *out)
{
	const struct unit	*u;
	int64_t			 n = 0;
	const char		*p;

	for (p = text; *p >= '0' && *p <= '9'; p++) {
		if (n > (INT64_MAX - 9) / 10)
			return -1;
		n = n * 10 + (*p - '0');
	}
	if (p == text)
		return -1;
	for (u = kind_units(kind); u->name != NULL; u++)
		if (strcmp(p, u->name) == 0)
			break;
	if (u->name == NULL) {
		/* Nought needs no unit. */
		if (n != 0 || *p != '\0')
			return -1;
	} else {
		if (n > INT64_MAX / u->factor)
			return -1;
		n *= u->factor;
	}
	*out = n;
	return 0;
}

static bool
address_ok(const char *text)
{
	struct sockaddr_storage	ss;
	socklen_t		len;

	return addr_parse(text, &ss, &len) == 0;
}

/* RFC 6454 section 6.2, as browsers send it: no default port, no capitals. */
static bool
origin_ok(const char *text)
{
	static const char	 host_bytes[] =
	    "abcdefghijklmnopqrstuvwxyz0123456789.-_";
	static const char	 scheme_bytes[] =
	    "abcdefghijklmnopqrstuvwxyz0123456789+-.";
	size_t			 scheme = strspn(text, scheme_bytes), len;
	const char		*host = text + scheme + 3, *end;
	long			 port;
	char			*rest;

	if (strcmp(text, "null") == 0)
		return true;
	if (scheme == 0 || strncmp(text + scheme, "://", 3) != 0)
		return false;
	len = *host == '[' ? strspn(host, "[0123456789abcdef:.") + 1 :
	    strspn(host, host_bytes);
	if (len == 0 || (*host == '[' && strnlen(host, len) < len) ||
	    (*host == '[' && host[len - 1] != ']'))
		return false;
	end = host + len;
	if (*end == '\0')
		return true;
	if (*end != ':' || end[1] < '1' || end[1] > '9')
		return false;
	port = strtol(end + 1, &rest, 10);
	if (*rest != '\0' || port > 65535)
		return false;
	return !(port == 80 && strncmp(text, "http:", 5) == 0) &&
	    !(port == 443 && strncmp(text, "https:", 6) == 0);
}

static bool
item_ok(const struct setting *s, const char *item)
{
	if (s->kind == KIND_ORIGINS)
		return origin_ok(item);
	if (s->kind == KIND_ADDRESSES || s->kind == KIND_ADDRESSES_OR_NONE)
		return address_ok(item);
	return setting_word(s->words, item) != -1;
}

bool
setting_list_ok(const struct setting *s, const char *text)
{
	char	 item[300];
	size_t	 n = 0;

	for (; words_next(&text, item, sizeof(item)); n++)
		if (!item_ok(s, item))
			return false;
	return n > 0 || s->kind == KIND_ORIGINS ||
	    s->kind == KIND_ADDRESSES_OR_NONE;
}

void
setting_allowed(char *out, size_t size, const struct setting *s)
{
	char	 min[32], max[32];

	setting_number_print(min, sizeof(min), s->kind, s->min);
	setting_number_print(max, sizeof(max), s->kind, s->max);
	switch (s->kind) {
	case KIND_TEXT:
	case KIND_SECRET:
		snprintf(out, size, "any text");
		break;
	case KIND_ORIGINS:
		snprintf(out, size, "a list of origins as browsers send them: "
		    "scheme://host or scheme://host:port in small letters, "
		    "without a path, a default port or a *");
		break;
	case KIND_ADDRESSES:
	case KIND_ADDRESSES_OR_NONE:
		snprintf(out, size, "a list of numeric addresses with "
		    "ports, such as 127.0.0.1:8081 or [::1]:8081");
		break;
	case KIND_WORDS:
		snprintf(out, size, "a list out of: %s", s->words);
		break;
	case KIND_CHOICE:
		snprintf(out, size, "one of: %s", s->words);
		break;
	case KIND_NUMBER:
		snprintf(out, size, "a number from %s to %s", min, max);
		break;
	case KIND_BYTES:
		snprintf(out, size, "bytes from %s to %s (units k, M, G)",
		    min, max);
		break;
	case KIND_TIME:
		snprintf(out, size,
		    "a time from %s to %s (units ms, s, m, h, d)", min, max);
		break;
	}
}

char *
setting_word_print(const char *words, int64_t n)
{
	char	 item[32];

	while (words_next(&words, item, sizeof(item)))
		if (n-- == 0)
			return xstrdup(item);
	return xstrdup("");
}
