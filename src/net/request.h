/* SPDX-License-Identifier: ISC */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What every request has, whatever its dialect: an origin (Fetch standard,
 * section 3), a token, a position to go on from.
 */

struct config;
struct conn;
struct http_request;

/* cfg outlives the module. */
void	 request_init(const struct config *cfg);

/* Whether the request's origin may connect; one without any may. */
bool	 request_origin_ok(const struct http_request *req);

/*
 * Check the origin, and give every answer on this connection the header lines
 * that let its page read it.  Returns -1 if the request has been answered: the
 * origin may not (403), or it was a preflight (204).
 */
int	 request_cors(struct conn *c, const struct http_request *req)
    __attribute__((warn_unused_result));

/* Answer with {"error":{"code":…,"message":…}}. */
void	 request_refuse(struct conn *c, int status, const char *code,
	    const char *message);

/*
 * The token: of Authorization: Bearer, else of the subprotocol bearer.<token>;
 * else, unless headers_only, of the query's token, or of the cookie jwt_cookie,
 * which a browser sends with the requests of any page, and so counts only if
 * pages are told apart.  headers_only is for clients that can say their token
 * in a message: theirs does not belong into an address.  A copy, or NULL.
 */
char	*request_token(const struct http_request *req, bool headers_only)
    __attribute__((warn_unused_result));

/*
 * A position as text, "<epoch>.<id>": the id, with the epoch in epoch[size];
 * or -1 if it is none.
 */
int64_t	 request_parse_position(const char *text, char *epoch, size_t size);

/*
 * The position to go on from: Last-Event-ID, "<epoch>.<id>", else since and
 * epoch of the query.  Returns the id, with the epoch in epoch[size] ("" if
 * there is none); REQUEST_NO_POSITION; or REQUEST_BAD_POSITION if it cannot be
 * read.
 */
#define REQUEST_NO_POSITION	(-1)
#define REQUEST_BAD_POSITION	(-2)
int64_t	 request_position(const struct http_request *req, char *epoch,
	    size_t size);

#endif
