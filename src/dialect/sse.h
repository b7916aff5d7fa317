/* SPDX-License-Identifier: ISC */
#ifndef SSE_H
#define SSE_H

#include "net/route.h"

/*
 * Server-sent events (HTML standard, section 9.2), pgpush-protocol(7): the
 * second dialect, at GET /events.  What a stream is told is the native text as
 * data; its position goes with it as the event's id, one for all rooms of the
 * stream.
 */

struct conn;
struct dialect;
struct endpoint_env;

void	 sse_init(const struct endpoint_env *env);
extern const struct route sse_routes[];

/* Of a session that a stream carries, or a request that becomes one.  A reply
 * that has a target of its own is the native text, with no lines around it. */
extern const struct dialect sse_dialect;

/* Answer a request with the status and the error that stand for a close code
 * of the native dialect. */
void	 sse_refuse_with(struct conn *c, int code, const char *reason);

#endif
