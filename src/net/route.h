/* SPDX-License-Identifier: ISC */
#ifndef ROUTE_H
#define ROUTE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Routes: rows of tables that say which function answers a request.
 */

struct conn;
struct http_request;

struct route {
	const char	*method;	/* NULL: any */
	const char	*path;		/* NULL: the table's end */
	/* As conn_request. */
	void		(*open)(struct conn *c,
			    const struct http_request *req);
	/* Pages may call it: their origin is checked first, a preflight is
	 * answered, and header lines let them read the answer. */
	bool		 is_cors;
};

/*
 * Answer the request by the row of one of n tables that has its path and
 * method; with 404 if none has the path, with 405 if it is another method.
 */
void	 route_serve(const struct route *const *tables, size_t n,
	    struct conn *c, const struct http_request *req);

#endif
