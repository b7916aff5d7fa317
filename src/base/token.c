/* SPDX-License-Identifier: ISC */

/*
 * libjwt 1.10 believes the token's own "alg", verifies nothing without a key
 * and looks at no time.  So the order here is fixed: read the header, find a
 * key that is pinned to that algorithm, have libjwt verify with it, compare
 * the algorithm that it used, and only then believe the payload.
 */

#include <jansson.h>
#include <jwt.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64url.h"
#include "base/config.h"
#include "base/keys.h"
#include "base/token.h"
#include "base/xmalloc.h"

#define TOKEN_MAX	8192		/* bytes */
#define USER_MAX	200		/* bytes, as a room's name */
#define EXP_MAX		INT64_C(253402300799)	/* the end of year 9999 */

struct token_keys {
	struct keys	*keys;		/* owned */
	char		*user_claim;	/* owned */
	char		*issuer;	/* owned; empty: any */
	char		*audience;	/* owned; empty: any */
	int64_t		 leeway;	/* s */
};

/* The two parts of a token that are JSON. */
struct parts {
	json_t		*header;	/* owned */
	json_t		*payload;	/* owned */
};

struct token_keys *
token_keys_load(const struct config *cfg, char *err, size_t errlen)
{
	struct keys		*found = keys_load(cfg, err, errlen);
	struct token_keys	*keys;

	if (found == NULL)
		return NULL;
	keys = xcalloc(1, sizeof(*keys));
	keys->keys = found;
	keys->user_claim = xstrdup(cfg->jwt_user_claim);
	keys->issuer = xstrdup(cfg->jwt_issuer);
	keys->audience = xstrdup(cfg->jwt_audience);
	keys->leeway = cfg->jwt_leeway_ms / 1000;
	return keys;
}

void
token_keys_swap(struct token_keys *a, struct token_keys *b)
{
	struct token_keys	keep = *a;

	*a = *b;
	*b = keep;
}

void
token_keys_free(struct token_keys *keys)
{
	if (keys == NULL)
		return;
	keys_free(keys->keys);
	free(keys->audience);
	free(keys->issuer);
	free(keys->user_claim);
	free(keys);
}

/* A member of the header that is a string, or NULL. */
static const char *
header_text(const json_t *header, const char *name)
{
	return json_string_value(json_object_get(header, name));
}

/* A part of a token as a JSON object, or NULL. */
static json_t *
part_parse(const char *p, size_t len)
{
	unsigned char	 text[TOKEN_MAX];
	json_t		*part;
	ssize_t		 n;

	if (len == 0 || (n = base64url_decode(text, p, len)) == -1)
		return NULL;
	part = json_loadb((const char *)text, (size_t)n,
	    JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(part)) {
		json_decref(part);
		return NULL;
	}
	return part;
}

static void
parts_free(struct parts *parts)
{
	json_decref(parts->header);
	json_decref(parts->payload);
}

/* header "." payload "." signature, RFC 7515 section 3.1. */
static int
parts_parse(struct parts *parts, const char *jwt, size_t len)
{
	unsigned char	 signature[TOKEN_MAX];
	const char	*end = jwt + len, *dot1, *dot2;

	parts->header = parts->payload = NULL;
	if (len == 0 || len > TOKEN_MAX ||
	    (dot1 = memchr(jwt, '.', len)) == NULL ||
	    (dot2 = memchr(dot1 + 1, '.', (size_t)(end - dot1) - 1)) == NULL)
		return -1;
	/* A third dot is not base64url either. */
	if (base64url_decode(signature, dot2 + 1,
	    (size_t)(end - dot2) - 1) == -1)
		return -1;
	parts->header = part_parse(jwt, (size_t)(dot1 - jwt));
	parts->payload = part_parse(dot1 + 1, (size_t)(dot2 - dot1) - 1);
	if (parts->header == NULL || parts->payload == NULL)
		return -1;
	return 0;
}

/*
 * What a header must say before it may choose a key: "typ" as libjwt wants
 * it, and no "crit", since there is no extension that we understand (RFC 7515
 * section 4.1.11).
 */
static bool
header_ok(const json_t *header)
{
	const json_t	*typ = json_object_get(header, "typ");
	const json_t	*kid = json_object_get(header, "kid");

	if (json_object_get(header, "crit") != NULL)
		return false;
	if (typ != NULL && (!json_is_string(typ) ||
	    strcasecmp(json_string_value(typ), "JWT") != 0))
		return false;
	return kid == NULL || json_is_string(kid);
}

