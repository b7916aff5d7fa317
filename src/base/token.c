/* SPDX-License-Identifier: ISC */

/*
 * libjwt 1.10 believes the token's own "alg", verifies nothing without a key
 * and looks at no time.  So the order here is fixed: read the header, find a
 * key that is pinned to that algorithm, have libjwt verify with it, compare
 * the algorithm that it used, and only then believe the payload.
 */

#include <errno.h>
#include <jansson.h>
#include <jwt.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/log.h"
#include "base/token.h"
#include "base/xmalloc.h"

#define TOKEN_MAX	8192		/* bytes */
#define USER_MAX	200		/* bytes, as a room's name */
#define FILE_MAX	(1024 * 1024)	/* bytes, of a file with keys */
#define SECRET_MIN	32		/* bytes, RFC 7518 section 3.2 */
#define RSA_BITS_MIN	2048		/* RFC 7518 section 3.3 */
#define EC_BYTES	32		/* a coordinate of P-256 */
#define EXP_MAX		INT64_C(253402300799)	/* the end of year 9999 */

struct key {
	char		*kid;		/* owned; NULL: fits any */
	jwt_alg_t	 alg;
	unsigned char	*bytes;		/* owned; a secret, or PEM with NUL */
	size_t		 len;		/* without that NUL */
};

struct token_keys {
	struct key	*keys;		/* owned */
	size_t		 nkeys;
	char		*user_claim;	/* owned */
	char		*issuer;	/* owned; empty: any */
	char		*audience;	/* owned; empty: any */
	int64_t		 leeway;	/* s */
	bool		 short_secret;	/* is allowed */
};

/* Where the reason of a failed load goes. */
struct complaint {
	const char	*key;		/* of the configuration */
	const char	*file;
	char		*err;
	size_t		 errlen;
};

/* The two parts of a token that are JSON. */
struct parts {
	json_t		*header;	/* owned */
	json_t		*payload;	/* owned */
};

