/* SPDX-License-Identifier: ISC */

/* The HTTP parser against RFC 9112 and RFC 9110, row by row. */

#include "net/http.h"
#include "tap.h"

#define HOST	"Host: a\r\n"
#define GET	"GET / HTTP/1.1\r\n" HOST

struct row {
	const char	*section;
	const char	*what;
	const char	*head;
	int		 status;	/* 0: valid */
};

static const struct row rows[] = {
	{ "9112 3", "plain GET", GET "\r\n", 0 },
	{ "9112 3", "HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", 0 },
	{ "9112 2.2", "an empty line before", "\r\n" GET "\r\n", 0 },
	{ "9112 2.2", "two empty lines before", "\r\n\r\n" GET "\r\n", 400 },
	{ "9112 2.2", "bare LF after the request line",
	    "GET / HTTP/1.1\n" HOST "\r\n", 400 },
	{ "9112 2.2", "bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n",
	    400 },
	{ "9112 2.2", "bare LF as the empty line", GET "\n", 400 },
	{ "9112 2.2", "LF first of all", "\n" GET "\r\n", 400 },
	{ "9112 2.2", "bare CR in the request line",
	    "GET /\r HTTP/1.1\r\n", 400 },
	{ "9112 2.2", "bare CR in a value", GET "A: b\rc\r\n", 400 },
	{ "9112 2.2", "blank before the first field",
	    "GET / HTTP/1.1\r\n Host: a\r\n", 400 },

	{ "9112 3", "no method", " / HTTP/1.1\r\n", 400 },
	{ "9112 3", "empty request line with blank", " \r\n", 400 },
	{ "9112 3", "method alone", "GET\r\n", 400 },
	{ "9112 3", "no version (HTTP/0.9)", "GET /\r\n", 400 },
	{ "9112 3", "two blanks", "GET  / HTTP/1.1\r\n", 400 },
	{ "9112 3", "blank at the end", "GET / HTTP/1.1 \r\n", 400 },
	{ "9112 3", "tab for a blank", "GET\t/\tHTTP/1.1\r\n", 400 },
	{ "9110 9.1", "method not a token", "G@T / HTTP/1.1\r\n", 400 },
	{ "9110 9.1", "control in the method", "G\x01T / HTTP/1.1\r\n", 400 },
	{ "9110 9.1", "any method is parsed", "M-SEARCH / HTTP/1.1\r\n" HOST
	    "\r\n", 0 },
	{ "9112 2.3", "lower-case http", "GET / http/1.1\r\n", 400 },
	{ "9112 2.3", "no digits", "GET / HTTP/x.y\r\n", 400 },
	{ "9112 2.3", "long version", "GET / HTTP/1.10\r\n", 400 },
	{ "9112 2.3", "HTTP/1.2", "GET / HTTP/1.2\r\n", 505 },
	{ "9112 2.3", "HTTP/2.0", "PRI * HTTP/2.0\r\n", 505 },
	{ "9112 2.3", "HTTP/0.9", "GET / HTTP/0.9\r\n", 505 },

	{ "9112 3.2.1", "origin form", "GET /a/b?c=d&e HTTP/1.1\r\n" HOST
	    "\r\n", 0 },
	{ "9112 3.2.2", "absolute form", "GET http://a/b?c HTTP/1.1\r\n" HOST
	    "\r\n", 0 },
	{ "9112 3.2.2", "absolute form without path",
	    "GET HTTPS://a HTTP/1.1\r\n" HOST "\r\n", 0 },
	{ "9112 3.2.2", "absolute form, ws", "GET ws://a?b HTTP/1.1\r\n" HOST
	    "\r\n", 0 },
	{ "9112 3.2.2", "absolute form without authority",
	    "GET http:///b HTTP/1.1\r\n", 400 },
	{ "9112 3.2.2", "absolute form, nothing", "GET http:// HTTP/1.1\r\n",
	    400 },
	{ "9112 3.2.2", "another scheme", "GET ftp://a/ HTTP/1.1\r\n", 400 },
	{ "9112 3.2.3", "authority form", "CONNECT a:80 HTTP/1.1\r\n", 400 },
	{ "9112 3.2.4", "asterisk form", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
	    0 },
	{ "9112 3.2.4", "asterisk form with GET", "GET * HTTP/1.1\r\n", 400 },
	{ "9112 3.2", "relative target", "GET a HTTP/1.1\r\n", 400 },
	{ "9112 3.2", "fragment", "GET /#a HTTP/1.1\r\n", 400 },
	{ "9112 3.2", "control in the target", "GET /\x02 HTTP/1.1\r\n", 400 },
	{ "9112 3.2", "DEL in the target", "GET /\x7f HTTP/1.1\r\n", 400 },
	{ "9112 3.2", "raw UTF-8 in the target", "GET /\xc3\xa9 HTTP/1.1\r\n",
	    400 },

	{ "9112 5", "empty value", GET "A:\r\n\r\n", 0 },
	{ "9112 5", "blanks around a value", GET "A: \t b c \t\r\n\r\n", 0 },
	{ "9112 5", "colon in a value", GET "A: b:c\r\n\r\n", 0 },
	{ "9112 5", "bytes over 127 in a value", GET "A: \xc3\xa9\r\n\r\n",
	    0 },
	{ "9112 5", "no colon", GET "A\r\n", 400 },
	{ "9112 5", "no name", GET ": a\r\n", 400 },
	{ "9112 5.1", "blank before the colon", GET "A : b\r\n", 400 },
	{ "9112 5.1", "tab before the colon", GET "A\t: b\r\n", 400 },
	{ "9112 5.1", "name not a token", GET "A(: b\r\n", 400 },
	{ "9112 5.1", "name over 127", GET "\xc3\xa9: b\r\n", 400 },
	{ "9112 5.2", "obs-fold with a blank", GET "A: b\r\n c\r\n", 400 },
	{ "9112 5.2", "obs-fold with a tab", GET "A: b\r\n\tc\r\n", 400 },
	{ "9112 5.2", "blank line that is not empty", GET " \r\n", 400 },
	{ "9110 5.5", "control in a value", GET "A: b\x01\r\n", 400 },
	{ "9110 5.5", "DEL in a value", GET "A: b\x7f\r\n", 400 },

	{ "9112 3.2", "no Host", "GET / HTTP/1.1\r\n\r\n", 400 },
	{ "9112 3.2", "two Host", GET HOST "\r\n", 400 },
	{ "9112 3.2", "two Host in HTTP/1.0", "GET / HTTP/1.0\r\n" HOST HOST
	    "\r\n", 400 },
	{ "9112 3.2", "Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n"
	    "\r\n", 400 },
	{ "9112 3.2", "Host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n"
	    "\r\n", 400 },
	{ "9112 3.2", "Host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n"
	    "\r\n", 400 },
	{ "9112 3.2", "Host with port", "GET / HTTP/1.1\r\nHost: a:80\r\n"
	    "\r\n", 0 },
	{ "9112 3.2", "Host an IPv6 address",
	    "GET / HTTP/1.1\r\nhOsT: [::1]:80\r\n\r\n", 0 },
	{ "9112 3.2", "Host empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0 },

	{ "9112 6.1", "Transfer-Encoding", GET
	    "Transfer-Encoding: Chunked\r\n\r\n", 0 },
	{ "9112 6.1", "Transfer-Encoding in HTTP/1.0", "GET / HTTP/1.0\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n", 400 },
	{ "9112 6.1", "Transfer-Encoding, two", GET
	    "Transfer-Encoding: gzip, chunked\r\n\r\n", 501 },
	{ "9112 6.1", "Transfer-Encoding, twice", GET
	    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"
	    "\r\n", 501 },
	{ "9112 6.1", "Transfer-Encoding, identity", GET
	    "transfer-encoding: identity\r\n\r\n", 501 },
	{ "9112 6.3", "both lengths", GET
	    "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ "9112 6.3", "Content-Length", GET "Content-Length: 12\r\n\r\n", 0 },
	{ "9112 6.3", "the largest Content-Length", GET
	    "Content-Length: 18446744073709551615\r\n\r\n", 0 },
	{ "9112 6.3", "Content-Length over that", GET
	    "Content-Length: 18446744073709551616\r\n\r\n", 400 },
	{ "9112 6.3", "Content-Length far over that", GET
	    "Content-Length: 99999999999999999999999\r\n\r\n", 400 },
	{ "9112 6.3", "Content-Length empty", GET
	    "Content-Length:\r\n\r\n", 400 },
	{ "9112 6.3", "Content-Length with a sign", GET
	    "Content-Length: +1\r\n\r\n", 400 },
	{ "9112 6.3", "Content-Length negative", GET
	    "Content-Length: -1\r\n\r\n", 400 },
	{ "9112 6.3", "Content-Length hexadecimal", GET
	    "Content-Length: 0x1\r\n\r\n", 400 },
	{ "9112 6.3", "Content-Length as a list", GET
	    "Content-Length: 1, 1\r\n\r\n", 400 },
	{ "9112 6.3", "the same Content-Length twice", GET
	    "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 0 },
	{ "9112 6.3", "two different Content-Length", GET
	    "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400 },
	{ "9112 6.3", "two different, the first 0", GET
	    "Content-Length: 0\r\nContent-Length: 2\r\n\r\n", 400 },
};

static int
parse(struct http_request *req, const char *head, size_t len)
{
	char	*copy = tap_copy(head, len);
	int	 result = http_request_parse(req, copy, len);

	free(copy);
	return result;
}

/* Each shorter piece of a valid head, and with a body after it. */
static void
test_pieces(const struct row *row)
{
	struct http_request	 req;
	size_t			 i, len = strlen(row->head);
	char			 more[4096];

	for (i = 0; i < len; i++)
		if (parse(&req, row->head, i) != 0)
			break;
	ok(i == len, "RFC %s: %s: cut at %zu of %zu", row->section, row->what,
	    i, len);
	snprintf(more, sizeof(more), "%sGET /next", row->head);
	ok(parse(&req, more, strlen(more)) == (int)len,
	    "RFC %s: %s: bytes after it are left", row->section, row->what);
}

/* A refused head is refused at one byte and at every later one. */
static void
test_stays_refused(const struct row *row)
{
	struct http_request	 req;
	size_t			 i, len = strlen(row->head);
	int			 result, seen = 0;
	bool			 good = true;

	for (i = 0; i <= len; i++) {
		result = parse(&req, row->head, i);
		good = good && result <= 0 && (seen == 0 || result == seen);
		seen = result;
	}
	ok(good, "RFC %s: %s: no change of mind", row->section, row->what);
}

static void
test_rows(void)
{
	struct http_request	 req;
	const struct row	*row;
	size_t			 i;
	int			 want, got;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		row = &rows[i];
		want = row->status != 0 ? -row->status :
		    (int)strlen(row->head);
		got = parse(&req, row->head, strlen(row->head));
		ok(got == want, "RFC %s: %s: %d, got %d", row->section,
		    row->what, want, got);
		if (row->status == 0)
			test_pieces(row);
		else
			test_stays_refused(row);
	}
}

static void
test_nul(void)
{
	static const char	 target[] = "GET /\0 HTTP/1.1\r\n";
	static const char	 method[] = "G\0T / HTTP/1.1\r\n";
	static const char	 name[] = GET "A\0: b\r\n";
	static const char	 value[] = GET "A: b\0c\r\n";
	static const char	 host[] = "GET / HTTP/1.1\r\nHost: \0\r\n\r\n";
	struct http_request	 req;

	ok(parse(&req, target, sizeof(target) - 1) == -400,
	    "RFC 9112 3.2: NUL in the target");
	ok(parse(&req, method, sizeof(method) - 1) == -400,
	    "RFC 9110 9.1: NUL in the method");
	ok(parse(&req, name, sizeof(name) - 1) == -400,
	    "RFC 9112 5.1: NUL in a name");
	ok(parse(&req, value, sizeof(value) - 1) == -400,
	    "RFC 9110 5.5: NUL in a value");
	ok(parse(&req, host, sizeof(host) - 1) == -400,
	    "RFC 9112 3.2: NUL in Host");
}

/* A head of n header lines, Host included. */
static char *
many_headers(size_t n)
{
	char	*p = malloc(64 + n * 16), *q = p;

	if (p == NULL)
		abort();
	q += sprintf(q, "%s", GET);
	while (--n > 0)
		q += sprintf(q, "A: b\r\n");
	sprintf(q, "\r\n");
	return p;
}

/* A head of exactly len bytes. */
static char *
long_head(size_t len)
{
	char	*p = malloc(len + 1);
	size_t	 start = strlen(GET "A: ");

	if (p == NULL)
		abort();
	memset(p, 'b', len);
	memcpy(p, GET "A: ", start);
	memcpy(p + len - 4, "\r\n\r\n", 5);
	return p;
}

static void
test_limits(void)
{
	struct http_request	 req;
	char			*p;

	p = many_headers(HTTP_MAX_HEADERS);
	ok(parse(&req, p, strlen(p)) == (int)strlen(p) &&
	    req.nheaders == HTTP_MAX_HEADERS, "%d headers", HTTP_MAX_HEADERS);
	free(p);
	p = many_headers(HTTP_MAX_HEADERS + 1);
	ok(parse(&req, p, strlen(p)) == -431, "RFC 6585 5: one header more");
	free(p);

	p = long_head(HTTP_MAX_HEAD);
	ok(parse(&req, p, HTTP_MAX_HEAD) == HTTP_MAX_HEAD, "%d bytes",
	    HTTP_MAX_HEAD);
	ok(parse(&req, p, HTTP_MAX_HEAD - 1) == 0, "all but the last of them");
	free(p);
	p = long_head(HTTP_MAX_HEAD + 1);
	ok(parse(&req, p, HTTP_MAX_HEAD + 1) == -431,
	    "RFC 6585 5: one byte more");
	ok(parse(&req, p, HTTP_MAX_HEAD) == -431,
	    "RFC 6585 5: refused without that byte");
	free(p);
	p = long_head(8 * HTTP_MAX_HEAD);
	ok(parse(&req, p, 8 * HTTP_MAX_HEAD) == -431,
	    "RFC 6585 5: much more, all at once");
	free(p);
}

static void
test_fields(void)
{
	static const char	 head[] =
	    "POST /send/x?a=1&b=2?3 HTTP/1.1\r\n"
	    "Host: push.example:8081\r\n"
	    "X-One:  first \t\r\n"
	    "x-one: second\r\n"
	    "Content-Length: 18446744073709551615\r\n"
	    "\r\n";
	struct http_request	 req;

	http_request_parse(&req, head, sizeof(head) - 1);
	ok(http_slice_is(&req.method, "POST"), "method");
	ok(http_slice_is(&req.path, "/send/x"), "path");
	ok(http_slice_is(&req.query, "a=1&b=2?3"), "query");
	ok(req.minor == 1 && req.nheaders == 4, "minor and count");
	ok(req.content_length == UINT64_MAX, "content_length");
	ok(http_slice_is(http_header_find(&req, "X-ONE"), "first"),
	    "RFC 9110 5.1: the first header, in any case, blanks removed");
	ok(http_slice_is(&req.headers[2].value, "second"), "and the second");
	ok(http_header_count(&req, "X-One") == 2, "both are counted");
	ok(http_header_find(&req, "X-On") == NULL &&
	    http_header_find(&req, "X-One ") == NULL, "no header by a part");
	ok(!http_slice_is(&req.method, "POS") &&
	    !http_slice_is(&req.method, "POSTS") &&
	    !http_slice_is(&req.method, "post"), "http_slice_is is exact");
}

struct target {
	const char	*target;
	const char	*path;
	const char	*query;
};

static const struct target targets[] = {
	{ "/", "/", "" },
	{ "/?", "/", "" },
	{ "/a%20b", "/a%20b", "" },
	{ "//x/..", "//x/..", "" },
	{ "http://h", "/", "" },
	{ "http://h?q", "/", "q" },
	{ "http://h/", "/", "" },
	{ "wss://h:1/a/b?c=d", "/a/b", "c=d" },
	{ "/a?http://x/y", "/a", "http://x/y" },
};

static void
test_targets(void)
{
	struct http_request	 req;
	const struct target	*t;
	char			 head[200];
	size_t			 i;

	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		t = &targets[i];
		snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\n" HOST "\r\n",
		    t->target);
		ok(http_request_parse(&req, head, strlen(head)) > 0 &&
		    http_slice_is(&req.path, t->path) &&
		    http_slice_is(&req.query, t->query),
		    "RFC 9112 3.2: %s", t->target);
	}
}

struct connection {
	const char	*version;
	const char	*headers;
	bool		 keep;
};

static const struct connection connections[] = {
	{ "1.1", "", true },
	{ "1.1", "Connection: close\r\n", false },
	{ "1.1", "Connection: Upgrade, CLOSE\r\n", false },
	{ "1.1", "Connection: Upgrade\r\nConnection: close\r\n", false },
	{ "1.1", "Connection: closed\r\n", true },
	{ "1.0", "", false },
	{ "1.0", "Connection: Keep-Alive\r\n", true },
	{ "1.0", "Connection: keep-alive, close\r\n", false },
};

static void
test_keep_alive(void)
{
	const struct connection	*c;
	struct http_request	 req;
	char			 head[200];
	size_t			 i;

	for (i = 0; i < sizeof(connections) / sizeof(connections[0]); i++) {
		c = &connections[i];
		snprintf(head, sizeof(head), "GET / HTTP/%s\r\n" HOST "%s\r\n",
		    c->version, c->headers);
		ok(http_request_parse(&req, head, strlen(head)) > 0 &&
		    req.keep_alive == c->keep,
		    "RFC 9112 9.3: connection row %zu", i);
	}
}

static void
test_lists(void)
{
	static const char	 head[] = GET
	    "L: a, b ,\tc\t,,\r\n"
	    "L:\r\n"
	    "M: x\r\n"
	    "l: , d e,f\r\n\r\n";
	static const char *const items[] = { "a", "b", "c", "d e", "f" };
	struct http_request	 req;
	struct http_list	 l = { .req = &req, .name = "L" };
	struct http_slice	 item;
	size_t			 i;

	http_request_parse(&req, head, sizeof(head) - 1);
	for (i = 0; i < 5; i++)
		ok(http_list_next(&l, &item) && http_slice_is(&item, items[i]),
		    "RFC 9110 5.6.1: list item %s", items[i]);
	ok(!http_list_next(&l, &item), "RFC 9110 5.6.1: then the end");
	ok(http_header_has(&req, "l", "F") && http_header_has(&req, "L", "b"),
	    "RFC 9110 5.6.1: a token, in any case, on any line");
	ok(!http_header_has(&req, "L", "d") && !http_header_has(&req, "L", "x")
	    && !http_header_has(&req, "L", ""),
	    "RFC 9110 5.6.1: no part, no other header, no empty one");
}

struct query {
	const char	*query;
	size_t		 n;
	const char	*value;		/* of room; NULL: none */
};

static const struct query queries[] = {
	{ "", 0, NULL },
	{ "room", 0, "" },
	{ "room=", 0, "" },
	{ "room=a", 0, "a" },
	{ "room=a", 1, NULL },
	{ "room=a&room=b", 1, "b" },
	{ "x=1&&room=a=b&y", 0, "a=b" },
	{ "rooms=a&roo=b&Room=c", 0, NULL },
	{ "r%6fom=a", 0, "a" },
	{ "room=order%3A4%32", 0, "order:42" },
	{ "room=a+b%2Bc", 0, "a b+c" },
	{ "room=%c3%A9", 0, "\xc3\xa9" },
	{ "room=%", 0, NULL },
	{ "room=%4", 0, NULL },
	{ "room=%4g", 0, NULL },
	{ "room=%g4", 0, NULL },
	{ "room=a%00b", 0, NULL },
	{ "%=1&%zz=2&room=a", 0, "a" },
	{ "room=123456789", 0, "123456789" },
	{ "room=1234567890", 0, NULL },
	{ "room=%31%32%33%34%35%36%37%38%39%30", 0, NULL },
};

static void
test_query(void)
{
	const struct query	*q;
	struct http_request	 req;
	struct http_slice	 rest;
	char			 head[300], out[10], none[1];
	size_t			 i, k;
	int			 n;

	for (i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		q = &queries[i];
		snprintf(head, sizeof(head), "GET /?%s HTTP/1.1\r\n" HOST
		    "\r\n", q->query);
		http_request_parse(&req, head, strlen(head));
		rest = req.query;
		for (k = 0, n = 0; k <= q->n && n != HTTP_QUERY_END; k++)
			n = http_query_next(&rest, "room", out, sizeof(out));
		if (q->value == NULL)
			ok(n < 0, "RFC 3986 2.1: %s: none", q->query);
		else
			ok(n == (int)strlen(q->value) &&
			    strcmp(out, q->value) == 0,
			    "RFC 3986 2.1: %s: %s", q->query, q->value);
	}
	http_request_parse(&req, "GET /?room&x&room=a&y=2 HTTP/1.1\r\n" HOST
	    "\r\n", strlen("GET /?room&x&room=a&y=2 HTTP/1.1\r\n" HOST
	    "\r\n"));
	ok(http_query_get(&req, "room", none, 1) == 0 &&
	    http_query_get(&req, "room", none, 0) == -1,
	    "an empty value needs one byte");
	ok(http_query_get(&req, "z", out, sizeof(out)) == -1, "the first of "
	    "none");
	rest = req.query;
	n = http_query_next(&rest, "room", out, sizeof(out));
	ok(n == 0 && http_slice_is(&rest, "x&room=a&y=2"), "what is behind it");
	n = http_query_next(&rest, "room", out, sizeof(out));
	ok(n == 1 && http_slice_is(&rest, "y=2"), "what is behind the next");
	n = http_query_next(&rest, "room", out, sizeof(out));
	ok(n == HTTP_QUERY_END && rest.len == 0, "and then the end");
}

static void
test_reasons(void)
{
	ok(strcmp(http_reason(101), "Switching Protocols") == 0 &&
	    strcmp(http_reason(431), "Request Header Fields Too Large") == 0 &&
	    strcmp(http_reason(999), "Unknown") == 0,
	    "RFC 9110 15: reasons");
}

int
main(void)
{
	test_rows();
	test_nul();
	test_limits();
	test_fields();
	test_targets();
	test_keep_alive();
	test_lists();
	test_query();
	test_reasons();
	return tap_done();
}
