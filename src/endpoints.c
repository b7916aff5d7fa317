/* SPDX-License-Identifier: ISC */

/*
 * The endpoints of pgpushd: a dialect is added by a row.
 */

#include <stddef.h>

#include "dialect/endpoint.h"
#include "dialect/native.h"
#include "dialect/post.h"
#include "dialect/socketio.h"
#include "dialect/sse.h"

const struct endpoint endpoints[] = {
	{ native_init, native_routes, NULL },
	{ sse_init, sse_routes, NULL },
	{ post_init, post_routes, NULL },
	{ socketio_init, socketio_routes, socketio_exit },
	{ NULL, NULL, NULL },
};