static int
complain(const struct complaint *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Always -1. */
static int
complain(const struct complaint *c, const char *fmt, ...)
{
	char	 what[500];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(c->err, c->errlen, "%s: %s%s%s", c->key,
	    c->file != NULL ? c->file : "", c->file != NULL ? ": " : "", what);
	/* OpenSSL's own queue would grow otherwise. */
	ERR_clear_error();
	return -1;
}

/* The algorithms that a configuration can allow; JWT_ALG_NONE for others. */
static jwt_alg_t
algorithm_find(const char *name)
{
	if (strcmp(name, "HS256") == 0)
		return JWT_ALG_HS256;
	if (strcmp(name, "RS256") == 0)
		return JWT_ALG_RS256;
	if (strcmp(name, "ES256") == 0)
		return JWT_ALG_ES256;
	return JWT_ALG_NONE;
}

static int
base64url_value(char ch)
{
	if (ch >= 'A' && ch <= 'Z')
		return ch - 'A';
	if (ch >= 'a' && ch <= 'z')
		return ch - 'a' + 26;
	if (ch >= '0' && ch <= '9')
		return ch - '0' + 52;
	return ch == '-' ? 62 : ch == '_' ? 63 : -1;
}

/*
 * Decode s[len] to out, which has room for 3 bytes of every 4.  Returns the
 * size, or -1: a foreign character, padding, or a length that no encoder
 * gives.  RFC 7515 appendix C.
 */
static ssize_t
base64url_decode(unsigned char *out, const char *s, size_t len)
{
	unsigned	 bits = 0;
	size_t		 i, n = 0;
	int		 value;

	if (len % 4 == 1)
		return -1;
	for (i = 0; i < len; i++) {
		if ((value = base64url_value(s[i])) == -1)
			return -1;
		bits = bits << 6 | (unsigned)value;
		if (i % 4 != 0)
			out[n++] = (unsigned char)(bits >>
			    (6 - 2 * (i % 4)));
	}
	return (ssize_t)n;
}

/* Take over bytes. */
static void
keys_add(struct token_keys *keys, const char *kid, jwt_alg_t alg,
    unsigned char *bytes, size_t len)
{
	struct key	*k;

	keys->keys = xrealloc(keys->keys,
	    (keys->nkeys + 1) * sizeof(*keys->keys));
	k = &keys->keys[keys->nkeys++];
	k->kid = kid != NULL ? xstrdup(kid) : NULL;
	k->alg = alg;
	k->bytes = bytes;
	k->len = len;
}

static int
secret_add(struct token_keys *keys, const char *kid, const void *secret,
    size_t len, const struct complaint *c)
{
	if (len == 0 || (len < SECRET_MIN && !keys->short_secret))
		return complain(c, "found a secret of %zu bytes, allowed: "
		    "%d or more.  Make one by \"openssl rand -hex 32\" and "
		    "give it to the API that signs too; as long as that "
		    "cannot be changed, set jwt_short_secret = yes", len,
		    SECRET_MIN);
	keys_add(keys, kid, JWT_ALG_HS256,
	    (unsigned char *)xmemdup(secret, len), len);
	return 0;
}

/* The algorithm that a public key is pinned to; JWT_ALG_NONE if we have none
 * for it. */
static jwt_alg_t
pkey_algorithm(EVP_PKEY *pkey)
{
	char	 group[32];
	size_t	 len;

	if (EVP_PKEY_is_a(pkey, "RSA") &&
	    EVP_PKEY_get_bits(pkey) >= RSA_BITS_MIN)
		return JWT_ALG_RS256;
	if (EVP_PKEY_is_a(pkey, "EC") &&
	    EVP_PKEY_get_group_name(pkey, group, sizeof(group), &len) == 1 &&
	    strcmp(group, "prime256v1") == 0)
		return JWT_ALG_ES256;
	return JWT_ALG_NONE;
}

/* Add a public key in the form that libjwt reads, PEM. */
static int
pkey_add(struct token_keys *keys, const char *kid, EVP_PKEY *pkey,
    const struct complaint *c)
{
	BIO	*bio;
	char	*pem;
	long	 len;
	int	 result = -1;

	if ((bio = BIO_new(BIO_s_mem())) == NULL ||
	    PEM_write_bio_PUBKEY(bio, pkey) != 1 ||
	    (len = BIO_get_mem_data(bio, &pem)) <= 0) {
		complain(c, "the key cannot be written as PEM");
	} else {
		keys_add(keys, kid, pkey_algorithm(pkey),
		    (unsigned char *)xmemdup(pem, (size_t)len), (size_t)len);
		result = 0;
	}
	BIO_free(bio);
	return result;
}

/* All of a file, with a NUL appended; NULL with the reason given. */
static char *
file_read(const struct complaint *c, size_t *len)
{
	FILE	*fp;
	char	*text;

	if ((fp = fopen(c->file, "re")) == NULL) {
		complain(c, "%s", strerror(errno));
		return NULL;
	}
	text = xmalloc(FILE_MAX + 1);
	*len = fread(text, 1, FILE_MAX + 1, fp);
	if (ferror(fp) || *len > FILE_MAX) {
		if (ferror(fp))
			complain(c, "%s", strerror(errno));
		else
			complain(c, "found more than %d bytes", FILE_MAX);
		free(text);
		text = NULL;
	} else {
		text[*len] = '\0';
	}
	fclose(fp);
	return text;
}

/* A secret in a file usually ends with a newline that is none of it. */
static int
secret_file_load(struct token_keys *keys, const struct complaint *c)
{
	char	*text;
	size_t	 len;
	int	 result;

	if ((text = file_read(c, &len)) == NULL)
		return -1;
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	result = secret_add(keys, NULL, text, len, c);
	OPENSSL_cleanse(text, len);
	free(text);
	return result;
}

static int
pem_load(struct token_keys *keys, BIO *bio, const char *allowed,
    const struct complaint *c)
{
	EVP_PKEY	*pkey, *second;
	jwt_alg_t	 alg;
	int		 result = -1;

	if ((pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL)) == NULL)
		return complain(c, "found no public key, allowed: PEM with "
		    "\"BEGIN PUBLIC KEY\"");
	second = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	alg = pkey_algorithm(pkey);
	if (second != NULL)
		complain(c, "found a second key, allowed: one "
		    "(jwt_jwks_file takes several)");
	else if (alg == JWT_ALG_NONE)
		complain(c, "found a %s key of %d bits, allowed: RSA of %d "
		    "bits or more, EC on P-256",
		    EVP_PKEY_get0_type_name(pkey), EVP_PKEY_get_bits(pkey),
		    RSA_BITS_MIN);
	else if (!config_list_has(allowed, jwt_alg_str(alg)))
		complain(c, "found a key for %s, allowed: %s "
		    "(jwt_algorithms)", jwt_alg_str(alg), allowed);
	else
		result = pkey_add(keys, NULL, pkey, c);
	EVP_PKEY_free(second);
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return result;
}

