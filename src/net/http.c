/* SPDX-License-Identifier: ISC */

/*
 * HTTP/1.1 request heads, RFC 9112.  The bytes are walked once, line by line;
 * a line is judged when its CRLF is there, and what has to hold for the head
 * as a whole when the empty line is.  Strict on purpose: whatever two readers
 * could take differently is refused, since a proxy may stand in front.
 */

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/http.h"

#define QUERY_NAME_MAX	64		/* bytes, of a parameter's name */

/* What has been read and what is left. */
struct cursor {
	const char	*p;
	const char	*end;
};

enum line_result {
	LINE_OK,
	LINE_PARTIAL,
	LINE_BAD,
};

static bool
is_alpha(char ch)
{
	return (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z');
}

static bool
is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

static bool
is_space(char ch)
{
	return ch == ' ' || ch == '\t';
}

/* tchar, RFC 9110 section 5.6.2. */
static bool
is_token_char(char ch)
{
	return is_alpha(ch) || is_digit(ch) ||
	    (ch != '\0' && strchr("!#$%&'*+-.^_`|~", ch) != NULL);
}

/* field-vchar with SP and HTAB, RFC 9110 section 5.5. */
static bool
is_value_char(char ch)
{
	unsigned char	 byte = (unsigned char)ch;

	return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

static bool
is_target_char(char ch)
{
	return ch > 0x20 && ch < 0x7f && ch != '#';
}

/* uri-host [ ":" port ], RFC 3986 section 3.2.2, by its characters. */
static bool
is_host_char(char ch)
{
	return is_alpha(ch) || is_digit(ch) ||
	    (ch != '\0' && strchr("-._~!$&'()*+,;=%[]:", ch) != NULL);
}

static bool
slice_all(const struct http_slice *s, bool (*is)(char))
{
	size_t	 i;

	for (i = 0; i < s->len; i++)
		if (!is(s->p[i]))
			return false;
	return true;
}

static struct http_slice
slice_trim(struct http_slice s)
{
	while (s.len > 0 && is_space(s.p[0])) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && is_space(s.p[s.len - 1]))
		s.len--;
	return s;
}

static bool
slice_is_nocase(const struct http_slice *s, const char *text)
{
	return s->len == strlen(text) && strncasecmp(s->p, text, s->len) == 0;
}

bool
http_slice_is(const struct http_slice *s, const char *text)
{
	return s->len == strlen(text) && memcmp(s->p, text, s->len) == 0;
}

/*
 * Cut s at the first ch: returns what is before it and leaves in s what is
 * after it; *found says whether there was one.
 */
static struct http_slice
slice_cut(struct http_slice *s, char ch, bool *found)
{
	struct http_slice	 head = *s;
	const char		*at;

	at = s->len > 0 ? memchr(s->p, ch, s->len) : NULL;
	*found = at != NULL;
	if (at == NULL) {
		s->p += s->len;
		s->len = 0;
		return head;
	}
	head.len = (size_t)(at - s->p);
	s->p = at + 1;
	s->len -= head.len + 1;
	return head;
}

/* The next line without its CRLF. */
static enum line_result
line_next(struct cursor *cur, struct http_slice *line)
{
	size_t		 left = (size_t)(cur->end - cur->p);
	const char	*lf;

	if (left == 0 || (lf = memchr(cur->p, '\n', left)) == NULL)
		return LINE_PARTIAL;
	if (lf == cur->p || lf[-1] != '\r')
		return LINE_BAD;
	line->p = cur->p;
	line->len = (size_t)(lf - cur->p) - 1;
	cur->p = lf + 1;
	return LINE_OK;
}

/* Returns 0 or minus a status; sets req->minor. */
static int
version_parse(struct http_request *req, const struct http_slice *s)
{
	if (s->len != 8 || memcmp(s->p, "HTTP/", 5) != 0 ||
	    !is_digit(s->p[5]) || s->p[6] != '.' || !is_digit(s->p[7]))
		return -400;
	if (s->p[5] != '1' || s->p[7] > '1')
		return -505;
	req->minor = s->p[7] - '0';
	return 0;
}

/*
 * Take scheme and authority off an absolute-form target.  Returns -1 if it is
 * not one.  RFC 9112 section 3.2.2.
 */
static int
target_strip_authority(struct http_slice *target)
{
	static const char *const	 schemes[] = {
		"http://", "https://", "ws://", "wss://",
	};
	size_t				 i, n;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		n = strlen(schemes[i]);
		if (target->len > n &&
		    strncasecmp(target->p, schemes[i], n) == 0)
			break;
	}
	if (i == sizeof(schemes) / sizeof(schemes[0]))
		return -1;

	target->p += n;
	target->len -= n;
	if (target->p[0] == '/' || target->p[0] == '?')
		return -1;
	while (target->len > 0 && target->p[0] != '/' && target->p[0] != '?') {
		target->p++;
		target->len--;
	}
	return 0;
}

