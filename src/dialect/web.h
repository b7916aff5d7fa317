/* SPDX-License-Identifier: ISC */
#ifndef WEB_H
#define WEB_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The routes of the HTTP dialects: GET /events, a stream of server-sent
 * events, and POST /send; with their tokens, origins and preflights (Fetch
 * standard, section 3.2).  See pgpush-protocol(7).
 */

struct config;
struct conn;
struct http_request;
struct http_slice;
struct session;
struct token_keys;

/* Both outlive the module. */
void	 web_init(const struct config *cfg, const struct token_keys *keys);

/* Whether the request's origin may connect; one without any may. */
bool	 web_origin_ok(const struct http_request *req);
/* The token of an Authorization: Bearer header; its len is 0 if there is none.
 */
void	 web_bearer(const struct http_request *req, struct http_slice *token);

/* Whether the path is one of these routes. */
bool	 web_has(const struct http_request *req);

/*
 * Answer the request, now or later.  Returns the session that was made for it,
 * which is the connection's, or NULL.  refusal: why no new client is let in at
 * present, or NULL.
 */
struct session *
	 web_request(struct conn *c, const struct http_request *req,
	    const char *refusal);

/* A deferred request without a session has waited too long, or its connection
 * has ended. */
void	 web_timeout(struct conn *c);
void	 web_closed(const struct conn *c);

#endif
