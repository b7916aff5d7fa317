/* SPDX-License-Identifier: ISC */
#ifndef GREET_H
#define GREET_H

#include <stddef.h>
#include <stdint.h>

#include "push/rights.h"

/*
 * Being admitted: a token names the user, and the database tells whether
 * there is such a user and where it may be.
 */

struct ask;
struct config;
struct feed;
struct greeting;
struct session;
struct token_keys;

/* All outlive the module. */
void	 greet_init(const struct config *cfg, struct feed *feed,
	    const struct token_keys *keys);

enum greet_token {
	GREET_BAD,		/* not a good token; the log has the reason */
	GREET_STRANGER,		/* another user's */
	GREET_SAME,		/* of the same user with the same claims */
	GREET_OTHER,		/* with others; or the first one */
};
/*
 * Give the session the identity of a token, unless it is bad or another
 * user's.  Claims that only date a token (exp, iat, nbf, jti) do not count.
 */
enum greet_token
	 greet_identify(struct session *s, const char *token, size_t len);

enum greet_outcome {
	GREET_UNAVAILABLE,	/* no database, or no answer in time */
	GREET_UNKNOWN,		/* no such user */
	GREET_KNOWN,
};

struct greeting {
	struct rights	 rights;
	struct session	*session;	/* outlives us */
	char		*asked;		/* owned; or NULL */
	int64_t		 asked_ms;
	struct ask	*ask;		/* NULL: no question is under way */
	/* Called once, unless it is given up. */
	void		(*done)(struct greeting *g);
	/* Then: */
	enum greet_outcome outcome;
	char		**rooms;	/* owned: the greeting's, each once */
	size_t		  nrooms;
	char		**denied;	/* owned: asked for in vain */
	size_t		  ndenied;
};

/*
 * Ask the database about the session's user, and about rooms that it asks for
 * (a JSON array, or NULL).  An answer that a revoke has overtaken is asked
 * again.  Returns NULL if there is no database; free it with greet_free, which
 * gives up a question under way.
 */
struct greeting	*greet_ask(struct session *s, const char *rooms,
		    void (*done)(struct greeting *g))
		    __attribute__((warn_unused_result));
void		 greet_free(struct greeting *g);

/*
 * Tell the session that it is in: it is listed, and in the greeting's rooms,
 * complete from since on (-1: from now).
 */
void	 greet_welcome(struct session *s, const struct greeting *g,
	    int64_t since, const char *epoch);

#endif
