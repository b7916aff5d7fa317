/* SPDX-License-Identifier: ISC */

/*
 * The endpoints of pgpushd: a dialect is added by a row.
 */

#include <stddef.h>

#include "dialect/endpoint.h"
#include "dialect/native.h"
#include "dialect/post.h"
#include "dialect/sse.h"

const struct endpoint endpoints[] = {
	{ native_init, native_routes },
	{ sse_init, sse_routes },
	{ post_init, post_routes },
	{ NULL, NULL },
};
