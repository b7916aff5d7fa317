/* SPDX-License-Identifier: ISC */
#ifndef WEB_H
#define WEB_H

#include "net/route.h"

/*
 * The routes of the HTTP dialects: GET /events, a stream of server-sent
 * events, and POST /send.  See pgpush-protocol(7).
 */

struct endpoint_env;

void	 web_init(const struct endpoint_env *env);
extern const struct route web_routes[];

#endif
