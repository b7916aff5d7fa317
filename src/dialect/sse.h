/* SPDX-License-Identifier: ISC */
#ifndef SSE_H
#define SSE_H

#include <stdint.h>

#include "push/session.h"

/*
 * Server-sent events (HTML standard, section 9.2) and the POST beside them:
 * the second dialect, pgpush-protocol(7).  What a stream is told is the native
 * frame as data; its position goes with it as the event's id, one for all
 * rooms of the stream.
 */

struct conn;
struct feed;

/* feed gives the epoch for ids, and outlives the module. */
void	 sse_init(struct feed *feed);

/* Of a session whose connection is a stream, or is to become one. */
extern const struct dialect sse_dialect;

/*
 * Of a session that lasts for one POST: it is in no room, and its connection
 * is answered with the reply to its one command.
 */
extern const struct dialect post_dialect;

/*
 * The session's reply to the command with this ref is the answer to the
 * deferred request of this connection; the ref is replaced by one that tells
 * them apart.  sse_forget: the connection has ended, or was answered otherwise.
 * sse_ended: the session has, and its requests are answered so.
 */
void	 sse_expect(struct conn *c, const struct session *s, char **ref);
void	 sse_forget(const struct conn *c);
void	 sse_ended(const struct session *s);

/* Tell a client that would be a stream to come back later. */
void	 sse_later(struct conn *c, int64_t retry_ms);

#endif
