/* SPDX-License-Identifier: ISC */
#ifndef KEYS_H
#define KEYS_H

#include <jwt.h>
#include <stddef.h>

/*
 * The keys that verify tokens, each pinned to one algorithm: HS256, RS256 or
 * ES256.
 */

struct config;
struct keys;

struct key {
	char		*kid;		/* owned; NULL: fits any */
	jwt_alg_t	 alg;
	unsigned char	*bytes;		/* owned; a secret, or PEM with NUL */
	size_t		 len;		/* without that NUL */
};

/*
 * Load the keys that the configuration names (jwt_secret, jwt_secret_file,
 * jwt_public_key_file, jwt_jwks_file).  Returns NULL with the reason in err;
 * no key at all is an error too.  An HS256 secret must have 32 bytes or more
 * unless jwt_short_secret is set, an RSA key 2048 bits; EC is P-256.  A secret
 * file ends before its newlines.  In a JWK set, keys for other algorithms or
 * uses than ours are passed over.
 */
struct keys	*keys_load(const struct config *cfg, char *err, size_t errlen);
void		 keys_free(struct keys *keys);

/*
 * The one key for a token's header, whose alg and kid may be NULL; or NULL with
 * *reason set to a constant for the log, "algorithm" or "key".  A kid must be
 * the key's own unless that has none; without a kid, one key only may have the
 * algorithm.
 */
const struct key *
		 keys_find(const struct keys *keys, const char *alg,
		    const char *kid, const char **reason);

#endif