static int
target_parse(struct http_request *req, struct http_slice target)
{
	bool	 absolute = false, found;

	if (target.len == 0 || !slice_all(&target, is_target_char))
		return -400;
	if (http_slice_is(&target, "*")) {
		if (!http_slice_is(&req->method, "OPTIONS"))
			return -400;
	} else if (target.p[0] != '/') {
		if (target_strip_authority(&target) == -1)
			return -400;
		absolute = true;
	}

	req->path = slice_cut(&target, '?', &found);
	req->query = target;
	if (absolute && req->path.len == 0) {
		req->path.p = "/";
		req->path.len = 1;
	}
	return 0;
}

/* method SP request-target SP HTTP-version, RFC 9112 section 3. */
static int
request_line_parse(struct http_request *req, struct http_slice line)
{
	struct http_slice	 target;
	bool			 first, second;
	int			 status;

	req->method = slice_cut(&line, ' ', &first);
	target = slice_cut(&line, ' ', &second);
	if (!first || !second || req->method.len == 0 ||
	    !slice_all(&req->method, is_token_char))
		return -400;
	/* Before the target: HTTP/2's preface is "PRI * HTTP/2.0". */
	if ((status = version_parse(req, &line)) != 0)
		return status;
	return target_parse(req, target);
}

/* field-name ":" OWS field-value OWS, RFC 9112 section 5. */
static int
header_parse(struct http_request *req, struct http_slice line)
{
	struct http_header	 h;
	bool			 found;

	if (req->nheaders == HTTP_MAX_HEADERS)
		return -431;
	/* A leading blank (obs-fold) is no token character either. */
	h.name = slice_cut(&line, ':', &found);
	if (!found || h.name.len == 0 || !slice_all(&h.name, is_token_char))
		return -400;
	if (!slice_all(&line, is_value_char))
		return -400;
	h.value = slice_trim(line);
	req->headers[req->nheaders++] = h;
	return 0;
}

static int
length_parse(const struct http_slice *s, uint64_t *length)
{
	uint64_t	 n = 0;
	unsigned	 digit;
	size_t		 i;

	if (s->len == 0)
		return -400;
	for (i = 0; i < s->len; i++) {
		if (!is_digit(s->p[i]))
			return -400;
		digit = (unsigned)(s->p[i] - '0');
		if (n > (UINT64_MAX - digit) / 10)
			return -400;
		n = n * 10 + digit;
	}
	*length = n;
	return 0;
}

/* RFC 9112 section 6: no two readers may disagree where the body ends. */
static int
body_check(struct http_request *req)
{
	const struct http_header	*h;
	uint64_t			 length;
	bool				 seen = false;
	size_t				 i;

	for (i = 0; i < req->nheaders; i++) {
		h = &req->headers[i];
		if (!slice_is_nocase(&h->name, "Content-Length"))
			continue;
		if (length_parse(&h->value, &length) != 0)
			return -400;
		if (seen && length != req->content_length)
			return -400;
		req->content_length = length;
		seen = true;
	}
	if (http_header_find(req, "Transfer-Encoding") == NULL)
		return 0;
	if (seen || req->minor == 0)
		return -400;
	if (http_header_count(req, "Transfer-Encoding") > 1 ||
	    !slice_is_nocase(http_header_find(req, "Transfer-Encoding"),
	    "chunked"))
		return -501;
	req->is_chunked = true;
	return 0;
}

/* RFC 9112 section 3.2. */
static int
host_check(const struct http_request *req)
{
	const struct http_slice	*host;

	host = http_header_find(req, "Host");
	if (host == NULL)
		return req->minor == 1 ? -400 : 0;
	if (http_header_count(req, "Host") > 1 ||
	    !slice_all(host, is_host_char))
		return -400;
	return 0;
}

static bool
keep_alive(const struct http_request *req)
{
	if (http_header_has(req, "Connection", "close"))
		return false;
	return req->minor == 1 ||
	    http_header_has(req, "Connection", "keep-alive");
}

/* What has to hold once all lines are there. */
static int
head_check(struct http_request *req)
{
	int	 status;

	if ((status = host_check(req)) != 0)
		return status;
	if ((status = body_check(req)) != 0)
		return status;
	req->keep_alive = keep_alive(req);
	return 0;
}

int
http_request_parse(struct http_request *req, const char *p, size_t len)
{
	struct cursor		 cur;
	struct http_slice	 line;
	bool			 started = false;
	int			 status;

	memset(req, 0, sizeof(*req));
	cur.p = p;
	cur.end = p + (len < HTTP_MAX_HEAD ? len : HTTP_MAX_HEAD);

	/* An empty line before the request is skipped, RFC 9112 2.2. */
	if (cur.end - cur.p >= 2 && memcmp(p, "\r\n", 2) == 0)
		cur.p += 2;

	for (;;) {
		switch (line_next(&cur, &line)) {
		case LINE_PARTIAL:
			return len >= HTTP_MAX_HEAD ? -431 : 0;
		case LINE_BAD:
			return -400;
		case LINE_OK:
			break;
		}
		if (!started)
			status = request_line_parse(req, line);
		else if (line.len > 0)
			status = header_parse(req, line);
		else if ((status = head_check(req)) == 0)
			return (int)(cur.p - p);
		if (status != 0)
			return status;
		started = true;
	}
}

