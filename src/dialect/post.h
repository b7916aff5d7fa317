/* SPDX-License-Identifier: ISC */
#ifndef POST_H
#define POST_H

#include "net/route.h"

/*
 * POST /send, pgpush-protocol(7): one command, whose reply is the answer to
 * the request.  It is for the session of a stream, which it names, or for its
 * user alone.
 */

struct endpoint_env;

void	 post_init(const struct endpoint_env *env);
extern const struct route post_routes[];

#endif
