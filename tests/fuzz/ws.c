/* SPDX-License-Identifier: ISC */

/*
 * Any bytes as a stream of client frames: headers, payloads unmasked, text
 * checked.  In one piece and byte by byte it must come to the same.
 */

#include <string.h>

#include "fuzz.h"
#include "net/ws.h"

/* What a stream came to. */
struct outcome {
	size_t		 frames;
	size_t		 at;		/* bytes read */
	bool		 broken;
	bool		 text_ok;
	uint32_t	 state;
};

/* Feed the payload of a frame in pieces of step bytes. */
static void
payload_feed(struct outcome *o, uint8_t *p, size_t n,
    const struct ws_header *h, size_t step)
{
	size_t	 i, piece;

	for (i = 0; i < n; i += piece) {
		piece = n - i < step ? n - i : step;
		ws_unmask(p + i, piece, h->mask, i);
		if (o->text_ok)
			o->text_ok = ws_utf8_check(&o->state, p + i, piece);
	}
}

static void
header_check(const struct ws_header *h, const uint8_t *p, int n)
{
	struct ws_header	 cut;
	uint8_t			 out[WS_HEADER_MAX];
	int			 i;

	must(n >= 6 && n <= WS_HEADER_MAX);
	must(h->len <= INT64_MAX);
	if (h->opcode >= WS_CLOSE)
		must(h->fin && h->len <= WS_CONTROL_MAX);
	for (i = 0; i < n; i++)
		must(ws_header_parse(&cut, p, (size_t)i) == 0);
	/* The length has one form only: what we write is what was read. */
	must(ws_header_write(out, h->opcode, h->len) + 4 == (size_t)n);
	must((p[1] & 0x7f) == out[1] && memcmp(p + 2, out + 2,
	    (size_t)n - 6) == 0);
}

static void
stream_read(struct outcome *o, uint8_t *p, size_t size, size_t step)
{
	struct ws_header	 h;
	size_t			 left, n;
	int			 result;

	memset(o, 0, sizeof(*o));
	o->text_ok = true;
	while (o->at < size) {
		left = size - o->at;
		result = ws_header_parse(&h, p + o->at, left);
		o->broken = result == -1;
		if (result <= 0)
			break;
		must((size_t)result <= left);
		header_check(&h, p + o->at, result);
		o->at += (size_t)result;
		left -= (size_t)result;
		n = h.len < left ? (size_t)h.len : left;
		payload_feed(o, p + o->at, n, &h, step);
		o->at += n;
		o->frames++;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome	 whole, bytes;
	uint8_t		*a = malloc(size + 1), *b = malloc(size + 1);
	uint32_t	 state = WS_UTF8_START, state2 = WS_UTF8_START;
	bool		 valid, valid2 = true;
	size_t		 i;

	must(a != NULL && b != NULL);
	memcpy(a, data, size);
	memcpy(b, data, size);
	stream_read(&whole, a, size, size + 1);
	stream_read(&bytes, b, size, 1);
	must(whole.frames == bytes.frames && whole.at == bytes.at);
	must(whole.broken == bytes.broken && whole.text_ok == bytes.text_ok);
	must(whole.state == bytes.state && memcmp(a, b, size) == 0);

	valid = ws_utf8_check(&state, data, size);
	for (i = 0; i < size && valid2; i++)
		valid2 = ws_utf8_check(&state2, data + i, 1);
	must(valid == valid2 && (!valid || state == state2));
	free(a);
	free(b);
	return 0;
}
