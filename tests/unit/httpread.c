/* SPDX-License-Identifier: ISC */

/* Whole requests out of bytes, in pieces of every size. */

#include "net/httpread.h"
#include "tap.h"

#define MAX	20		/* bytes of a body */
#define POST	"POST /x HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED	POST "Transfer-Encoding: chunked\r\n\r\n"

struct row {
	const char	*what;
	const char	*bytes;
	int		 result;	/* requests, or minus a status */
	const char	*bodies;	/* each with a | behind it */
};

static const struct row rows[] = {
	{ "no body", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1, "|" },
	{ "two requests", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	    POST "Content-Length: 3\r\n\r\nabc", 2, "|abc|" },
	{ "a length, and what follows", POST "Content-Length: 5\r\n\r\nhello"
	    POST "Content-Length: 0\r\n\r\n", 2, "hello||" },
	{ "as long as may be", POST "Content-Length: 20\r\n\r\n"
	    "12345678901234567890", 1, "12345678901234567890|" },
	{ "too long", POST "Content-Length: 21\r\n\r\n", -413, "" },
	{ "chunks", CHUNKED "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", 1,
	    "abc0123456789|" },
	{ "no chunk", CHUNKED "0\r\n\r\n" CHUNKED "000\r\n\r\n", 2, "||" },
	{ "extensions and trailers", CHUNKED "1;a=\"b\"\r\nx\r\n0 ;c\r\n"
	    "Some: thing\r\nMore: \r\n\r\n" CHUNKED "0\r\n\r\n", 2, "x||" },
	{ "chunks too long together", CHUNKED "a\r\n0123456789\r\nb\r\n",
	    -413, "" },
	{ "a chunk too long", CHUNKED "15\r\n", -413, "" },
	{ "nine digits", CHUNKED "000000001\r\n", -400, "" },
	{ "no digits", CHUNKED "\r\n", -400, "" },
	{ "a sign", CHUNKED "-1\r\n", -400, "" },
	{ "0x", CHUNKED "0x1\r\n", -400, "" },
	{ "a bare LF behind a size", CHUNKED "1\nx\r\n0\r\n\r\n", -400, "" },
	{ "a bare LF in an extension", CHUNKED "1;a\nx", -400, "" },
	{ "no CRLF behind a chunk", CHUNKED "1\r\nxx\r\n0\r\n\r\n", -400, "" },
	{ "a bare LF in a trailer", CHUNKED "0\r\na: b\n\r\n", -400, "" },
	{ "a bare CR at the end", CHUNKED "0\r\n\rx", -400, "" },
	{ "both lengths", POST "Content-Length: 1\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n", -400, "" },
	{ "a TLS handshake", "\x16\x03\x01\x02\x00", -400, "" },
	{ "no HTTP", "hello\r\n", -400, "" },
};

/* Read in pieces of that size; what came of it as in a row. */
static int
run(const char *bytes, size_t piece, char *bodies)
{
	struct httpread		 r = { 0 };
	struct http_request	 req;
	size_t			 len = strlen(bytes), at = 0, used, n;
	int			 status = 0, requests = 0;
	char			*copy;
	bool			 waits;

	while (at < len && status >= 0) {
		n = len - at < piece ? len - at : piece;
		copy = tap_copy(bytes + at, n);
		used = 0;
		status = httpread_step(&r, (uint8_t *)copy, n, MAX, &req,
		    &used, &waits);
		at += used;
		if (status == 1) {
			requests++;
			bodies += sprintf(bodies, "%.*s|", (int)req.body.len,
			    req.body.len == 0 ? "" : req.body.p);
		} else if (status == 0 && used != n)
			status = -1;		/* it must use them all */
		free(copy);
	}
	if (status >= 0 && !httpread_is_idle(&r))
		status = -2;
	httpread_clear(&r);
	return status < 0 ? status : requests;
}

static void
test_rows(void)
{
	const struct row	*row;
	char			 bodies[256];
	size_t			 i, piece, len;
	bool			 good;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		row = &rows[i];
		len = strlen(row->bytes);
		good = true;
		for (piece = 1; piece <= len && good; piece++) {
			bodies[0] = '\0';
			good = run(row->bytes, piece, bodies) == row->result &&
			    (row->result < 0 ||
			    strcmp(bodies, row->bodies) == 0);
		}
		ok(good, "%s, in pieces of 1 to %zu bytes", row->what,
		    piece - 1);
	}
}

static void
test_expect(void)
{
	static const char	 head[] = POST "Expect: 100-continue\r\n"
				    "Content-Length: 2\r\n\r\n";
	struct httpread		 r = { 0 };
	struct http_request	 req;
	size_t			 used;
	bool			 waits;
	char			 both[sizeof(head) + 2];

	ok(httpread_step(&r, (const uint8_t *)head, sizeof(head) - 1, MAX,
	    &req, &used, &waits) == 0 && waits, "a client that waits to send");
	ok(httpread_step(&r, (const uint8_t *)"ab", 2, MAX, &req, &used,
	    &waits) == 1 && !waits && req.body.len == 2, "and then sends");
	httpread_clear(&r);
	(void)snprintf(both, sizeof(both), "%sab", head);
	ok(httpread_step(&r, (const uint8_t *)both, strlen(both), MAX, &req,
	    &used, &waits) == 1 && !waits, "one that has sent already");
	httpread_clear(&r);
}

static void
test_long_lines(void)
{
	struct httpread		 r = { 0 };
	struct http_request	 req;
	size_t			 used, i;
	bool			 waits;
	int			 status;

	(void)httpread_step(&r, (const uint8_t *)CHUNKED "0\r\n",
	    sizeof(CHUNKED "0\r\n") - 1, MAX, &req, &used, &waits);
	for (i = 0, status = 0; i < 10000 && status == 0; i++)
		status = httpread_step(&r, (const uint8_t *)"a:b\r\n", 5, MAX,
		    &req, &used, &waits);
	ok(status == -400 && i > 1000, "trailers without end are refused");
	httpread_clear(&r);
}

int
main(void)
{
	test_rows();
	test_expect();
	test_long_lines();
	return tap_done();
}
