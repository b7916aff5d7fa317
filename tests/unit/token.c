/* SPDX-License-Identifier: ISC */

/* Tokens: made here with OpenSSL, right and in every way wrong. */

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <unistd.h>

#include "base/config.h"
#include "tap.h"
#include "base/token.h"
#include "base/xmalloc.h"

#define SECRET	"an HS256 secret of 32 bytes here"
#define OTHER	"another secret of 32 bytes, here"
#define NOW	INT64_C(1700000000)

static char		 dir[] = "/tmp/pgpush-token-XXXXXX";
static char		 err[1000];
static EVP_PKEY		*rsa, *rsa_other, *rsa_small, *ec, *ec_384;

/* base64url of p[len]; the caller frees. */
static char *
encode(const void *p, size_t len)
{
	char	*out = xmalloc(len * 4 / 3 + 5), *q;

	EVP_EncodeBlock((unsigned char *)out, p, (int)len);
	for (q = out; *q != '\0'; q++)
		if (*q == '+')
			*q = '-';
		else if (*q == '/')
			*q = '_';
		else if (*q == '=')
			*q = '\0';
	return out;
}

static size_t
sign_hs256(unsigned char *out, const char *text, const char *secret,
    size_t len)
{
	unsigned	 n = 0;

	HMAC(EVP_sha256(), secret, (int)len, (const unsigned char *)text,
	    strlen(text), out, &n);
	return n;
}

static size_t
sign_pkey(unsigned char *out, size_t size, const char *text, EVP_PKEY *key)
{
	EVP_MD_CTX	*ctx = EVP_MD_CTX_new();

	if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(ctx, out, &size, (const unsigned char *)text,
	    strlen(text)) != 1)
		abort();
	EVP_MD_CTX_free(ctx);
	return size;
}

/* r and s, 32 bytes each, out of the DER that OpenSSL writes. */
static size_t
ec_raw(unsigned char *out, const unsigned char *der, size_t len)
{
	ECDSA_SIG	*sig = d2i_ECDSA_SIG(NULL, &der, (long)len);

	BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32);
	ECDSA_SIG_free(sig);
	return 64;
}

/* header.payload, the caller frees. */
static char *
unsigned_token(const char *header, const char *payload)
{
	char	*h = encode(header, strlen(header));
	char	*p = encode(payload, strlen(payload));
	char	*text = xasprintf("%s.%s", h, p);

	free(h);
	free(p);
	return text;
}

/* The token text.signature; takes text. */
static char *
finish(char *text, const unsigned char *sig, size_t len)
{
	char	*s = encode(sig, len);
	char	*jwt = xasprintf("%s.%s", text, s);

	free(s);
	free(text);
	return jwt;
}

static char *
token_hs256(const char *header, const char *payload, const char *secret)
{
	char		*text = unsigned_token(header, payload);
	unsigned char	 sig[EVP_MAX_MD_SIZE];
	size_t		 len;

	len = sign_hs256(sig, text, secret, strlen(secret));
	return finish(text, sig, len);
}

static char *
token_pkey(const char *header, const char *payload, EVP_PKEY *key)
{
	char		*text = unsigned_token(header, payload);
	unsigned char	 sig[1024], raw[64];
	size_t		 len;

	len = sign_pkey(sig, sizeof(sig), text, key);
	if (EVP_PKEY_is_a(key, "EC"))
		return finish(text, raw, ec_raw(raw, sig, len));
	return finish(text, sig, len);
}

/* The name of a file in dir with this text in it; the caller frees. */
static char *
file_make(const char *name, const char *text)
{
	char	*path = xasprintf("%s/%s", dir, name);
	FILE	*fp = fopen(path, "w");

	if (fp == NULL || fputs(text, fp) == EOF || fclose(fp) != 0)
		abort();
	return path;
}

static char *
pem_public(EVP_PKEY *key)
{
	BIO	*bio = BIO_new(BIO_s_mem());
	char	*p, *pem;
	long	 len;

	PEM_write_bio_PUBKEY(bio, key);
	len = BIO_get_mem_data(bio, &p);
	pem = xmemdup(p, (size_t)len);
	BIO_free(bio);
	return pem;
}

static char *
bignum_encode(EVP_PKEY *key, const char *name, int width)
{
	unsigned char	 bytes[1024];
	BIGNUM		*n = NULL;
	int		 len;

	if (EVP_PKEY_get_bn_param(key, name, &n) != 1)
		abort();
	len = width > 0 ? width : BN_num_bytes(n);
	BN_bn2binpad(n, bytes, len);
	BN_free(n);
	return encode(bytes, (size_t)len);
}

