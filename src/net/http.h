/* SPDX-License-Identifier: ISC */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/*
 * HTTP/1.1 request heads, RFC 9112 and RFC 9110.  A pure parser: bytes in,
 * struct out; the struct points into the bytes and is valid as long as they
 * are.
 */

#define HTTP_MAX_HEADERS	64
#define HTTP_MAX_HEAD		16384	/* bytes, all of the head */

struct http_slice {
	const char	*p;		/* not NUL-terminated */
	size_t		 len;
};

struct http_header {
	struct http_slice name;
	struct http_slice value;	/* white space around it removed */
};

struct http_request {
	struct http_slice method;
	struct http_slice path;		/* of the target, before '?' */
	struct http_slice query;	/* after '?', may be empty */
	int		 minor;		/* HTTP/1.x */
	bool		 keep_alive;
	uint64_t	 content_length; /* 0 if there is none */
	bool		 is_chunked;	/* the body comes in chunks */
	struct http_slice body;		/* not the parser's: empty */
	size_t		 nheaders;
	struct http_header headers[HTTP_MAX_HEADERS];
};

/*
 * Parse a request head from the first len bytes at p.  Returns its size
 * including the empty line; 0 if it has not all arrived; or minus the status
 * to refuse it with: 400 bad syntax (also a bare LF in a line, obs-fold, two
 * different Content-Length, one beside Transfer-Encoding, no Host in HTTP/1.1, two of them), 431 more than
 * HTTP_MAX_HEADERS or HTTP_MAX_HEAD, 501 any Transfer-Encoding but chunked, 505
 * not HTTP/1.0 or HTTP/1.1.  A target in absolute form is accepted; its path and
 * query are taken.  A wrong line is refused before the head is whole.  RFC
 * 9112 sections 2-6.
 */
int	 http_request_parse(struct http_request *req, const char *p,
	    size_t len);

/* The value of the first header of that name (any case), or NULL. */
const struct http_slice *
	 http_header_find(const struct http_request *req, const char *name);

/* How many headers of that name (any case) there are. */
size_t	 http_header_count(const struct http_request *req, const char *name);

/*
 * A walk over the items of a comma-separated header, on however many lines,
 * RFC 9110 section 5.6.1.  Start with { .req = req, .name = name }; returns
 * false at the end.  Empty items are skipped.
 */
struct http_list {
	const struct http_request *req;
	const char	*name;
	size_t		 line;		/* the next header to look at */
	struct http_slice rest;		/* of the present one */
};
bool	 http_list_next(struct http_list *l, struct http_slice *item);

/* Whether such a header has the token, in any case. */
bool	 http_header_has(const struct http_request *req, const char *name,
	    const char *token);

/*
 * The next query parameter of that name, percent-decoded (and '+' as a space)
 * into out[size], NUL-terminated.  rest begins as the request's query, and is
 * then what is behind the parameter: so who reads many walks over it once.
 * Returns its length; -1 if it is malformed, holds a NUL or does not fit; or
 * HTTP_QUERY_END.
 */
#define HTTP_QUERY_END	(-2)
int	 http_query_next(struct http_slice *rest, const char *name,
	    char *out, size_t size);

/* The first of that name; -1 if there is none, too. */
int	 http_query_get(const struct http_request *req, const char *name,
	    char *out, size_t size);

bool	 http_slice_is(const struct http_slice *s, const char *text);

/* The time as a Date header has it, RFC 9110 section 5.6.7. */
#define HTTP_DATE_LEN	29
void	 http_date(char out[HTTP_DATE_LEN + 1], time_t t);

/* The reason phrase of a status code that we send. */
const char *http_reason(int status);

#endif
