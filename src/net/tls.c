/* SPDX-License-Identifier: ISC */

/*
 * Tickets are the only memory of sessions.  Their keys follow from the secret
 * and the hour, so daemons with one secret accept one another's tickets, and a
 * restart accepts those from before, and nobody has to hand keys around.  One
 * key's tickets are accepted for TICKET_HOURS; a stolen key opens no more.
 */

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/xmalloc.h"
#include "net/tls.h"

#define HOUR_S		3600
#define TICKET_HOURS	4
#define SECRET_MIN	32		/* bytes */
#define SECRET_MAX	1024

struct tls {
	SSL_CTX		*ctx;
	unsigned char	 secret[SECRET_MAX];
	size_t		 secret_len;
};

struct ticket_key {
	unsigned char	name[16];
	unsigned char	aes[32];
	unsigned char	hmac[32];
};

/* The part's bytes of the key of an hour. */
static bool
derive(const struct tls *t, int64_t hour, unsigned char part,
    unsigned char out[EVP_MAX_MD_SIZE])
{
	unsigned char	data[1 + sizeof(hour)];
	unsigned int	len;

	data[0] = part;
	memcpy(data + 1, &hour, sizeof(hour));
	return HMAC(EVP_sha256(), t->secret, (int)t->secret_len, data,
	    sizeof(data), out, &len) != NULL;
}

static bool
key_of_hour(const struct tls *t, int64_t hour, struct ticket_key *k)
{
	unsigned char	out[EVP_MAX_MD_SIZE];

	if (!derive(t, hour, 0, out))
		return false;
	memcpy(k->name, out, sizeof(k->name));
	if (!derive(t, hour, 1, out))
		return false;
	memcpy(k->aes, out, sizeof(k->aes));
	if (!derive(t, hour, 2, out))
		return false;
	memcpy(k->hmac, out, sizeof(k->hmac));
	return true;
}

static int
ticket_begin(const struct ticket_key *k, const unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int enc)
{
	char		 digest[] = "SHA256";
	unsigned char	 key[sizeof(k->hmac)];
	OSSL_PARAM	 params[3];

	memcpy(key, k->hmac, sizeof(key));
	params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key,
	    sizeof(key));
	params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
	    digest, 0);
	params[2] = OSSL_PARAM_construct_end();
	return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv,
	    enc) == 1 && EVP_MAC_CTX_set_params(mac, params) == 1 ? 1 : -1;
}

/* As SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 yes, 2 yes and renew, 0 a
 * ticket that we do not know, -1 an error. */
static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int enc)
{
	const struct tls	*t = SSL_CTX_get_app_data(
				    SSL_get_SSL_CTX(ssl));
	struct ticket_key	 k;
	int64_t			 hour = time(NULL) / HOUR_S;
	int			 i;

	if (enc) {
		if (!key_of_hour(t, hour, &k) ||
		    RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1)
			return -1;
		memcpy(name, k.name, sizeof(k.name));
		return ticket_begin(&k, iv, cipher, mac, enc);
	}
	for (i = 0; i <= TICKET_HOURS; i++) {
		if (!key_of_hour(t, hour - i, &k))
			return -1;
		if (memcmp(name, k.name, sizeof(k.name)) != 0)
			continue;
		if (ticket_begin(&k, iv, cipher, mac, enc) != 1)
			return -1;
		return i == 0 ? 1 : 2;
	}
	return 0;
}

static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
    const unsigned char *in, unsigned int inlen, void *arg)
{
	static const unsigned char	 ours[] = "\x08http/1.1";
	unsigned char			*chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, outlen, ours, sizeof(ours) - 1, in,
	    inlen) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* Always -1. */
static int
complain(const char *what, const char *file, char *err, size_t errlen)
{
	const char	*why = ERR_reason_error_string(ERR_peek_last_error());

	(void)snprintf(err, errlen, "%s: %s: %s", what, file,
	    why == NULL ? "cannot be read" : why);
	ERR_clear_error();
	return -1;
}

static int
load_secret(struct tls *t, const char *file, char *err, size_t errlen)
{
	FILE	*fp;

	if (file[0] == '\0') {
		t->secret_len = SECRET_MIN;
		return RAND_bytes(t->secret, SECRET_MIN) == 1 ? 0 : -1;
	}
	if ((fp = fopen(file, "re")) == NULL)
		return complain("tls_ticket_secret_file", file, err, errlen);
	t->secret_len = fread(t->secret, 1, sizeof(t->secret), fp);
	fclose(fp);
	if (t->secret_len >= SECRET_MIN)
		return 0;
	(void)snprintf(err, errlen, "tls_ticket_secret_file: %s: found %zu "
	    "bytes, allowed: %d or more", file, t->secret_len, SECRET_MIN);
	return -1;
}

static int
load_files(struct tls *t, const struct tls_files *f, char *err, size_t errlen)
{
	if (SSL_CTX_use_certificate_chain_file(t->ctx, f->certificate) != 1)
		return complain("tls_certificate_file", f->certificate, err,
		    errlen);
	if (SSL_CTX_use_PrivateKey_file(t->ctx, f->key, SSL_FILETYPE_PEM) != 1)
		return complain("tls_key_file", f->key, err, errlen);
	if (SSL_CTX_check_private_key(t->ctx) != 1)
		return complain("tls_key_file", f->key, err, errlen);
	return load_secret(t, f->tickets, err, errlen);
}

static void
set_up(SSL_CTX *ctx)
{
	static const unsigned char	context[] = "pgpush";

	(void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_timeout(ctx, TICKET_HOURS * HOUR_S);
	(void)SSL_CTX_set_num_tickets(ctx, 1);
	(void)SSL_CTX_set_session_id_context(ctx, context,
	    sizeof(context) - 1);
	(void)SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
}

struct tls *
tls_new(void)
{
	return xcalloc(1, sizeof(struct tls));
}

int
tls_load(struct tls *t, const struct tls_files *files, char *err,
    size_t errlen)
{
	struct tls	fresh = { .ctx = SSL_CTX_new(TLS_server_method()) };

	(void)snprintf(err, errlen, "TLS: no memory");
	if (fresh.ctx == NULL)
		return -1;
	set_up(fresh.ctx);
	if (load_files(&fresh, files, err, errlen) == -1) {
		SSL_CTX_free(fresh.ctx);
		return -1;
	}
	/* Streams hold the old context, which also asks us about tickets. */
	SSL_CTX_set_app_data(fresh.ctx, t);
	SSL_CTX_free(t->ctx);
	if (files->tickets[0] == '\0' && t->ctx != NULL) {
		memcpy(fresh.secret, t->secret, sizeof(fresh.secret));
		fresh.secret_len = t->secret_len;
	}
	*t = fresh;
	OPENSSL_cleanse(fresh.secret, sizeof(fresh.secret));
	return 0;
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	SSL_CTX_free(t->ctx);
	OPENSSL_cleanse(t->secret, sizeof(t->secret));
	free(t);
}

struct ssl_st *
tls_stream(const struct tls *t, int fd)
{
	SSL	*ssl = SSL_new(t->ctx);

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_accept_state(ssl);
	return ssl;
}