/* The members of a JWK that make up the key; the caller frees. */
static char *
jwk_public(EVP_PKEY *key)
{
	bool	 is_rsa = EVP_PKEY_is_a(key, "RSA");
	char	*a, *b, *jwk;

	a = bignum_encode(key, is_rsa ? OSSL_PKEY_PARAM_RSA_N :
	    OSSL_PKEY_PARAM_EC_PUB_X, is_rsa ? 0 : 32);
	b = bignum_encode(key, is_rsa ? OSSL_PKEY_PARAM_RSA_E :
	    OSSL_PKEY_PARAM_EC_PUB_Y, is_rsa ? 0 : 32);
	jwk = xasprintf(is_rsa ? "\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"" :
	    "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"",
	    a, b);
	free(a);
	free(b);
	return jwk;
}

/* Keys for a configuration file of this text, which has no leeway unless it
 * says so; NULL with err. */
static struct token_keys *
keys_load(const char *conf)
{
	char			*text = xasprintf("%s%s", conf,
				    strstr(conf, "jwt_leeway") == NULL ?
				    "\njwt_leeway = 0s\n" : "");
	char			*path = file_make("conf", text);
	struct config		*cfg = config_load(path, err, sizeof(err));
	struct token_keys	*keys;

	if (cfg == NULL) {
		printf("# %s\n", err);
		abort();
	}
	err[0] = '\0';
	keys = token_keys_load(cfg, err, sizeof(err));
	config_free(cfg);
	free(path);
	free(text);
	return keys;
}

/* "ok", or the reason of the refusal.  Takes jwt. */
static const char *
verify(const struct token_keys *keys, char *jwt, struct token *t)
{
	size_t		 len = strlen(jwt);
	char		*copy = tap_copy(jwt, len);
	const char	*reason = "no reason";
	int		 result;

	result = token_verify(keys, copy, len, NOW, t, &reason);
	free(copy);
	free(jwt);
	return result == 0 ? "ok" : reason;
}

static void
expect(const struct token_keys *keys, char *jwt, const char *want,
    const char *what)
{
	struct token	 t;
	const char	*got = verify(keys, jwt, &t);

	ok(strcmp(got, want) == 0, "%s: %s, got %s", what, want, got);
	if (strcmp(got, "ok") == 0)
		token_free(&t);
	else
		ok(t.user == NULL && t.claims == NULL, "%s: leaves nothing",
		    what);
}

struct row {
	const char	*section;
	const char	*header;
	const char	*payload;
	const char	*want;
};

#define HS	"{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define EXP	"\"exp\":1700000060"
#define GOOD	"{\"sub\":\"7\"," EXP "}"

