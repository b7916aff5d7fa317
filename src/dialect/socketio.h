/* SPDX-License-Identifier: ISC */
#ifndef SOCKETIO_H
#define SOCKETIO_H

#include "net/route.h"

/*
 * The third dialect, for the clients of Socket.IO 3 and 4: an event of a client
 * runs the function that pgpush.on names, events of its rooms are its events.
 * See pgpush-protocol(7).
 */

struct endpoint_env;

void	 socketio_init(const struct endpoint_env *env);
void	 socketio_exit(void);
extern struct route socketio_routes[];

#endif
