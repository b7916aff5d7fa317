/* SPDX-License-Identifier: ISC */

/*
 * Every key is kept in the form that libjwt reads: a secret as it is, a public
 * key as PEM.  A key's algorithm comes from its type, never from a token.
 */

#include <errno.h>
#include <jansson.h>
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

#include "base/base64url.h"
#include "base/config.h"
#include "base/keys.h"
#include "base/log.h"
#include "base/xmalloc.h"

#define FILE_MAX	(1024 * 1024)	/* bytes, of a file with keys */
#define SECRET_MIN	32		/* bytes, RFC 7518 section 3.2 */
#define RSA_BITS_MIN	2048		/* RFC 7518 section 3.3 */
#define EC_BYTES	32		/* a coordinate of P-256 */

struct keys {
	struct key	*list;		/* owned */
	size_t		 n;
	bool		 short_secret;	/* is allowed */
};

/* Where the reason of a failed load goes. */
struct complaint {
	const char	*key;		/* of the configuration */
	const char	*file;
	char		*err;
	size_t		 errlen;
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

/* Take over bytes. */
static void
keys_add(struct keys *keys, const char *kid, jwt_alg_t alg,
    unsigned char *bytes, size_t len)
{
	struct key	*k;

	keys->list = xrealloc(keys->list,
	    (keys->n + 1) * sizeof(*keys->list));
	k = &keys->list[keys->n++];
	k->kid = kid != NULL ? xstrdup(kid) : NULL;
	k->alg = alg;
	k->bytes = bytes;
	k->len = len;
}

static int
secret_add(struct keys *keys, const char *kid, const void *secret,
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
pkey_add(struct keys *keys, const char *kid, EVP_PKEY *pkey,
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
secret_file_load(struct keys *keys, const struct complaint *c)
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
pem_load(struct keys *keys, BIO *bio, const char *allowed,
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
pem_file_load(struct keys *keys, const char *allowed,
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
jwk_secret_add(struct keys *keys, const char *kid, const json_t *jwk,
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
jwk_public_add(struct keys *keys, const char *kid, const json_t *jwk,
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
keys_have(const struct keys *keys, const char *kid, jwt_alg_t alg)
{
	const struct key	*k;
	size_t			 i;

	for (i = 0; i < keys->n; i++) {
		k = &keys->list[i];
		if (k->alg == alg && kid != NULL && k->kid != NULL &&
		    strcmp(k->kid, kid) == 0)
			return true;
	}
	return false;
}

static int
jwk_load(struct keys *keys, const json_t *jwk, const char *allowed,
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
jwks_load(struct keys *keys, const json_t *set, const char *allowed,
    const struct complaint *c)
{
	const json_t	*list = json_object_get(set, "keys");
	size_t		 i, before = keys->n;

	if (!json_is_array(list))
		return complain(c, "found no array \"keys\", allowed: a JWK "
		    "set, RFC 7517");
	for (i = 0; i < json_array_size(list); i++)
		if (jwk_load(keys, json_array_get(list, i), allowed, c) == -1)
			return -1;
	if (keys->n == before)
		return complain(c, "found no key for %s (jwt_algorithms)",
		    allowed);
	return 0;
}

static int
jwks_file_load(struct keys *keys, const char *allowed,
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
secret_load(struct keys *keys, const struct config *cfg,
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
keys_load_all(struct keys *keys, const struct config *cfg,
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
	if (keys->n > 0)
		return 0;
	c->key = "jwt_secret";
	return complain(c, "found no key at all, needed: jwt_secret, "
	    "jwt_secret_file, jwt_public_key_file or jwt_jwks_file");
}

struct keys *
keys_load(const struct config *cfg, char *err, size_t errlen)
{
	struct keys		*keys = xcalloc(1, sizeof(*keys));
	struct complaint	 c = { .err = err, .errlen = errlen };

	keys->short_secret = cfg->jwt_short_secret != 0;
	if (keys_load_all(keys, cfg, &c) == -1) {
		keys_free(keys);
		return NULL;
	}
	return keys;
}

void
keys_free(struct keys *keys)
{
	size_t	 i;

	if (keys == NULL)
		return;
	for (i = 0; i < keys->n; i++) {
		OPENSSL_cleanse(keys->list[i].bytes, keys->list[i].len);
		free(keys->list[i].bytes);
		free(keys->list[i].kid);
	}
	free(keys->list);
	free(keys);
}

const struct key *
keys_find(const struct keys *keys, const char *name, const char *kid,
    const char **reason)
{
	const struct key *k, *found = NULL, *any = NULL;
	jwt_alg_t	 alg;
	size_t		 i, fit = 0, nany = 0;

	*reason = "algorithm";
	if (name == NULL || (alg = algorithm_find(name)) == JWT_ALG_NONE)
		return NULL;
	for (i = 0; i < keys->n; i++) {
		k = &keys->list[i];
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