/* All signed rightly with the HS256 secret, whatever the header says. */
static const struct row rows[] = {
	{ "7519 7.2", HS, GOOD, "ok" },
	{ "7519 5.1", "{\"alg\":\"HS256\"}", GOOD, "ok" },
	{ "7519 5.1", "{\"alg\":\"HS256\",\"typ\":\"jwt\"}", GOOD, "ok" },
	{ "7519 5.1", "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", GOOD,
	    "malformed" },
	{ "7519 5.1", "{\"alg\":\"HS256\",\"typ\":1}", GOOD, "malformed" },
	{ "7515 4.1.1", "{}", GOOD, "algorithm" },
	{ "7515 4.1.1", "{\"alg\":null}", GOOD, "algorithm" },
	{ "7515 4.1.1", "{\"alg\":5}", GOOD, "algorithm" },
	{ "7515 4.1.1", "{\"alg\":[\"HS256\"]}", GOOD, "algorithm" },
	{ "7515 4.1.1", "{\"alg\":\"hs256\"}", GOOD, "algorithm" },
	{ "7515 4.1.1", "{\"alg\":\"HS256 \"}", GOOD, "algorithm" },
	{ "7515 4.1.1", "{\"alg\":\"HS384\"}", GOOD, "algorithm" },
	{ "7515 4.1.1", "{\"alg\":\"HS512\"}", GOOD, "algorithm" },
	{ "7515 4.1.1", "{\"alg\":\"RS256\"}", GOOD, "algorithm" },
	{ "7515 4.1.1", "{\"alg\":\"ES256\"}", GOOD, "algorithm" },
	{ "7518 3.6", "{\"alg\":\"none\"}", GOOD, "algorithm" },
	{ "7518 3.6", "{\"alg\":\"None\"}", GOOD, "algorithm" },
	{ "7518 3.6", "{\"alg\":\"\"}", GOOD, "algorithm" },
	{ "7515 4", "{\"alg\":\"none\",\"alg\":\"HS256\"}", GOOD,
	    "malformed" },
	{ "7515 4.1.4", "{\"alg\":\"HS256\",\"kid\":\"any\"}", GOOD, "ok" },
	{ "7515 4.1.4", "{\"alg\":\"HS256\",\"kid\":1}", GOOD, "malformed" },
	{ "7515 4.1.11", "{\"alg\":\"HS256\",\"crit\":[\"b64\"]}", GOOD,
	    "malformed" },
	{ "7515 4.1.2", "{\"alg\":\"HS256\",\"jku\":\"http://a\"}", GOOD,
	    "ok" },
	{ "7519 7.2", "[]", GOOD, "malformed" },
	{ "7519 7.2", "\"HS256\"", GOOD, "malformed" },
	{ "7519 7.2", "{\"alg\":\"HS256\"", GOOD, "malformed" },
	{ "7519 7.2", "{\"alg\":\"HS256\"}x", GOOD, "malformed" },
	{ "7519 7.2", "{\"alg\":\"HS256\\u0000\"}", GOOD, "malformed" },
	{ "7519 7.2", "{\"alg\":\"\xff\"}", GOOD, "malformed" },

	{ "7519 7.2", HS, "[]", "malformed" },
	{ "7519 7.2", HS, "null", "malformed" },
	{ "7519 7.2", HS, "7", "malformed" },
	{ "7519 7.2", HS, " ", "malformed" },
	{ "7519 7.2", HS, GOOD "}", "malformed" },
	{ "7519 4", HS, "{\"sub\":\"7\",\"sub\":\"8\"," EXP "}",
	    "malformed" },

	{ "7519 4.1.4", HS, "{\"sub\":\"7\",\"exp\":1700000000}", "expired" },
	{ "7519 4.1.4", HS, "{\"sub\":\"7\",\"exp\":1700000001}", "ok" },
	{ "7519 4.1.4", HS, "{\"sub\":\"7\",\"exp\":1700000000.9}",
	    "expired" },
	{ "7519 4.1.4", HS, "{\"sub\":\"7\",\"exp\":1700000001.1}", "ok" },
	{ "7519 4.1.4", HS, "{\"sub\":\"7\",\"exp\":0}", "expired" },
	{ "7519 4.1.4", HS, "{\"sub\":\"7\",\"exp\":-1}", "expired" },
	{ "7519 4.1.4", HS, "{\"sub\":\"7\",\"exp\":-1e300}", "expired" },
	{ "7519 4.1.4", HS, "{\"sub\":\"7\",\"exp\":-9223372036854775808}",
	    "expired" },
	{ "7519 4.1.4", HS, "{\"sub\":\"7\",\"exp\":9223372036854775807}",
	    "ok" },
	{ "7519 4.1.4", HS, "{\"sub\":\"7\",\"exp\":1e300}", "ok" },
	{ "7519 4.1.4", HS, "{\"sub\":\"7\",\"exp\":9223372036854775808}",
	    "malformed" },
	{ "7519 4.1.4", HS, "{\"sub\":\"7\",\"exp\":1e999}", "malformed" },
	{ "7519 4.1.4", HS, "{\"sub\":\"7\"}", "no exp" },
	{ "7519 4.1.4", HS, "{\"sub\":\"7\",\"exp\":null}", "no exp" },
	{ "7519 4.1.4", HS, "{\"sub\":\"7\",\"exp\":true}", "no exp" },
	{ "7519 4.1.4", HS, "{\"sub\":\"7\",\"exp\":\"1700000060\"}",
	    "no exp" },
	{ "7519 4.1.4", HS, "{\"sub\":\"7\",\"exp\":[1700000060]}",
	    "no exp" },
	{ "7519 4.1.5", HS, "{\"sub\":\"7\"," EXP ",\"nbf\":1700000000}",
	    "ok" },
	{ "7519 4.1.5", HS, "{\"sub\":\"7\"," EXP ",\"nbf\":1700000001}",
	    "not yet valid" },
	{ "7519 4.1.5", HS, "{\"sub\":\"7\"," EXP ",\"nbf\":1e300}",
	    "not yet valid" },
	{ "7519 4.1.5", HS, "{\"sub\":\"7\"," EXP ",\"nbf\":\"0\"}",
	    "not yet valid" },
	{ "7519 4.1.5", HS, "{\"sub\":\"7\"," EXP ",\"nbf\":null}",
	    "not yet valid" },
	{ "7519 4.1.5", HS, "{\"sub\":\"7\"," EXP ",\"nbf\":-5}", "ok" },

	{ "7519 4.1.2", HS, "{" EXP "}", "no user" },
	{ "7519 4.1.2", HS, "{\"sub\":\"\"," EXP "}", "no user" },
	{ "7519 4.1.2", HS, "{\"sub\":null," EXP "}", "no user" },
	{ "7519 4.1.2", HS, "{\"sub\":true," EXP "}", "no user" },
	{ "7519 4.1.2", HS, "{\"sub\":7.0," EXP "}", "no user" },
	{ "7519 4.1.2", HS, "{\"sub\":[\"7\"]," EXP "}", "no user" },
	{ "7519 4.1.2", HS, "{\"sub\":{}," EXP "}", "no user" },
	{ "7519 4.1.2", HS, "{\"sub\":\"a\\u0000b\"," EXP "}", "malformed" },
	{ "7519 4.1.2", HS, "{\"sub\":\"\\ud800\"," EXP "}", "malformed" },
	{ "7519 4.1.3", HS, "{\"sub\":\"7\",\"aud\":\"b\",\"iss\":\"c\"," EXP
	    "}", "ok" },
};

