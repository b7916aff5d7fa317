/* SPDX-License-Identifier: ISC */

/*
 * Pure functions of a request and the settings, but for the answers to pages
 * that may not ask, or that ask whether they may.
 */

#include <event2/util.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/text.h"
#include "base/xmalloc.h"
#include "net/conn.h"
#include "net/http.h"
#include "net/request.h"
#include "net/ws.h"

#define TOKEN_MAX	8192		/* in the query, bytes */
#define POSITION_MAX	96		/* bytes */
#define BEARER		"bearer."	/* of a subprotocol */

static const struct config	*cfg;

void
request_init(const struct config *config)
{
	cfg = config;
}

/* Origins */

bool
request_origin_ok(const struct http_request *req)
{
	const struct http_slice	*origin = http_header_find(req, "Origin");
	char			*s;
	bool			 ok;

	if (cfg->origins[0] == '\0' || origin == NULL)
		return true;
	s = xmemdup(origin->p, origin->len);
	ok = config_list_has(cfg->origins, s);
	free(s);
	return ok;
}

/* The origin has been compared with the list, so it can be repeated as it is.
 */
static void
allow_origin(struct conn *c, const struct http_request *req)
{
	const struct http_slice	*origin = http_header_find(req, "Origin");
	char			*lines;

	if (origin == NULL)
		return;
	lines = cfg->origins[0] == '\0' ?
	    xstrdup("Access-Control-Allow-Origin: *\r\n") :
	    xasprintf("Access-Control-Allow-Origin: %.*s\r\n"
	    "Access-Control-Allow-Credentials: true\r\nVary: Origin\r\n",
	    (int)origin->len, origin->p);
	conn_set_headers(c, lines);
	free(lines);
}

int
request_cors(struct conn *c, const struct http_request *req)
{
	if (!request_origin_ok(req)) {
		request_refuse(c, 403, "forbidden", "origin not allowed");
		return -1;
	}
	allow_origin(c, req);
	if (!http_slice_is(&req->method, "OPTIONS"))
		return 0;
	conn_respond(c, 204, "Access-Control-Allow-Methods: GET, POST\r\n"
	    "Access-Control-Allow-Headers: Authorization, Content-Type, "
	    "Last-Event-ID\r\nAccess-Control-Max-Age: 600\r\n",
	    "text/plain", "");
	return -1;
}

void
request_refuse(struct conn *c, int status, const char *code,
    const char *message)
{
	struct text	t = { NULL, 0, 0 };

	conn_refused(c, status, message);
	text_add(&t, "{\"error\":{\"code\":");
	text_add_string(&t, code);
	text_add(&t, ",\"message\":");
	text_add_string(&t, message);
	text_add(&t, "}}");
	conn_respond(c, status, NULL, "application/json", t.buf);
	free(t.buf);
}

/* Tokens */

static char *
find_bearer(const struct http_request *req)
{
	static const char	 scheme[] = "Bearer ";
	const struct http_slice	*h = http_header_find(req, "Authorization");
	size_t			 n = sizeof(scheme) - 1;

	if (h == NULL || h->len <= n ||
	    evutil_ascii_strncasecmp(h->p, scheme, n) != 0)
		return NULL;
	return xmemdup(h->p + n, h->len - n);
}

static char *
find_subprotocol(const struct http_request *req)
{
	struct http_slice	offer;
	size_t			n = sizeof(BEARER) - 1;

	ws_subprotocol_find(&offer, req, BEARER);
	return offer.len <= n ? NULL : xmemdup(offer.p + n, offer.len - n);
}

/* The value of the cookie, RFC 6265 section 5.4. */
static char *
find_cookie(const struct http_request *req)
{
	const struct http_slice	*h = http_header_find(req, "Cookie");
	size_t			 n = strlen(cfg->jwt_cookie), len;
	const char		*p, *end;

	if (h == NULL || n == 0 || cfg->origins[0] == '\0')
		return NULL;
	end = h->p + h->len;
	for (p = h->p; p < end; p += len + (p + len < end)) {
		while (p < end && *p == ' ')
			p++;
		for (len = 0; p + len < end && p[len] != ';'; len++)
			;
		if (len > n && memcmp(p, cfg->jwt_cookie, n) == 0 &&
		    p[n] == '=')
			return xmemdup(p + n + 1, len - n - 1);
	}
	return NULL;
}

char *
request_token(const struct http_request *req, bool headers_only)
{
	char	*token, text[TOKEN_MAX];

	if ((token = find_bearer(req)) != NULL ||
	    (token = find_subprotocol(req)) != NULL || headers_only)
		return token;
	if (http_query_get(req, "token", text, sizeof(text)) > 0)
		return xstrdup(text);
	return find_cookie(req);
}

/* Positions */

/* A number of nothing but digits; -1 if it is anything else, or too large. */
static int64_t
parse_number(const char *text)
{
	char	*end;
	int64_t	 n;

	if (text[0] < '0' || text[0] > '9')
		return -1;
	errno = 0;
	n = strtoll(text, &end, 10);
	return errno != 0 || *end != '\0' ? -1 : n;
}

int64_t
request_parse_position(const char *text, char *epoch, size_t size)
{
	const char	*dot = strrchr(text, '.');
	int64_t		 id;

	if (dot == NULL || dot == text || (size_t)(dot - text) >= size ||
	    (id = parse_number(dot + 1)) == -1)
		return -1;
	memcpy(epoch, text, (size_t)(dot - text));
	epoch[dot - text] = '\0';
	return id;
}

int64_t
request_position(const struct http_request *req, char *epoch, size_t size)
{
	const struct http_slice	*last = http_header_find(req, "Last-Event-ID");
	char			 text[POSITION_MAX];
	int64_t			 since = -1;

	epoch[0] = '\0';
	if (last != NULL && last->len > 0) {
		if (last->len < sizeof(text)) {
			memcpy(text, last->p, last->len);
			text[last->len] = '\0';
			since = request_parse_position(text, epoch, size);
		}
	} else if (http_query_get(req, "since", text, sizeof(text)) > 0) {
		since = parse_number(text);
		if (http_query_get(req, "epoch", epoch, size) < 0)
			epoch[0] = '\0';
	} else
		return REQUEST_NO_POSITION;
	return since < 0 ? REQUEST_BAD_POSITION : since;
}
