/* SPDX-License-Identifier: ISC */
#ifndef TOKEN_H
#define TOKEN_H

#include <stddef.h>
#include <stdint.h>

/*
 * JSON Web Tokens, RFC 7519: from a compact token to a user and its claims.
 * The algorithm is pinned per key and never taken from the token.
 */

struct config;
struct token_keys;

struct token {
	char		*user;		/* owned */
	char		*claims;	/* owned; the payload as compact JSON */
	int64_t		 exp;		/* Unix time, seconds; to year 9999 */
};

/*
 * The keys as keys_load loads them, and what a token's claims must be.  Returns
 * NULL with the reason in err.
 */
struct token_keys *
	 token_keys_load(const struct config *cfg, char *err, size_t errlen);
void	 token_keys_free(struct token_keys *);

/* Exchange what two have, so that whoever holds the one uses the other's keys
 * from now on. */
void	 token_keys_swap(struct token_keys *, struct token_keys *);

/*
 * Verify a token at time now (Unix, seconds).  Returns 0 and fills t (free
 * with token_free), or -1 with *reason set to a constant for the log:
 * "malformed", "algorithm", "key", "signature", "expired", "not yet valid",
 * "issuer", "audience", "no exp", "no user".  exp is required; nbf is checked
 * if present; iss and aud only if configured.  The user claim may be a string
 * of 1 to 200 bytes or an integer.  Tokens over 8 KiB, with "crit" or with a
 * "typ" other than JWT are malformed.  A token without a kid is tried only if
 * exactly one key has its algorithm; a key without one fits every kid.
 */
int	 token_verify(const struct token_keys *keys, const char *jwt,
	    size_t len, int64_t now, struct token *t, const char **reason)
    __attribute__((warn_unused_result));
void	 token_free(struct token *t);

#endif
