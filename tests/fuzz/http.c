/* SPDX-License-Identifier: ISC */

/*
 * Any bytes as a request head, then all that reads a request.  What the bytes
 * give must not depend on the pieces in which they come.
 */

#include <string.h>

#include "fuzz.h"
#include "net/http.h"
#include "net/ws.h"

/* Slices lie inside the input. */
static void
slice_check(const struct http_slice *s, const char *p, size_t len)
{
	if (s->len == 0)
		return;
	must(s->len <= len);
	must((s->p >= p && (size_t)(s->p - p) <= len - s->len) ||
	    http_slice_is(s, "/"));
}

static void
request_check(const struct http_request *req, const char *p, size_t len)
{
	struct http_list	 l = { .req = req, .name = "Connection" };
	struct http_slice	 s, rest = req->query;
	char			 out[32];
	size_t			 i;
	int			 n;

	slice_check(&req->method, p, len);
	slice_check(&req->path, p, len);
	slice_check(&req->query, p, len);
	must(req->method.len > 0 && req->path.len > 0);
	must(req->nheaders <= HTTP_MAX_HEADERS);
	for (i = 0; i < req->nheaders; i++) {
		slice_check(&req->headers[i].name, p, len);
		slice_check(&req->headers[i].value, p, len);
	}
	while (http_list_next(&l, &s)) {
		must(s.len > 0);
		slice_check(&s, p, len);
	}
	while ((n = http_query_next(&rest, "room", out, sizeof(out))) !=
	    HTTP_QUERY_END) {
		must(n == -1 || strlen(out) == (size_t)n);
		slice_check(&rest, p, len);
	}
	ws_handshake_check(req);
	ws_subprotocol_find(&s, req, "bearer.");
	slice_check(&s, p, len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request	 req, cut;
	const char		*p = (const char *)data;
	int			 result, early;
	size_t			 some;

	result = http_request_parse(&req, p, size);
	must(result <= (int)HTTP_MAX_HEAD);
	if (result > 0) {
		must((size_t)result <= size);
		request_check(&req, p, (size_t)result);
		must(http_request_parse(&cut, p, (size_t)result - 1) == 0);
	}
	/* A piece asks for more or has the same answer. */
	some = size / 2;
	early = http_request_parse(&cut, p, some);
	must(early == 0 || early == result);
	return 0;
}