static void
test_rows(const struct token_keys *keys)
{
	char	*what;
	size_t	 i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		what = xasprintf("RFC %s: %s %s", rows[i].section,
		    rows[i].header, rows[i].payload);
		expect(keys, token_hs256(rows[i].header, rows[i].payload,
		    SECRET), rows[i].want, what);
		free(what);
	}
}

static void
test_content(const struct token_keys *keys)
{
	struct token	 t;

	verify(keys, token_hs256(HS, "{ \"sub\" : \"u 7\",\n \"role\":"
	    "[\"a\", {\"b\": 1}], \"exp\": 1700000060 }", SECRET), &t);
	ok(strcmp(t.user, "u 7") == 0 && t.exp == 1700000060, "user and exp");
	ok(strcmp(t.claims, "{\"sub\":\"u 7\",\"role\":[\"a\",{\"b\":1}],"
	    "\"exp\":1700000060}") == 0, "claims, compact: %s", t.claims);
	token_free(&t);
	ok(t.user == NULL && t.claims == NULL, "token_free leaves nothing");

	verify(keys, token_hs256(HS, "{\"sub\":-9223372036854775808," EXP "}",
	    SECRET), &t);
	ok(t.user != NULL && strcmp(t.user, "-9223372036854775808") == 0,
	    "an integer for a user");
	token_free(&t);
	verify(keys, token_hs256(HS, "{\"sub\":\"7\",\"exp\":1e300}", SECRET),
	    &t);
	ok(t.exp == INT64_C(253402300799), "exp ends with the year 9999");
	token_free(&t);
}

/* A payload with a user of n bytes. */
static char *
payload_long(size_t n)
{
	char	*user = xmalloc(n + 1), *payload;

	memset(user, 'u', n);
	user[n] = '\0';
	payload = xasprintf("{\"sub\":\"%s\"," EXP "}", user);
	free(user);
	return payload;
}

static void
test_sizes(const struct token_keys *keys)
{
	char	*p, *jwt;
	size_t	 n;

	p = payload_long(200);
	expect(keys, token_hs256(HS, p, SECRET), "ok", "user of 200 bytes");
	free(p);
	p = payload_long(201);
	expect(keys, token_hs256(HS, p, SECRET), "no user",
	    "user of 201 bytes");
	free(p);
	p = payload_long(9 * 1024 * 3 / 4);
	expect(keys, token_hs256(HS, p, SECRET), "malformed", "9 KB token");
	free(p);
	for (n = 6000, jwt = NULL; ; n++) {
		p = payload_long(n);
		jwt = token_hs256(HS, p, SECRET);
		free(p);
		if (strlen(jwt) >= 8191)
			break;
		free(jwt);
	}
	n = strlen(jwt);
	expect(keys, jwt, n > 8192 ? "malformed" : "no user",
	    "a token of just 8 KiB is read");
	expect(keys, xstrdup(""), "malformed", "empty token");
}

/* Everything that can be wrong with the outside of a token. */
static void
test_outside(const struct token_keys *keys)
{
	struct token	 t;
	char		*jwt, *dot, *text;
	size_t		 i, len, good = 0;

	jwt = token_hs256(HS, GOOD, SECRET);
	len = strlen(jwt);
	for (i = 0; i < len; i++) {
		text = xmemdup(jwt, i);
		if (strcmp(verify(keys, text, &t), "ok") == 0)
			good++;
	}
	ok(good == 0, "RFC 7515 3.1: no part of a token is one");

	expect(keys, xasprintf("%s.", jwt), "malformed", "a dot after");
	expect(keys, xasprintf(".%s", jwt), "malformed", "a dot before");
	expect(keys, xasprintf("%s.%s", jwt, jwt), "malformed", "five dots");
	expect(keys, xstrdup(".."), "malformed", "dots alone");
	expect(keys, xasprintf("%s=", jwt), "malformed", "padding");
	expect(keys, xasprintf("%sAA", jwt), "malformed",
	    "a length that no base64 has");
	expect(keys, xasprintf("%s ", jwt), "malformed", "a blank after");
	expect(keys, xasprintf("%s\n", jwt), "malformed", "a newline after");
	expect(keys, xasprintf(" %s", jwt), "malformed", "a blank before");

	dot = strrchr(jwt, '.');
	text = xmemdup(jwt, (size_t)(dot - jwt) + 1);
	expect(keys, text, "signature", "no signature");
	text = xstrdup(jwt);
	text[10] = '+';
	expect(keys, text, "malformed", "base64 that is not base64url");
	text = xstrdup(jwt);
	text[dot - jwt + 3] = '\xc3';
	expect(keys, text, "malformed", "a byte over 127 in the signature");
	text = xstrdup(jwt);
	text[dot - jwt + 3] = text[dot - jwt + 3] == 'A' ? 'B' : 'A';
	expect(keys, text, "signature", "one bit of the signature");
	free(jwt);

	expect(keys, token_hs256(HS, GOOD, OTHER), "signature",
	    "another secret");
	expect(keys, token_hs256("{\"alg\":\"none\"}", GOOD, ""), "algorithm",
	    "alg none, signed with nothing");
	text = unsigned_token("{\"alg\":\"none\"}", GOOD);
	expect(keys, xasprintf("%s.", text), "algorithm",
	    "alg none, no signature");
	free(text);
	text = unsigned_token(HS, GOOD);
	expect(keys, xasprintf("%s.", text), "signature",
	    "HS256, no signature");
	free(text);
}