const struct http_slice *
http_header_find(const struct http_request *req, const char *name)
{
	size_t	 i;

	for (i = 0; i < req->nheaders; i++)
		if (slice_is_nocase(&req->headers[i].name, name))
			return &req->headers[i].value;
	return NULL;
}

size_t
http_header_count(const struct http_request *req, const char *name)
{
	size_t	 i, n = 0;

	for (i = 0; i < req->nheaders; i++)
		if (slice_is_nocase(&req->headers[i].name, name))
			n++;
	return n;
}

/* Go on to the next line that has the list's name. */
static bool
list_next_line(struct http_list *l)
{
	const struct http_header	*h;

	while (l->line < l->req->nheaders) {
		h = &l->req->headers[l->line++];
		if (slice_is_nocase(&h->name, l->name)) {
			l->rest = h->value;
			return true;
		}
	}
	return false;
}

bool
http_list_next(struct http_list *l, struct http_slice *item)
{
	bool	 more;

	do {
		while (l->rest.len > 0) {
			*item = slice_trim(slice_cut(&l->rest, ',', &more));
			if (item->len > 0)
				return true;
		}
	} while (list_next_line(l));
	return false;
}

bool
http_header_has(const struct http_request *req, const char *name,
    const char *token)
{
	struct http_list	 l = { .req = req, .name = name };
	struct http_slice	 item;

	while (http_list_next(&l, &item))
		if (slice_is_nocase(&item, token))
			return true;
	return false;
}

static int
hex_value(char ch)
{
	if (is_digit(ch))
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	if (ch >= 'A' && ch <= 'F')
		return ch - 'A' + 10;
	return -1;
}

/* Percent-decode s into out[size].  Returns its length, or -1. */
static int
query_decode(const struct http_slice *s, char *out, size_t size)
{
	size_t	 i, n = 0;
	int	 hi, lo;
	char	 ch;

	for (i = 0; i < s->len; i++) {
		ch = s->p[i];
		if (ch == '+') {
			ch = ' ';
		} else if (ch == '%') {
			if (s->len - i < 3)
				return -1;
			hi = hex_value(s->p[i + 1]);
			lo = hex_value(s->p[i + 2]);
			if (hi == -1 || lo == -1 || (hi == 0 && lo == 0))
				return -1;
			ch = (char)(hi << 4 | lo);
			i += 2;
		}
		if (n + 1 >= size)
			return -1;
		out[n++] = ch;
	}
	if (size == 0)
		return -1;
	out[n] = '\0';
	return (int)n;
}

int
http_query_next(struct http_slice *rest, const char *name, char *out,
    size_t size)
{
	struct http_slice	 value, key;
	char			 decoded[QUERY_NAME_MAX];
	bool			 found;

	while (rest->len > 0) {
		value = slice_cut(rest, '&', &found);
		key = slice_cut(&value, '=', &found);
		if (query_decode(&key, decoded, sizeof(decoded)) >= 0 &&
		    strcmp(decoded, name) == 0)
			return query_decode(&value, out, size);
	}
	return HTTP_QUERY_END;
}

int
http_query_get(const struct http_request *req, const char *name, char *out,
    size_t size)
{
	struct http_slice	rest = req->query;
	int			n = http_query_next(&rest, name, out, size);

	return n == HTTP_QUERY_END ? -1 : n;
}

void
http_date(char out[HTTP_DATE_LEN + 1], time_t t)
{
	static const char	 days[] = "SunMonTueWedThuFriSat";
	static const char	 months[] = "JanFebMarAprMayJunJulAugSepOctNov"
				    "Dec";
	struct tm		 tm;

	/* Not strftime: the names are English whatever the locale. */
	(void)gmtime_r(&t, &tm);
	(void)snprintf(out, HTTP_DATE_LEN + 1,
	    "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days + 3 * tm.tm_wday,
	    (unsigned)tm.tm_mday % 100, months + 3 * tm.tm_mon,
	    (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
	    (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

const char *
http_reason(int status)
{
	switch (status) {
	case 101: return "Switching Protocols";
	case 200: return "OK";
	case 204: return "No Content";
	case 304: return "Not Modified";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 408: return "Request Timeout";
	case 409: return "Conflict";
	case 413: return "Content Too Large";
	case 415: return "Unsupported Media Type";
	case 426: return "Upgrade Required";
	case 429: return "Too Many Requests";
	case 431: return "Request Header Fields Too Large";
	case 500: return "Internal Server Error";
	case 501: return "Not Implemented";
	case 503: return "Service Unavailable";
	case 505: return "HTTP Version Not Supported";
	}
	return "Unknown";
}
