/* SPDX-License-Identifier: ISC */
#ifndef NATIVE_H
#define NATIVE_H

#include "net/route.h"

/*
 * The native dialect over WebSocket at /ws, pgpush-protocol(7): one session to
 * a connection, one JSON object to a message.
 */

struct endpoint_env;

void	 native_init(const struct endpoint_env *env);
extern const struct route native_routes[];

#endif