static void
test_nul(const struct token_keys *keys)
{
	char		*jwt = token_hs256(HS, GOOD, SECRET);
	size_t		 len = strlen(jwt);
	char		*more = tap_copy(jwt, len + 1);
	struct token	 t;
	const char	*reason = NULL;

	ok(token_verify(keys, more, len + 1, NOW, &t, &reason) == -1 &&
	    strcmp(reason, "malformed") == 0, "a NUL after the token");
	more[4] = '\0';
	ok(token_verify(keys, more, len, NOW, &t, &reason) == -1 &&
	    strcmp(reason, "malformed") == 0, "a NUL in the token");
	free(more);
	free(jwt);
}

static void
test_hs256(void)
{
	struct token_keys	*keys = keys_load("jwt_secret = " SECRET "\n");

	ok(keys != NULL, "a secret: %s", err);
	test_rows(keys);
	test_content(keys);
	test_sizes(keys);
	test_outside(keys);
	test_nul(keys);
	token_keys_free(keys);
	token_keys_free(NULL);
}

static void
test_claims_configured(void)
{
	struct token_keys	*keys;
	struct token		 t;

	keys = keys_load("jwt_secret = " SECRET "\njwt_issuer = me\n"
	    "jwt_audience = push\njwt_user_claim = id\njwt_leeway = 5s\n");
#define PAY(more)	token_hs256(HS, "{\"id\":9," more "}", SECRET)
#define ISS	"\"iss\":\"me\","
#define AUD	"\"aud\":\"push\","
	ok(strcmp(verify(keys, PAY(ISS AUD EXP), &t), "ok") == 0 &&
	    strcmp(t.user, "9") == 0, "RFC 7519 4: all as configured");
	token_free(&t);
	expect(keys, PAY(AUD EXP), "issuer", "RFC 7519 4.1.1: no iss");
	expect(keys, PAY("\"iss\":\"Me\"," AUD EXP), "issuer",
	    "RFC 7519 4.1.1: another iss");
	expect(keys, PAY("\"iss\":[\"me\"]," AUD EXP), "issuer",
	    "RFC 7519 4.1.1: iss in an array");
	expect(keys, PAY(ISS EXP), "audience", "RFC 7519 4.1.3: no aud");
	expect(keys, PAY(ISS "\"aud\":\"pus\"," EXP), "audience",
	    "RFC 7519 4.1.3: another aud");
	expect(keys, PAY(ISS "\"aud\":[]," EXP), "audience",
	    "RFC 7519 4.1.3: nobody");
	expect(keys, PAY(ISS "\"aud\":[1,\"a\",\"push\"]," EXP), "ok",
	    "RFC 7519 4.1.3: one of several");
	expect(keys, PAY(ISS "\"aud\":{\"push\":1}," EXP), "audience",
	    "RFC 7519 4.1.3: an object");
	expect(keys, PAY(ISS AUD "\"exp\":1699999996"), "ok",
	    "RFC 7519 4.1.4: within the leeway");
	expect(keys, PAY(ISS AUD "\"exp\":1699999995"), "expired",
	    "RFC 7519 4.1.4: after the leeway");
	expect(keys, PAY(ISS AUD EXP ",\"nbf\":1700000005"), "ok",
	    "RFC 7519 4.1.5: within the leeway");
	expect(keys, PAY(ISS AUD EXP ",\"nbf\":1700000006"), "not yet valid",
	    "RFC 7519 4.1.5: before the leeway");
	expect(keys, token_hs256(HS, "{\"sub\":\"7\"," ISS AUD EXP "}",
	    SECRET), "no user", "the user claim is id, not sub");
	token_keys_free(keys);
}

/* A configuration with one key file; the caller frees. */
static char *
conf_file(const char *key, const char *name, const char *text,
    const char *algorithms)
{
	char	*path = file_make(name, text);
	char	*conf = xasprintf("%s = %s\njwt_algorithms = %s\n", key, path,
		    algorithms);

	free(path);
	return conf;
}

static struct token_keys *
keys_file(const char *key, const char *text, const char *algorithms)
{
	char			*conf = conf_file(key, "key", text,
				    algorithms);
	struct token_keys	*keys = keys_load(conf);

	free(conf);
	return keys;
}

/* The public key, taken for an HMAC secret: the classic confusion. */
static char *
token_confused(EVP_PKEY *key)
{
	char	*pem = pem_public(key);
	char	*jwt = token_hs256(HS, GOOD, pem);

	free(pem);
	return jwt;
}

