/* SPDX-License-Identifier: ISC */

/*
 * A message that comes in one piece is handed out where it lies; any other is
 * collected.
 */

#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "net/wsread.h"

void
wsread_clear(struct wsread *r)
{
	free(r->msg);
	memset(r, 0, sizeof(*r));
}

void
wsread_release(struct wsread *r)
{
	if (!r->delivered)
		return;
	free(r->msg);
	r->msg = NULL;
	r->len = r->cap = 0;
	r->delivered = false;
}

static void
bad(struct ws_event *ev, int code, const char *why)
{
	ev->type = WS_EVENT_BAD;
	ev->code = code;
	ev->why = why;
}

static void
append(struct wsread *r, const uint8_t *p, size_t n)
{
	size_t	need = r->len + n;

	if (n == 0)
		return;
	if (need > r->cap) {
		r->cap = need > r->cap * 2 ? need : r->cap * 2;
		r->msg = xrealloc(r->msg, r->cap);
	}
	memcpy(r->msg + r->len, p, n);
	r->len = need;
}

/* A data frame begins: is it in order, and will the message fit? */
static int
begin_data(struct wsread *r, size_t max, struct ws_event *ev)
{
	bool	first = r->hdr.opcode != WS_CONT;

	if (first == r->in_message) {
		bad(ev, WS_CLOSE_PROTOCOL, first ?
		    "new message inside a fragmented one" :
		    "continuation of nothing");
		return -1;
	}
	if (r->hdr.len > max - r->len) {
		bad(ev, WS_CLOSE_TOO_BIG, "message too big");
		return -1;
	}
	if (first) {
		r->opcode = r->hdr.opcode;
		r->utf8 = WS_UTF8_START;
	}
	r->in_message = true;
	return 0;
}

static void
deliver(struct wsread *r, const uint8_t *p, size_t n, struct ws_event *ev)
{
	r->in_message = false;
	if (r->opcode == WS_TEXT && r->utf8 != WS_UTF8_START) {
		bad(ev, WS_CLOSE_BAD_DATA, "text ends inside a character");
		return;
	}
	if (r->len > 0) {
		append(r, p, n);
		p = r->msg;
		n = r->len;
		r->delivered = true;
	}
	ev->type = WS_EVENT_MESSAGE;
	ev->opcode = r->opcode;
	ev->p = p;
	ev->len = n;
}

/* n more payload bytes of the current data frame, perhaps its last. */
static void
data(struct wsread *r, uint8_t *p, size_t n, bool drop, struct ws_event *ev)
{
	bool	last;

	ws_unmask(p, n, r->hdr.mask, r->got);
	r->got += n;
	r->in_frame = r->got < r->hdr.len;
	last = !r->in_frame && r->hdr.fin;
	if (drop) {
		r->in_message = r->in_message && !last;
		return;
	}
	if (r->opcode == WS_TEXT && !ws_utf8_check(&r->utf8, p, n))
		bad(ev, WS_CLOSE_BAD_DATA, "text is not UTF-8");
	else if (last)
		deliver(r, p, n, ev);
	else
		append(r, p, n);
}

/* A control frame, whole behind its header of h bytes, or not yet. */
static size_t
control(struct wsread *r, uint8_t *p, size_t n, size_t h, struct ws_event *ev)
{
	size_t	len = (size_t)r->hdr.len;

	if (len > n - h) {
		ev->type = WS_EVENT_MORE;
		return 0;
	}
	ws_unmask(p + h, len, r->hdr.mask, 0);
	ev->type = WS_EVENT_CONTROL;
	ev->opcode = r->hdr.opcode;
	ev->p = p + h;
	ev->len = len;
	return h + len;
}

size_t
wsread_step(struct wsread *r, uint8_t *p, size_t n, size_t max, bool drop,
    struct ws_event *ev)
{
	size_t	left;
	int	h;

	wsread_release(r);
	memset(ev, 0, sizeof(*ev));
	if (r->in_frame) {
		left = r->hdr.len - r->got < n ?
		    (size_t)(r->hdr.len - r->got) : n;
		data(r, p, left, drop, ev);
		return left;
	}
	if ((h = ws_header_parse(&r->hdr, p, n)) < 0) {
		bad(ev, WS_CLOSE_PROTOCOL, "bad frame header");
		return n;
	}
	if (h == 0) {
		ev->type = WS_EVENT_MORE;
		return 0;
	}
	if (r->hdr.opcode >= WS_CLOSE)
		return control(r, p, n, (size_t)h, ev);
	if (begin_data(r, max, ev) == -1)
		return n;
	r->got = 0;
	r->in_frame = r->hdr.len > 0;
	if (!r->in_frame)
		data(r, p, 0, drop, ev);
	return (size_t)h;
}
