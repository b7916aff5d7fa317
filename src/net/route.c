/* SPDX-License-Identifier: ISC */

/*
 * A handful of rows: each request walks over them all.
 */

#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "net/conn.h"
#include "net/http.h"
#include "net/request.h"
#include "net/route.h"

#define ALLOW_MAX	128

/* What the tables know of one path. */
struct match {
	const struct route	*row;		/* to open; or NULL */
	bool			 is_path;	/* some row has the path */
	bool			 is_cors;
	char			 allow[ALLOW_MAX];	/* methods */
};

static void
match_row(struct match *m, const struct route *r,
    const struct http_request *req)
{
	size_t	n = strlen(m->allow);

	m->is_path = true;
	m->is_cors = m->is_cors || r->is_cors;
	if (r->method == NULL || http_slice_is(&req->method, r->method)) {
		m->row = r;
		return;
	}
	if (n + strlen(r->method) + 3 > sizeof(m->allow))
		return;
	if (n > 0)
		strcat(m->allow, ", ");
	strcat(m->allow, r->method);
}

static void
refuse_method(struct conn *c, const struct match *m)
{
	char	*allow = xasprintf("Allow: %s%s\r\n", m->allow, m->is_cors ?
		    ", OPTIONS" : "");

	conn_respond(c, 405, allow, "application/json", "{\"error\":{\"code\":"
	    "\"bad_request\",\"message\":\"another method\"}}");
	free(allow);
}

void
route_serve(const struct route *const *tables, size_t n, struct conn *c,
    const struct http_request *req)
{
	struct match		 m = { NULL, false, false, "" };
	const struct route	*r;
	size_t			 i;

	for (i = 0; i < n; i++)
		for (r = tables[i]; m.row == NULL && r->path != NULL; r++)
			if (http_slice_is(&req->path, r->path))
				match_row(&m, r, req);
	if (!m.is_path) {
		conn_respond(c, 404, NULL, "text/plain", "not found");
		return;
	}
	if (m.is_cors && request_cors(c, req) == -1)
		return;
	if (m.row != NULL)
		m.row->open(c, req);
	else
		refuse_method(c, &m);
}