#define RS	"{\"alg\":\"RS256\"}"
#define ES	"{\"alg\":\"ES256\"}"

static void
test_rs256(void)
{
	char			*pem = pem_public(rsa);
	struct token_keys	*keys;

	keys = keys_file("jwt_public_key_file", pem, "RS256");
	ok(keys != NULL, "an RSA key: %s", err);
	expect(keys, token_pkey(RS, GOOD, rsa), "ok", "RFC 7518 3.3: RS256");
	expect(keys, token_pkey(RS, GOOD, rsa_other), "signature",
	    "RFC 7518 3.3: another key");
	expect(keys, token_confused(rsa), "algorithm",
	    "RFC 8725 2.1: HS256 with the public key");
	expect(keys, token_pkey("{\"alg\":\"RS512\"}", GOOD, rsa),
	    "algorithm", "RFC 8725 3.1: RS512");
	expect(keys, token_pkey("{\"alg\":\"PS256\"}", GOOD, rsa),
	    "algorithm", "RFC 8725 3.1: PS256");
	expect(keys, token_pkey(ES, GOOD, ec), "algorithm",
	    "RFC 8725 3.1: ES256");
	expect(keys, token_pkey("{\"alg\":\"none\"}", GOOD, rsa), "algorithm",
	    "RFC 8725 2.1: none");
	token_keys_free(keys);
	keys = keys_file("jwt_public_key_file", pem, "HS256, RS256");
	expect(keys, token_confused(rsa), "algorithm",
	    "RFC 8725 2.1: the same where HS256 is allowed");
	token_keys_free(keys);
	free(pem);
}

static void
test_es256(void)
{
	char			*pem = pem_public(ec), *jwt;
	struct token_keys	*keys;

	keys = keys_file("jwt_public_key_file", pem, "ES256");
	ok(keys != NULL, "an EC key: %s", err);
	expect(keys, token_pkey(ES, GOOD, ec), "ok", "RFC 7518 3.4: ES256");
	expect(keys, token_confused(ec), "algorithm",
	    "RFC 8725 2.1: HS256 with the public key");
	expect(keys, token_pkey(RS, GOOD, rsa), "algorithm",
	    "RFC 8725 3.1: RS256");
	jwt = token_pkey(ES, GOOD, ec);
	jwt[strlen(jwt) - 4] = '\0';
	expect(keys, jwt, "signature", "RFC 7518 3.4: a short signature");
	expect(keys, finish(unsigned_token(ES, GOOD),
	    (const unsigned char[64]){ 0 }, 64), "signature",
	    "RFC 7518 3.4: r and s nought");
	expect(keys, finish(unsigned_token(ES, GOOD),
	    (const unsigned char[1]){ 0 }, 1), "signature",
	    "RFC 7518 3.4: a signature of one byte");
	expect(keys, token_hs256(ES, GOOD, SECRET), "signature",
	    "RFC 7518 3.4: 32 bytes of HMAC");
	token_keys_free(keys);
	free(pem);
}

#define OCT_A	"\"kty\":\"oct\",\"k\":" \
	"\"YW4gSFMyNTYgc2VjcmV0IG9mIDMyIGJ5dGVzIGhlcmU\""
#define OCT_B	"\"kty\":\"oct\",\"k\":" \
	"\"YW5vdGhlciBzZWNyZXQgb2YgMzIgYnl0ZXMsIGhlcmU\""

