/* SPDX-License-Identifier: ISC */

/*
 * Any bytes as a token; then, cut at the first newline, as header and payload
 * of one that is signed rightly, which is the way to what comes after the
 * signature.
 */

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/config.h"
#include "fuzz.h"
#include "base/token.h"
#include "base/xmalloc.h"

#define SECRET	"an HS256 secret of 32 bytes here"
#define NOW	INT64_C(1700000000)

/* Append p[len] in base64url; returns the new end. */
static char *
encode(char *out, const void *p, size_t len)
{
	char	*q;

	EVP_EncodeBlock((unsigned char *)out, p, (int)len);
	for (q = out; *q != '\0' && *q != '='; q++)
		if (*q == '+')
			*q = '-';
		else if (*q == '/')
			*q = '_';
	*q = '\0';
	return q;
}

/* A token out of both, signed; the caller frees. */
static char *
token_sign(const void *header, size_t hlen, const void *payload, size_t plen)
{
	unsigned char	 sig[EVP_MAX_MD_SIZE];
	unsigned	 n = 0;
	char		*jwt = xmalloc((hlen + plen) * 4 / 3 + 100), *p;

	p = encode(jwt, header, hlen);
	*p++ = '.';
	p = encode(p, payload, plen);
	HMAC(EVP_sha256(), SECRET, (int)strlen(SECRET),
	    (const unsigned char *)jwt, (size_t)(p - jwt), sig, &n);
	*p++ = '.';
	encode(p, sig, n);
	return jwt;
}

static struct token_keys *
keys_load(void)
{
	struct token_keys	*keys;
	struct config		*cfg;
	char			 err[500];

	clearenv();
	setenv("PGPUSH_JWT_SECRET", SECRET, 1);
	setenv("PGPUSH_JWT_LEEWAY", "0s", 1);
	must((cfg = config_load(NULL, err, sizeof(err))) != NULL);
	must((keys = token_keys_load(cfg, err, sizeof(err))) != NULL);
	config_free(cfg);
	return keys;
}

static int
token_check(const struct token_keys *keys, const char *jwt, size_t len)
{
	struct token	 t;
	const char	*reason = NULL;
	int		 result;

	result = token_verify(keys, jwt, len, NOW, &t, &reason);
	if (result == 0) {
		must(t.user != NULL && t.user[0] != '\0');
		must(strlen(t.user) <= 200);
		must(t.claims != NULL && t.claims[0] == '{');
		must(t.exp > NOW && t.exp <= INT64_C(253402300799));
	} else {
		must(reason != NULL && t.user == NULL && t.claims == NULL);
	}
	token_free(&t);
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct token_keys	*keys;
	const uint8_t			*cut;
	char				*jwt;
	size_t				 hlen;

	if (keys == NULL)
		keys = keys_load();
	/* Nobody outside knows the secret. */
	must(token_check(keys, (const char *)data, size) == -1);
	if (size == 0 || size > 16384 ||
	    (cut = memchr(data, '\n', size)) == NULL)
		return 0;
	hlen = (size_t)(cut - data);
	jwt = token_sign(data, hlen, cut + 1, size - hlen - 1);
	token_check(keys, jwt, strlen(jwt));
	free(jwt);
	return 0;
}
