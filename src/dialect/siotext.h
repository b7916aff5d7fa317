/* SPDX-License-Identifier: ISC */
#ifndef SIOTEXT_H
#define SIOTEXT_H

#include "push/session.h"

/*
 * What sessions of Socket.IO are told, as text.
 */

struct config;
struct feed;

/* A namespace with or without positions: a variant of the dialect. */
struct variant {
	struct dialect	 dialect;	/* first: it stands for the variant */
	const char	*nsp;
	bool		 recovers;	/* events carry their position */
};

/* feed gives positions, and outlives the module. */
void	 siotext_init(struct feed *feed);
/* Whether a position, as events carry it, is of this history. */
bool	 siotext_knows(const char *epoch, int64_t id);

const struct variant *
	 siotext_variant(const struct session *s);

/* As in struct dialect. */
struct frame	*siotext_event(const struct dialect *d, const struct entry *e);
struct frame	*siotext_emit(struct session *s, const char *event,
		    const char *data);
struct frame	*siotext_sent(struct session *s, const struct reply_to *to,
		    const char *data);
struct frame	*siotext_error(struct session *s, const struct reply_to *to,
		    const char *code, const char *message);

/* CONNECT: the socket's id, and what recovers it (NULL: nothing does). */
struct frame	*siotext_connected(const struct session *s, const char *pid);
/* What CONNECT_ERROR says; the caller frees. */
char		*siotext_refusal(const char *message, const char *code);

#endif