static void
test_jwks(void)
{
	char			*r = jwk_public(rsa), *e = jwk_public(ec);
	char			*r2 = jwk_public(rsa_other), *set;
	struct token_keys	*keys;

	set = xasprintf("{\"keys\":["
	    "{\"kid\":\"a\"," OCT_A ",\"alg\":\"HS256\"},"
	    "{\"kid\":\"b\"," OCT_B "},"
	    "{\"kid\":\"r\",%s,\"use\":\"sig\"},"
	    "{\"kid\":\"r2\",%s,\"use\":\"enc\"},"
	    "{\"kid\":\"r5\",%s,\"alg\":\"RS512\"},"
	    "{\"kid\":\"o\",\"kty\":\"OKP\",\"crv\":\"Ed25519\"},"
	    "{\"kid\":\"e\",%s},5,null,{}]}", r, r2, r2, e);
	keys = keys_file("jwt_jwks_file", set, "HS256 RS256 ES256");
	ok(keys != NULL, "RFC 7517 5: a set: %s", err);
#define KID(alg, kid)	"{\"alg\":\"" alg "\",\"kid\":\"" kid "\"}"
	expect(keys, token_hs256(KID("HS256", "a"), GOOD, SECRET), "ok",
	    "RFC 7515 4.1.4: kid a");
	expect(keys, token_hs256(KID("HS256", "b"), GOOD, OTHER), "ok",
	    "RFC 7515 4.1.4: kid b");
	expect(keys, token_hs256(KID("HS256", "b"), GOOD, SECRET),
	    "signature", "RFC 7515 4.1.4: kid b with the key of a");
	expect(keys, token_hs256(KID("HS256", "c"), GOOD, SECRET), "key",
	    "RFC 7515 4.1.4: kid c");
	expect(keys, token_hs256(KID("HS256", "r"), GOOD, SECRET), "key",
	    "RFC 8725 3.1: HS256 with the kid of an RSA key");
	expect(keys, token_pkey(KID("RS256", "r"), GOOD, rsa), "ok",
	    "RFC 7518 6.3: an RSA key");
	expect(keys, token_pkey(KID("ES256", "e"), GOOD, ec), "ok",
	    "RFC 7518 6.2: an EC key");
	expect(keys, token_pkey(KID("RS256", "r2"), GOOD, rsa_other), "key",
	    "RFC 7517 4.2: a key for encryption");
	expect(keys, token_pkey(KID("RS256", "r5"), GOOD, rsa_other), "key",
	    "RFC 7517 4.4: a key for RS512");
	expect(keys, token_hs256(HS, GOOD, SECRET), "key",
	    "no kid, two keys fit");
	expect(keys, token_pkey(RS, GOOD, rsa), "ok", "no kid, one key fits");
	expect(keys, token_pkey(ES, GOOD, ec), "ok", "the same with EC");
	token_keys_free(keys);

	keys = keys_file("jwt_jwks_file", set, "RS256");
	expect(keys, token_hs256(KID("HS256", "a"), GOOD, SECRET),
	    "algorithm", "a key whose algorithm is not allowed");
	token_keys_free(keys);
	free(set);
	free(r);
	free(r2);
	free(e);
}

/* A secret beside a set: each kid its key, and the secret for the rest. */
static void
test_jwks_and_secret(void)
{
	char			*path, *conf;
	struct token_keys	*keys;

	path = file_make("set", "{\"keys\":[{\"kid\":\"b\"," OCT_B "}]}");
	conf = xasprintf("jwt_secret = " SECRET "\njwt_jwks_file = %s\n",
	    path);
	keys = keys_load(conf);
	expect(keys, token_hs256(KID("HS256", "b"), GOOD, OTHER), "ok",
	    "kid b is the set's");
	expect(keys, token_hs256(KID("HS256", "b"), GOOD, SECRET),
	    "signature", "kid b is not the secret's");
	expect(keys, token_hs256(KID("HS256", "x"), GOOD, SECRET), "ok",
	    "kid x is the secret's");
	expect(keys, token_hs256(HS, GOOD, SECRET), "key",
	    "no kid, two keys fit");
	token_keys_free(keys);
	free(conf);
	free(path);
}

static void
test_secret_file(void)
{
	struct token_keys	*keys;

	keys = keys_file("jwt_secret_file", SECRET "\r\n", "HS256");
	ok(keys != NULL, "a secret in a file: %s", err);
	expect(keys, token_hs256(HS, GOOD, SECRET), "ok",
	    "its newline is none of it");
	token_keys_free(keys);
}

struct bad {
	const char	*key;
	const char	*algorithms;
	const char	*text;
	const char	*err;		/* a part of it */
};

static const struct bad bads[] = {
	{ "jwt_secret_file", "HS256", "31 bytes, which is one too few.\n",
	    "found a secret of 31 bytes, allowed: 32 or more" },
	{ "jwt_secret_file", "HS256", "", "found a secret of 0 bytes" },
	{ "jwt_secret_file", "RS256", SECRET,
	    "jwt_secret_file: found a secret, allowed: keys for RS256" },
	{ "jwt_public_key_file", "RS256", "", "found no public key" },
	{ "jwt_public_key_file", "RS256", "-----BEGIN PUBLIC KEY-----\nAAAA\n"
	    "-----END PUBLIC KEY-----\n", "found no public key" },
	{ "jwt_jwks_file", "HS256", "", "line 1, column 0: found no JSON" },
	{ "jwt_jwks_file", "HS256", "{\"keys\":[}",
	    "line 1, column 10: found no JSON" },
	{ "jwt_jwks_file", "HS256", "[]", "found no array \"keys\"" },
	{ "jwt_jwks_file", "HS256", "{\"keys\":{}}",
	    "found no array \"keys\"" },
	{ "jwt_jwks_file", "HS256", "{\"keys\":[]}", "found no key for HS256" },
	{ "jwt_jwks_file", "RS256", "{\"keys\":[{" OCT_A "}]}",
	    "found no key for RS256" },
	{ "jwt_jwks_file", "HS256", "{\"keys\":[{\"kty\":\"oct\"}]}",
	    "found an oct key without \"k\"" },
	{ "jwt_jwks_file", "HS256", "{\"keys\":[{\"kty\":\"oct\",\"k\":"
	    "\"a+b/\"}]}", "found an oct key without \"k\"" },
	{ "jwt_jwks_file", "HS256", "{\"keys\":[{\"kty\":\"oct\",\"k\":5}]}",
	    "found an oct key without \"k\"" },
	{ "jwt_jwks_file", "HS256", "{\"keys\":[{\"kty\":\"oct\",\"k\":"
	    "\"c2hvcnQ\"}]}", "found a secret of 5 bytes" },
	{ "jwt_jwks_file", "HS256", "{\"keys\":[{\"kid\":\"a\"," OCT_A "},"
	    "{\"kid\":\"a\"," OCT_B "}]}",
	    "found two HS256 keys with kid \"a\"" },
	{ "jwt_jwks_file", "RS256", "{\"keys\":[{\"kid\":\"x\",\"kty\":"
	    "\"RSA\",\"n\":\"AQAB\"}]}", "found a malformed key (kid \"x\")" },
	{ "jwt_jwks_file", "RS256", "{\"keys\":[{\"kty\":\"RSA\",\"n\":"
	    "\"xQAB\",\"e\":\"AQAB\"}]}", "found an RSA key of 24 bits" },
	{ "jwt_jwks_file", "ES256", "{\"keys\":[{\"kty\":\"EC\",\"crv\":"
	    "\"P-256\",\"x\":\"AQAB\",\"y\":\"AQAB\"}]}",
	    "found a malformed key (kid \"\")" },
	{ "jwt_jwks_file", "ES256", "{\"keys\":[{\"kty\":\"EC\",\"crv\":"
	    "\"P-256\",\"x\":\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\","
	    "\"y\":\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\"}]}",
	    "found a malformed key" },
};

