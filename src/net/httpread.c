/* SPDX-License-Identifier: ISC */

/*
 * A request that comes in one piece is handed out where it lies; of any other
 * the head is collected, and parsed again when the body is whole.
 */

#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "net/httpread.h"

#define TLS_HANDSHAKE	0x16		/* how a TLS client begins */
#define DIGITS_MAX	8		/* of a chunk's size */
#define EXTRA_MAX	4096		/* bytes of extensions and trailers */

void
httpread_clear(struct httpread *r)
{
	free(r->head);
	free(r->body);
	memset(r, 0, sizeof(*r));
}

void
httpread_release(struct httpread *r)
{
	if (r->state == HTTPREAD_DONE)
		httpread_clear(r);
}

bool
httpread_is_idle(const struct httpread *r)
{
	return r->state == HTTPREAD_DONE ||
	    (r->state == HTTPREAD_HEAD && r->head_len == 0);
}

static void
append(uint8_t **buf, size_t *len, const uint8_t *p, size_t n)
{
	if (n == 0)
		return;
	*buf = xrealloc(*buf, *len + n);
	memcpy(*buf + *len, p, n);
	*len += n;
}

static int
hex_value(uint8_t ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	return ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;
}

/* The line of a chunk's size has ended. */
static int
begin_chunk(struct httpread *r, size_t max)
{
	if (r->digits == 0)
		return -400;
	if (r->left > max - r->body_len)
		return -413;
	r->digits = 0;
	r->state = r->left == 0 ? HTTPREAD_TRAILER : HTTPREAD_DATA;
	return 0;
}

static int
size_byte(struct httpread *r, uint8_t ch)
{
	int	digit = hex_value(ch);

	if (digit != -1 && r->digits < DIGITS_MAX) {
		r->left = (r->digits++ == 0 ? 0 : r->left << 4) |
		    (uint64_t)digit;
		return 0;
	}
	if (ch == '\r')
		r->state = HTTPREAD_SIZE_LF;
	else if (ch == ';' || ch == ' ' || ch == '\t')
		r->state = HTTPREAD_SIZE_REST;
	else
		return -400;
	return 0;
}

/* A byte that must be this one, and what comes behind it. */
static int
expect(struct httpread *r, uint8_t ch, uint8_t wanted,
    enum httpread_state next)
{
	r->state = next;
	return ch == wanted ? 0 : -400;
}

/* A byte that is passed over, up to the end of its line. */
static int
pass(struct httpread *r, uint8_t ch, enum httpread_state end)
{
	if (ch == '\r')
		r->state = end;
	return ch == '\n' || ++r->extra > EXTRA_MAX ? -400 : 0;
}

/* One byte of what stands around the chunks. */
static int
chunk_byte(struct httpread *r, uint8_t ch, size_t max)
{
	switch (r->state) {
	case HTTPREAD_SIZE:
		return size_byte(r, ch);
	case HTTPREAD_SIZE_REST:
		return pass(r, ch, HTTPREAD_SIZE_LF);
	case HTTPREAD_SIZE_LF:
		return ch == '\n' ? begin_chunk(r, max) : -400;
	case HTTPREAD_DATA_CR:
		return expect(r, ch, '\r', HTTPREAD_DATA_LF);
	case HTTPREAD_DATA_LF:
		return expect(r, ch, '\n', HTTPREAD_SIZE);
	case HTTPREAD_TRAILER:
		r->state = ch == '\r' ? HTTPREAD_LAST_LF :
		    HTTPREAD_TRAILER_REST;
		return ch == '\r' ? 0 : pass(r, ch, HTTPREAD_TRAILER_LF);
	case HTTPREAD_TRAILER_REST:
		return pass(r, ch, HTTPREAD_TRAILER_LF);
	case HTTPREAD_TRAILER_LF:
		return expect(r, ch, '\n', HTTPREAD_TRAILER);
	case HTTPREAD_LAST_LF:
		return expect(r, ch, '\n', HTTPREAD_DONE);
	case HTTPREAD_HEAD:
	case HTTPREAD_LENGTH:
	case HTTPREAD_DATA:
	case HTTPREAD_DONE:
		break;
	}
	return -400;
}

/* Read the body on from p[n]; *used grows.  Returns 0 or minus a status. */
static int
read_body(struct httpread *r, const uint8_t *p, size_t n, size_t max,
    size_t *used)
{
	size_t	take;
	int	status;

	while (*used < n && r->state != HTTPREAD_DONE) {
		if (r->state != HTTPREAD_DATA && r->state != HTTPREAD_LENGTH) {
			status = chunk_byte(r, p[(*used)++], max);
			if (status != 0)
				return status;
			continue;
		}
		take = r->left < n - *used ? (size_t)r->left : n - *used;
		append(&r->body, &r->body_len, p + *used, take);
		*used += take;
		r->left -= take;
		if (r->left == 0)
			r->state = r->state == HTTPREAD_DATA ?
			    HTTPREAD_DATA_CR : HTTPREAD_DONE;
	}
	return 0;
}

/*
 * Parse the head from what was kept of it and p[n]; what is in p is kept
 * unless the whole request is there.  Returns 1 if it is, with req filled in;
 * 0 if the head is incomplete, or the body, as the state says.
 */
static int
read_head(struct httpread *r, const uint8_t *p, size_t n, size_t max,
    struct http_request *req, size_t *used)
{
	size_t	kept = r->head_len, size;
	int	head;

	if (kept > 0) {
		append(&r->head, &r->head_len, p, n);
		head = http_request_parse(req, (char *)r->head, r->head_len);
	} else
		head = http_request_parse(req, (const char *)p, n);
	if (head < 0)
		return head;
	if (head == 0) {
		if (kept == 0)
			append(&r->head, &r->head_len, p, n);
		*used = n;
		return 0;
	}
	size = (size_t)head;
	*used = size - kept;
	if (req->content_length > max)
		return -413;
	if (kept == 0 && !req->is_chunked &&
	    req->content_length <= n - size) {
		req->body.p = (const char *)p + size;
		req->body.len = (size_t)req->content_length;
		*used += req->body.len;
		return 1;
	}
	if (kept == 0)
		append(&r->head, &r->head_len, p, size);
	r->head_len = size;
	r->left = req->content_length;
	r->state = req->is_chunked ? HTTPREAD_SIZE : r->left > 0 ?
	    HTTPREAD_LENGTH : HTTPREAD_DONE;
	return 0;
}

int
httpread_step(struct httpread *r, const uint8_t *p, size_t n, size_t max,
    struct http_request *req, size_t *used, bool *waits)
{
	int	status;

	*used = 0;
	*waits = false;
	httpread_release(r);
	if (r->state == HTTPREAD_HEAD) {
		r->is_tls = r->head_len == 0 && p[0] == TLS_HANDSHAKE;
		if (r->is_tls)
			return -400;
		status = read_head(r, p, n, max, req, used);
		if (status != 0 || r->state == HTTPREAD_HEAD)
			return status;
		*waits = *used == n && r->state != HTTPREAD_DONE &&
		    http_header_has(req, "Expect", "100-continue");
	}
	if ((status = read_body(r, p, n, max, used)) != 0)
		return status;
	if (r->state != HTTPREAD_DONE)
		return 0;
	*waits = false;
	(void)http_request_parse(req, (char *)r->head, r->head_len);
	req->body.p = (char *)r->body;
	req->body.len = r->body_len;
	return 1;
}
