/* SPDX-License-Identifier: ISC */
#ifndef RIGHTS_H
#define RIGHTS_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Questions of rights under way.  An answer counts for nothing if a revoke, a
 * kick or a change of the rules that touches it passed the feed between the
 * question and the answer.
 */

struct session;

/* One question; the asker embeds it, all zero at first. */
struct rights {
	TAILQ_ENTRY(rights)	 entry;		/* first asked first */
	const struct session	*session;	/* outlives us; NULL: ended */
	uint64_t		 revokes;	/* ever, as it was asked */
	bool			 is_void;
};

/* It is asked now, for the first time or again. */
void	 rights_ask(struct rights *q, const struct session *s);
/* The answer has been dealt with; harmless if it was never asked. */
void	 rights_end(struct rights *q);

/* All rights of its user have changed since. */
bool	 rights_is_void(const struct rights *q);
/* Its user has lost this room since, or one of them; or it cannot be told. */
bool	 rights_is_revoked(const struct rights *q, const char *room);
bool	 rights_is_revoked_any(const struct rights *q, char *const *rooms,
	    size_t n);

/* A right ended.  An empty room is every room, an empty user everybody. */
void	 rights_revoke(const char *room, const char *user);

#endif