static void
test_bad_keys(void)
{
	struct token_keys	*keys;
	size_t			 i;

	for (i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		keys = keys_file(bads[i].key, bads[i].text,
		    bads[i].algorithms);
		ok(keys == NULL && strstr(err, bads[i].key) == err &&
		    strstr(err, bads[i].err) != NULL, "row %zu: %s", i, err);
		token_keys_free(keys);
	}
}

static void
expect_bad(const char *conf, const char *want)
{
	struct token_keys	*keys = keys_load(conf);

	ok(keys == NULL && strstr(err, want) != NULL, "%s", err);
	token_keys_free(keys);
}

static void
expect_bad_pem(EVP_PKEY *key, const char *algorithms, const char *want)
{
	char			*pem = pem_public(key);
	struct token_keys	*keys;

	keys = keys_file("jwt_public_key_file", pem, algorithms);
	ok(keys == NULL && strstr(err, want) != NULL, "%s", err);
	token_keys_free(keys);
	free(pem);
}

static void
test_bad_configurations(void)
{
	char			*pem, *two;
	struct token_keys	*keys;

	expect_bad("", "jwt_secret: found no key at all");
	expect_bad("jwt_secret = short\n",
	    "jwt_secret: found a secret of 5 bytes, allowed: 32 or more");
	expect_bad("jwt_secret = " SECRET "\njwt_secret_file = /x\n",
	    "jwt_secret: found beside jwt_secret_file");
	expect_bad("jwt_secret_file = /nowhere/x\n",
	    "jwt_secret_file: /nowhere/x: No such file or directory");
	expect_bad("jwt_secret_file = /\n",
	    "jwt_secret_file: /: Is a directory");
	expect_bad("jwt_secret_file = /dev/zero\n", "more than 1048576 bytes");
	expect_bad_pem(rsa, "HS256", "found a key for RS256, allowed: HS256");
	expect_bad_pem(ec, "RS256", "found a key for ES256, allowed: RS256");
	expect_bad_pem(rsa_small, "RS256", "found a RSA key of 1024 bits");
	expect_bad_pem(ec_384, "ES256", "found a EC key of 384 bits");
	pem = pem_public(rsa);
	two = xasprintf("%s%s", pem, pem);
	keys = keys_file("jwt_public_key_file", two, "RS256");
	ok(keys == NULL && strstr(err, "found a second key") != NULL, "%s",
	    err);
	token_keys_free(keys);
	free(two);
	free(pem);
}

static void
dir_remove(void)
{
	static const char *const	 names[] = { "conf", "key", "set" };
	char				*path;
	size_t				 i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path = xasprintf("%s/%s", dir, names[i]);
		unlink(path);
		free(path);
	}
	rmdir(dir);
}

int
main(void)
{
	clearenv();
	if (mkdtemp(dir) == NULL)
		return 1;
	rsa = EVP_RSA_gen(2048);
	rsa_other = EVP_RSA_gen(2048);
	rsa_small = EVP_RSA_gen(1024);
	ec = EVP_EC_gen("P-256");
	ec_384 = EVP_EC_gen("P-384");
	test_hs256();
	test_claims_configured();
	test_rs256();
	test_es256();
	test_jwks();
	test_jwks_and_secret();
	test_secret_file();
	test_bad_keys();
	test_bad_configurations();
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(rsa_other);
	EVP_PKEY_free(rsa_small);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(ec_384);
	dir_remove();
	return tap_done();
}