static bool
signature_ok(const struct key *k, const char *jwt, size_t len)
{
	char	 copy[TOKEN_MAX + 1];
	jwt_t	*j = NULL;
	bool	 ok;

	memcpy(copy, jwt, len);
	copy[len] = '\0';
	ok = jwt_decode(&j, copy, k->bytes, (int)k->len) == 0 && j != NULL &&
	    jwt_get_alg(j) == k->alg;
	if (j != NULL)
		jwt_free(j);
	ERR_clear_error();
	return ok;
}

/*
 * A NumericDate (RFC 7519 section 2), with its fraction cut off and held
 * within EXP_MAX, so that arithmetic on it cannot overflow.  Returns -1 if it
 * is not a number.
 */
static int
date_get(const json_t *payload, const char *name, int64_t *out)
{
	const json_t	*date = json_object_get(payload, name);
	double		 seconds;

	if (!json_is_number(date))
		return -1;
	seconds = json_number_value(date);
	if (seconds >= (double)EXP_MAX)
		*out = EXP_MAX;
	else if (seconds < 0)
		*out = -1;
	else
		*out = (int64_t)seconds;
	return 0;
}

/* NULL, or the reason against it. */
static const char *
times_check(const struct token_keys *keys, const json_t *payload, int64_t now,
    int64_t *exp)
{
	int64_t	 nbf;

	if (date_get(payload, "exp", exp) == -1)
		return "no exp";
	if (now >= *exp + keys->leeway)
		return "expired";
	if (json_object_get(payload, "nbf") == NULL)
		return NULL;
	if (date_get(payload, "nbf", &nbf) == -1 || now < nbf - keys->leeway)
		return "not yet valid";
	return NULL;
}

static bool
string_is(const json_t *value, const char *text)
{
	return json_is_string(value) &&
	    strcmp(json_string_value(value), text) == 0;
}

/* A string or an array of them, RFC 7519 section 4.1.3. */
static bool
audience_has(const json_t *aud, const char *wanted)
{
	size_t	 i;

	if (!json_is_array(aud))
		return string_is(aud, wanted);
	for (i = 0; i < json_array_size(aud); i++)
		if (string_is(json_array_get(aud, i), wanted))
			return true;
	return false;
}

/* The user as text; NULL if there is none that could be one. */
static char *
user_get(const json_t *claim)
{
	if (json_is_integer(claim))
		return xasprintf("%" JSON_INTEGER_FORMAT,
		    json_integer_value(claim));
	if (!json_is_string(claim) || json_string_length(claim) == 0 ||
	    json_string_length(claim) > USER_MAX)
		return NULL;
	return xstrdup(json_string_value(claim));
}

/* NULL with t filled, or the reason against the payload. */
static const char *
claims_check(const struct token_keys *keys, const json_t *payload,
    int64_t now, struct token *t)
{
	const char	*reason;

	if ((reason = times_check(keys, payload, now, &t->exp)) != NULL)
		return reason;
	if (keys->issuer[0] != '\0' &&
	    !string_is(json_object_get(payload, "iss"), keys->issuer))
		return "issuer";
	if (keys->audience[0] != '\0' &&
	    !audience_has(json_object_get(payload, "aud"), keys->audience))
		return "audience";
	t->user = user_get(json_object_get(payload, keys->user_claim));
	if (t->user == NULL)
		return "no user";
	if ((t->claims = json_dumps(payload, JSON_COMPACT)) == NULL) {
		token_free(t);
		return "malformed";
	}
	return NULL;
}

int
token_verify(const struct token_keys *keys, const char *jwt, size_t len,
    int64_t now, struct token *t, const char **reason)
{
	struct parts		 parts;
	const struct key	*k;

	memset(t, 0, sizeof(*t));
	if (parts_parse(&parts, jwt, len) == -1 || !header_ok(parts.header))
		*reason = "malformed";
	else if ((k = keys_find(keys->keys, header_text(parts.header, "alg"),
	    header_text(parts.header, "kid"), reason)) != NULL)
		*reason = signature_ok(k, jwt, len) ?
		    claims_check(keys, parts.payload, now, t) : "signature";
	parts_free(&parts);
	return *reason == NULL ? 0 : -1;
}

void
token_free(struct token *t)
{
	free(t->user);
	free(t->claims);
	memset(t, 0, sizeof(*t));
}