static int
pem_file_load(struct token_keys *keys, const char *allowed,
    const struct complaint *c)
{
	char	*text;
	size_t	 len;
	BIO	*bio;
	int	 result;

	if ((text = file_read(c, &len)) == NULL)
		return -1;
	if ((bio = BIO_new_mem_buf(text, (int)len)) == NULL)
		result = complain(c, "out of memory");
	else
		result = pem_load(keys, bio, allowed, c);
	BIO_free(bio);
	free(text);
	return result;
}

/*
 * The bytes of a base64url member of a JWK.  Returns NULL if it is missing or
 * malformed; the caller frees.
 */
static unsigned char *
jwk_bytes(const json_t *jwk, const char *name, size_t *len)
{
	const json_t	*member = json_object_get(jwk, name);
	unsigned char	*out;
	ssize_t		 n;

	if (!json_is_string(member) || json_string_length(member) == 0)
		return NULL;
	out = xmalloc(json_string_length(member));
	n = base64url_decode(out, json_string_value(member),
	    json_string_length(member));
	if (n == -1) {
		free(out);
		return NULL;
	}
	*len = (size_t)n;
	return out;
}

static EVP_PKEY *
pkey_build(const char *type, OSSL_PARAM_BLD *bld)
{
	OSSL_PARAM	*params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX	*ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY	*pkey = NULL;

	if (params == NULL || ctx == NULL ||
	    EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return pkey;
}

/* RFC 7518 section 6.3.1. */
static EVP_PKEY *
jwk_rsa(const json_t *jwk)
{
	OSSL_PARAM_BLD	*bld = OSSL_PARAM_BLD_new();
	size_t		 nlen = 0, elen = 0;
	unsigned char	*nbytes = jwk_bytes(jwk, "n", &nlen);
	unsigned char	*ebytes = jwk_bytes(jwk, "e", &elen);
	BIGNUM		*n = NULL, *e = NULL;
	EVP_PKEY	*pkey = NULL;

	if (bld != NULL && nbytes != NULL && ebytes != NULL &&
	    (n = BN_bin2bn(nbytes, (int)nlen, NULL)) != NULL &&
	    (e = BN_bin2bn(ebytes, (int)elen, NULL)) != NULL &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		pkey = pkey_build("RSA", bld);
	BN_free(e);
	BN_free(n);
	free(ebytes);
	free(nbytes);
	OSSL_PARAM_BLD_free(bld);
	return pkey;
}

/* RFC 7518 section 6.2.1; the point must lie on the curve. */
static EVP_PKEY *
jwk_ec(const json_t *jwk)
{
	OSSL_PARAM_BLD	*bld = OSSL_PARAM_BLD_new();
	const char	*crv = json_string_value(json_object_get(jwk, "crv"));
	size_t		 xlen = 0, ylen = 0;
	unsigned char	*x = jwk_bytes(jwk, "x", &xlen);
	unsigned char	*y = jwk_bytes(jwk, "y", &ylen);
	unsigned char	 point[1 + 2 * EC_BYTES];
	EVP_PKEY	*pkey = NULL;

	if (bld != NULL && crv != NULL && strcmp(crv, "P-256") == 0 &&
	    x != NULL && y != NULL && xlen == EC_BYTES && ylen == EC_BYTES) {
		point[0] = POINT_CONVERSION_UNCOMPRESSED;
		memcpy(point + 1, x, EC_BYTES);
		memcpy(point + 1 + EC_BYTES, y, EC_BYTES);
		if (OSSL_PARAM_BLD_push_utf8_string(bld,
		    OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
		    OSSL_PARAM_BLD_push_octet_string(bld,
		    OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) == 1)
			pkey = pkey_build("EC", bld);
	}
	free(y);
	free(x);
	OSSL_PARAM_BLD_free(bld);
	return pkey;
}

static int
jwk_secret_add(struct token_keys *keys, const char *kid, const json_t *jwk,
    const struct complaint *c)
{
	unsigned char	*secret;
	size_t		 len;
	int		 result;

	if ((secret = jwk_bytes(jwk, "k", &len)) == NULL)
		return complain(c, "found an oct key without \"k\" in "
		    "base64url");
	result = secret_add(keys, kid, secret, len, c);
	OPENSSL_cleanse(secret, len);
	free(secret);
	return result;
}

static int
jwk_public_add(struct token_keys *keys, const char *kid, const json_t *jwk,
    jwt_alg_t alg, const struct complaint *c)
{
	EVP_PKEY	*pkey;
	int		 result;

	pkey = alg == JWT_ALG_RS256 ? jwk_rsa(jwk) : jwk_ec(jwk);
	if (pkey == NULL)
		return complain(c, "found a malformed key (kid %s)",
		    log_quote(kid != NULL ? kid : "", kid != NULL ?
		    strlen(kid) : 0));
	if (pkey_algorithm(pkey) != alg)
		result = complain(c, "found an RSA key of %d bits, allowed: "
		    "%d or more", EVP_PKEY_get_bits(pkey), RSA_BITS_MIN);
	else
		result = pkey_add(keys, kid, pkey, c);
	EVP_PKEY_free(pkey);
	return result;
}

/*
 * The algorithm of a JWK, from its type; JWT_ALG_NONE if it is not for us:
 * another type, curve, use or algorithm.  RFC 7517 section 4.
 */
static jwt_alg_t
jwk_algorithm(const json_t *jwk)
{
	const char	*kty = json_string_value(json_object_get(jwk, "kty"));
	const char	*crv = json_string_value(json_object_get(jwk, "crv"));
	const char	*use = json_string_value(json_object_get(jwk, "use"));
	const char	*alg = json_string_value(json_object_get(jwk, "alg"));
	jwt_alg_t	 own = JWT_ALG_NONE;

	if (kty == NULL || (use != NULL && strcmp(use, "sig") != 0))
		return JWT_ALG_NONE;
	if (strcmp(kty, "oct") == 0)
		own = JWT_ALG_HS256;
	else if (strcmp(kty, "RSA") == 0)
		own = JWT_ALG_RS256;
	else if (strcmp(kty, "EC") == 0 && crv != NULL &&
	    strcmp(crv, "P-256") == 0)
		own = JWT_ALG_ES256;
	if (alg != NULL && algorithm_find(alg) != own)
		return JWT_ALG_NONE;
	return own;
}

static bool
keys_have(const struct token_keys *keys, const char *kid, jwt_alg_t alg)
{
	const struct key	*k;
	size_t			 i;

	for (i = 0; i < keys->nkeys; i++) {
		k = &keys->keys[i];
		if (k->alg == alg && kid != NULL && k->kid != NULL &&
		    strcmp(k->kid, kid) == 0)
			return true;
	}
	return false;
}

static int
jwk_load(struct token_keys *keys, const json_t *jwk, const char *allowed,
    const struct complaint *c)
{
	const char	*kid = json_string_value(json_object_get(jwk, "kid"));
	jwt_alg_t	 alg = jwk_algorithm(jwk);

	/* A published set may well hold keys for other purposes. */
	if (alg == JWT_ALG_NONE || !config_list_has(allowed, jwt_alg_str(alg)))
		return 0;
	if (keys_have(keys, kid, alg))
		return complain(c, "found two %s keys with kid %s, allowed: "
		    "one", jwt_alg_str(alg), log_quote(kid, strlen(kid)));
	if (alg == JWT_ALG_HS256)
		return jwk_secret_add(keys, kid, jwk, c);
	return jwk_public_add(keys, kid, jwk, alg, c);
}

static int
jwks_load(struct token_keys *keys, const json_t *set, const char *allowed,
    const struct complaint *c)
{
	const json_t	*list = json_object_get(set, "keys");
	size_t		 i, before = keys->nkeys;

	if (!json_is_array(list))
		return complain(c, "found no array \"keys\", allowed: a JWK "
		    "set, RFC 7517");
	for (i = 0; i < json_array_size(list); i++)
		if (jwk_load(keys, json_array_get(list, i), allowed, c) == -1)
			return -1;
	if (keys->nkeys == before)
		return complain(c, "found no key for %s (jwt_algorithms)",
		    allowed);
	return 0;
}

static int
jwks_file_load(struct token_keys *keys, const char *allowed,
    const struct complaint *c)
{
	json_error_t	 why;
	json_t		*set;
	char		*text;
	size_t		 len;
	int		 result;

	if ((text = file_read(c, &len)) == NULL)
		return -1;
	set = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (set == NULL) {
		/* Its own text quotes the file, which may hold a secret. */
		result = complain(c, "line %d, column %d: found no JSON",
		    why.line, why.column);
	} else {
		result = jwks_load(keys, set, allowed, c);
	}
	json_decref(set);
	OPENSSL_cleanse(text, len);
	free(text);
	return result;
}

/* The two ways to give the secret. */
static int
secret_load(struct token_keys *keys, const struct config *cfg,
    struct complaint *c)
{
	if (cfg->jwt_secret[0] == '\0' && cfg->jwt_secret_file[0] == '\0')
		return 0;
	c->key = "jwt_secret";
	if (cfg->jwt_secret[0] != '\0' && cfg->jwt_secret_file[0] != '\0')
		return complain(c, "found beside jwt_secret_file, allowed: "
		    "one of them");
	if (cfg->jwt_secret[0] == '\0')
		c->key = "jwt_secret_file";
	if (!config_list_has(cfg->jwt_algorithms, "HS256"))
		return complain(c, "found a secret, allowed: keys for %s "
		    "(jwt_algorithms)", cfg->jwt_algorithms);
	if (cfg->jwt_secret[0] != '\0')
		return secret_add(keys, NULL, cfg->jwt_secret,
		    strlen(cfg->jwt_secret), c);
	c->file = cfg->jwt_secret_file;
	return secret_file_load(keys, c);
}

static int
keys_load_all(struct token_keys *keys, const struct config *cfg,
    struct complaint *c)
{
	if (secret_load(keys, cfg, c) == -1)
		return -1;
	if (cfg->jwt_public_key_file[0] != '\0') {
		c->key = "jwt_public_key_file";
		c->file = cfg->jwt_public_key_file;
		if (pem_file_load(keys, cfg->jwt_algorithms, c) == -1)
			return -1;
	}
	if (cfg->jwt_jwks_file[0] != '\0') {
		c->key = "jwt_jwks_file";
		c->file = cfg->jwt_jwks_file;
		if (jwks_file_load(keys, cfg->jwt_algorithms, c) == -1)
			return -1;
	}
	if (keys->nkeys > 0)
		return 0;
	c->key = "jwt_secret";
	return complain(c, "found no key at all, needed: jwt_secret, "
	    "jwt_secret_file, jwt_public_key_file or jwt_jwks_file");
}

struct token_keys *
token_keys_load(const struct config *cfg, char *err, size_t errlen)
{
	struct token_keys	*keys = xcalloc(1, sizeof(*keys));
	struct complaint	 c = { .err = err, .errlen = errlen };

	keys->user_claim = xstrdup(cfg->jwt_user_claim);
	keys->issuer = xstrdup(cfg->jwt_issuer);
	keys->audience = xstrdup(cfg->jwt_audience);
	keys->short_secret = cfg->jwt_short_secret != 0;
	keys->leeway = cfg->jwt_leeway_ms / 1000;
	if (keys_load_all(keys, cfg, &c) == -1) {
		token_keys_free(keys);
		return NULL;
	}
	return keys;
}

void
token_keys_free(struct token_keys *keys)
{
	size_t	 i;

	if (keys == NULL)
		return;
	for (i = 0; i < keys->nkeys; i++) {
		OPENSSL_cleanse(keys->keys[i].bytes, keys->keys[i].len);
		free(keys->keys[i].bytes);
		free(keys->keys[i].kid);
	}
	free(keys->keys);
	free(keys->audience);
	free(keys->issuer);
	free(keys->user_claim);
	free(keys);
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

/*
 * The one key for this header; NULL with the reason.  A kid must be the key's
 * own unless that has none; without a kid, one key only may have the
 * algorithm.
 */
static const struct key *
key_find(const struct token_keys *keys, const json_t *header,
    const char **reason)
{
	const char	*name = json_string_value(json_object_get(header,
			    "alg"));
	const char	*kid = json_string_value(json_object_get(header,
			    "kid"));
	const struct key *k, *found = NULL, *any = NULL;
	jwt_alg_t	 alg;
	size_t		 i, fit = 0, nany = 0;

	*reason = "algorithm";
	if (name == NULL || (alg = algorithm_find(name)) == JWT_ALG_NONE)
		return NULL;
	for (i = 0; i < keys->nkeys; i++) {
		k = &keys->keys[i];
		if (k->alg != alg)
			continue;
		*reason = "key";
		fit++;
		if (k->kid == NULL) {
			any = k;
			nany++;
		}
		if (kid == NULL || (k->kid != NULL && strcmp(k->kid, kid) == 0))
			found = k;
	}
	if (kid == NULL)
		return fit == 1 ? found : NULL;
	if (found != NULL)
		return found;
	return nany == 1 ? any : NULL;
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
	else if ((k = key_find(keys, parts.header, reason)) != NULL)
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
