/* SPDX-License-Identifier: ISC */

/*
 * The endpoints of pgpushd: a dialect is added by a row.
 */

#include <stddef.h>

#include "dialect/endpoint.h"
#include "dialect/native.h"
#include "dialect/web.h"

const struct endpoint endpoints[] = {
	{ native_init, native_routes },
	{ web_init, web_routes },
	{ NULL, NULL },
};
