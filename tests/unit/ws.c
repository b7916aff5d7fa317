/* SPDX-License-Identifier: ISC */

/* WebSocket framing against RFC 6455, row by row. */

#include "tap.h"
#include "net/ws.h"

struct row {
	const char	*section;
	const char	*what;
	const char	*bytes;
	size_t		 len;
	int		 result;	/* size, 0 or -1 */
	uint64_t	 payload;
	uint8_t		 opcode;
	bool		 fin;
};

#define BYTES(s)	s, sizeof(s) - 1
#define MASK		"\x01\x02\x03\x04"

static const struct row rows[] = {
	{ "5.2", "nothing", BYTES(""), 0, 0, 0, false },
	{ "5.7", "text", BYTES("\x81\x85" MASK), 6, 5, WS_TEXT, true },
	{ "5.7", "first fragment", BYTES("\x01\x83" MASK), 6, 3, WS_TEXT,
	    false },
	{ "5.7", "last fragment", BYTES("\x80\x82" MASK), 6, 2, WS_CONT,
	    true },
	{ "5.2", "continuation in between", BYTES("\x00\x80" MASK), 6, 0,
	    WS_CONT, false },
	{ "5.2", "binary, empty", BYTES("\x82\x80" MASK), 6, 0, WS_BINARY,
	    true },
	{ "5.2", "7 bits, largest", BYTES("\x82\xfd" MASK), 6, 125, WS_BINARY,
	    true },
	{ "5.2", "16 bits, least", BYTES("\x82\xfe\x00\x7e" MASK), 8, 126,
	    WS_BINARY, true },
	{ "5.2", "16 bits, largest", BYTES("\x82\xfe\xff\xff" MASK), 8, 65535,
	    WS_BINARY, true },
	{ "5.2", "64 bits, least",
	    BYTES("\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00" MASK), 14, 65536,
	    WS_BINARY, true },
	{ "5.2", "64 bits, largest",
	    BYTES("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" MASK), 14,
	    INT64_MAX, WS_BINARY, true },
	{ "5.5.1", "close", BYTES("\x88\x82" MASK), 6, 2, WS_CLOSE, true },
	{ "5.5.2", "ping, largest", BYTES("\x89\xfd" MASK), 6, 125, WS_PING,
	    true },
	{ "5.5.3", "pong", BYTES("\x8a\x80" MASK), 6, 0, WS_PONG, true },

	{ "5.2", "RSV1", BYTES("\xc1"), -1, 0, 0, false },
	{ "5.2", "RSV2", BYTES("\xa1"), -1, 0, 0, false },
	{ "5.2", "RSV3", BYTES("\x91"), -1, 0, 0, false },
	{ "5.2", "opcode 3", BYTES("\x83"), -1, 0, 0, false },
	{ "5.2", "opcode 4", BYTES("\x84"), -1, 0, 0, false },
	{ "5.2", "opcode 5", BYTES("\x85"), -1, 0, 0, false },
	{ "5.2", "opcode 6", BYTES("\x86"), -1, 0, 0, false },
	{ "5.2", "opcode 7", BYTES("\x87"), -1, 0, 0, false },
	{ "5.2", "opcode b", BYTES("\x8b"), -1, 0, 0, false },
	{ "5.2", "opcode c", BYTES("\x8c"), -1, 0, 0, false },
	{ "5.2", "opcode d", BYTES("\x8d"), -1, 0, 0, false },
	{ "5.2", "opcode e", BYTES("\x8e"), -1, 0, 0, false },
	{ "5.2", "opcode f", BYTES("\x8f"), -1, 0, 0, false },
	{ "5.1", "unmasked", BYTES("\x81\x05"), -1, 0, 0, false },
	{ "5.1", "unmasked, empty", BYTES("\x82\x00"), -1, 0, 0, false },
	{ "5.5", "ping in fragments", BYTES("\x09"), -1, 0, 0, false },
	{ "5.5", "close in fragments", BYTES("\x08"), -1, 0, 0, false },
	{ "5.5", "pong in fragments", BYTES("\x0a"), -1, 0, 0, false },
	{ "5.5", "ping of 126 bytes", BYTES("\x89\xfe"), -1, 0, 0, false },
	{ "5.5", "close with 64-bit length", BYTES("\x88\xff"), -1, 0, 0,
	    false },
	{ "5.2", "16 bits, 125 in it", BYTES("\x82\xfe\x00\x7d"), -1, 0, 0,
	    false },
	{ "5.2", "16 bits, 0 in it", BYTES("\x82\xfe\x00\x00"), -1, 0, 0,
	    false },
	{ "5.2", "16 bits, one byte there", BYTES("\x82\xfe\x00"), 0, 0, 0,
	    false },
	{ "5.2", "64 bits, 65535 in it: seen with its sixth byte",
	    BYTES("\x82\xff\x00\x00\x00\x00\x00\x00"), -1, 0, 0, false },
	{ "5.2", "64 bits, five bytes of nought",
	    BYTES("\x82\xff\x00\x00\x00\x00\x00"), 0, 0, 0, false },
	{ "5.2", "64 bits, 2^63: seen with its first byte",
	    BYTES("\x82\xff\x80"), -1, 0, 0, false },
	{ "5.2", "64 bits, the sign alone decides", BYTES("\x82\xff\xff"),
	    -1, 0, 0, false },
};

static int
parse(struct ws_header *h, const char *bytes, size_t len)
{
	uint8_t	*copy = tap_copy(bytes, len);
	int	 result;

	memset(h, 0, sizeof(*h));
	result = ws_header_parse(h, copy, len);
	free(copy);
	return result;
}

static void
test_valid(const struct row *row, const struct ws_header *h)
{
	struct ws_header	 cut;
	char			 more[32] = { 0 };
	size_t			 i;

	ok(h->len == row->payload && h->opcode == row->opcode &&
	    h->fin == row->fin && memcmp(h->mask, MASK, 4) == 0,
	    "RFC 6455 %s: %s: its fields", row->section, row->what);
	for (i = 0; i < row->len; i++)
		if (parse(&cut, row->bytes, i) != 0)
			break;
	ok(i == row->len, "RFC 6455 %s: %s: cut at %zu of %zu", row->section,
	    row->what, i, row->len);
	memcpy(more, row->bytes, row->len);
	ok(parse(&cut, more, sizeof(more)) == row->result,
	    "RFC 6455 %s: %s: the payload is left", row->section, row->what);
}

static void
test_rows(void)
{
	const struct row	*row;
	struct ws_header	 h;
	size_t			 i;
	int			 got;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		row = &rows[i];
		got = parse(&h, row->bytes, row->len);
		ok(got == row->result, "RFC 6455 %s: %s: %d, got %d",
		    row->section, row->what, row->result, got);
		if (row->result > 0)
			test_valid(row, &h);
		if (row->result == -1)
			ok(parse(&h, row->bytes, row->len - 1) == 0,
			    "RFC 6455 %s: %s: not a byte before",
			    row->section, row->what);
	}
}

/* What we write, read back: set the mask bit, put a mask in. */
static void
test_write(void)
{
	static const uint64_t	 lens[] = {
		0, 1, 125, 126, 127, 65535, 65536, 1 << 24, INT64_MAX,
	};
	static const size_t	 sizes[] = { 2, 2, 2, 4, 4, 4, 10, 10, 10 };
	struct ws_header	 h;
	uint8_t			 out[WS_HEADER_MAX];
	size_t			 i, n;

	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		memset(out, 0xee, sizeof(out));
		n = ws_header_write(out, WS_TEXT, lens[i]);
		ok(n == sizes[i] && n == ws_header_size(lens[i]) &&
		    (out[1] & 0x80) == 0 && out[n] == 0xee,
		    "RFC 6455 5.2: %zu bytes for %ju", n,
		    (uintmax_t)lens[i]);
		out[1] |= 0x80;
		ok(ws_header_parse(&h, out, n + 4) == (int)n + 4 && h.fin &&
		    h.len == lens[i] && h.opcode == WS_TEXT,
		    "RFC 6455 5.2: read back %ju", (uintmax_t)lens[i]);
	}
	ws_header_write(out, WS_CLOSE, 2);
	ok(out[0] == 0x88 && out[1] == 2, "RFC 6455 5.5.1: a close");
}

/* Against the formula of the RFC, with every offset, length and alignment. */
static void
test_unmask(void)
{
	static const uint8_t	 mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
	uint8_t			*p;
	size_t			 offset, n, shift, i;
	bool			 good = true;

	for (offset = 0; offset < 9; offset++)
		for (n = 0; n < 40; n++)
			for (shift = 0; shift < 8; shift++) {
				p = calloc(1, shift + n + 1);
				ws_unmask(p + shift, n, mask, offset);
				for (i = 0; i < n; i++)
					good = good && p[shift + i] ==
					    mask[(offset + i) % 4];
				good = good && p[shift + n] == 0;
				free(p);
			}
	ok(good, "RFC 6455 5.3: every offset, length and alignment");
	p = tap_copy("\x7f\x9f\x4d\x51\x58", 5);
	ws_unmask(p, 5, mask, 0);
	ok(memcmp(p, "Hello", 5) == 0, "RFC 6455 5.7: Hello");
	free(p);
	p = tap_copy("\x58", 1);
	ws_unmask(p, 1, mask, UINT64_MAX - 3);
	ok(p[0] == 'o', "RFC 6455 5.3: an offset at the end of its range");
	free(p);
}

struct text {
	const char	*what;
	const char	*bytes;
	size_t		 len;
	int		 bad;	/* at this byte; -1: valid, -2: unfinished */
};

static const struct text texts[] = {
	{ "empty", BYTES(""), -1 },
	{ "ASCII", BYTES("hello, 01234567 world"), -1 },
	{ "NUL", BYTES("a\0b"), -1 },
	{ "U+7F", BYTES("\x7f"), -1 },
	{ "U+80", BYTES("\xc2\x80"), -1 },
	{ "U+7FF", BYTES("\xdf\xbf"), -1 },
	{ "U+800", BYTES("\xe0\xa0\x80"), -1 },
	{ "U+D7FF", BYTES("\xed\x9f\xbf"), -1 },
	{ "U+E000", BYTES("\xee\x80\x80"), -1 },
	{ "U+FFFF", BYTES("\xef\xbf\xbf"), -1 },
	{ "U+10000", BYTES("\xf0\x90\x80\x80"), -1 },
	{ "U+10FFFF", BYTES("\xf4\x8f\xbf\xbf"), -1 },
	{ "mixed", BYTES("\xce\xba\xe1\xbd\xb9 8 bytes here \xf0\x9f\x98\x80"
	    "and more"), -1 },
	{ "continuation alone", BYTES("a\x80"), 1 },
	{ "continuation alone, last", BYTES("\xbf"), 0 },
	{ "overlong NUL", BYTES("\xc0\x80"), 0 },
	{ "overlong U+7F", BYTES("\xc1\xbf"), 0 },
	{ "overlong U+7FF", BYTES("\xe0\x9f\xbf"), 1 },
	{ "overlong U+FFFF", BYTES("\xf0\x8f\xbf\xbf"), 1 },
	{ "surrogate U+D800", BYTES("\xed\xa0\x80"), 1 },
	{ "surrogate U+DFFF", BYTES("\xed\xbf\xbf"), 1 },
	{ "U+110000", BYTES("\xf4\x90\x80\x80"), 1 },
	{ "lead byte f5", BYTES("\xf5\x80\x80\x80"), 0 },
	{ "lead byte ff", BYTES("abcdefghijk\xff"), 11 },
	{ "first byte of a second word", BYTES("abcdefgh\xffijklmno"), 8 },
	{ "last byte of a second word", BYTES("abcdefghijklmno\xff"), 15 },
	{ "lead byte fe", BYTES("\xfe"), 0 },
	{ "2 cut by ASCII", BYTES("\xc3z"), 1 },
	{ "3 cut by ASCII", BYTES("\xe2\x82z"), 2 },
	{ "4 cut by a lead", BYTES("\xf0\x9f\x98\xc3"), 3 },
	{ "2 unfinished", BYTES("\xc3"), -2 },
	{ "3 unfinished", BYTES("abcdefgh\xe2\x82"), -2 },
	{ "4 unfinished", BYTES("\xf0\x9f\x98"), -2 },
};

/* In two pieces, cut anywhere: both must agree with the whole. */
static bool
utf8_pieces(const struct text *t, size_t cut)
{
	uint8_t		*a = tap_copy(t->bytes, cut);
	uint8_t		*b = tap_copy(t->bytes + cut, t->len - cut);
	uint32_t	 state = WS_UTF8_START;
	bool		 first, second;

	first = ws_utf8_check(&state, a, cut);
	second = ws_utf8_check(&state, b, t->len - cut);
	free(a);
	free(b);
	if (t->bad >= 0)
		return first == (cut <= (size_t)t->bad) && !second;
	return first && second && (state == WS_UTF8_START) == (t->bad == -1);
}

static void
test_utf8(void)
{
	const struct text	*t;
	size_t			 i, cut;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		t = &texts[i];
		for (cut = 0; cut <= t->len; cut++)
			if (!utf8_pieces(t, cut))
				break;
		ok(cut == t->len + 1, "RFC 3629 4: %s: cut at %zu of %zu",
		    t->what, cut, t->len);
	}
}

/* Every code point, encoded as RFC 3629 section 3 says. */
static void
test_utf8_all(void)
{
	uint32_t	 cp, state, wrong = 0;
	uint8_t		 p[4];
	size_t		 n;
	bool		 valid;

	for (cp = 0; cp < 0x120000; cp++) {
		n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
		p[0] = (uint8_t)(n == 1 ? cp : (0xf0 << (4 - n) & 0xff) |
		    cp >> 6 * (n - 1));
		if (n > 1)
			p[n - 1] = (uint8_t)(0x80 | (cp & 0x3f));
		if (n > 2)
			p[n - 2] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
		if (n > 3)
			p[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3f));
		state = WS_UTF8_START;
		valid = ws_utf8_check(&state, p, n) && state == WS_UTF8_START;
		if (valid != (cp < 0x110000 && (cp < 0xd800 || cp > 0xdfff)))
			wrong++;
	}
	ok(wrong == 0, "RFC 3629 3: every code point, %u wrong", wrong);
}

static void
test_close_codes(void)
{
	static const unsigned	 good[] = {
		1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012,
		1013, 1014, 3000, 3999, 4000, 4999,
	};
	static const unsigned	 bad[] = {
		0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999,
		5000, 65535,
	};
	size_t			 i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ok(ws_close_code_ok(good[i]), "RFC 6455 7.4: %u", good[i]);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!ws_close_code_ok(bad[i]), "RFC 6455 7.4: not %u", bad[i]);
}

static void
test_accept(void)
{
	char	 out[WS_ACCEPT_LEN + 1];

	ws_accept_key(out, "dGhlIHNhbXBsZSBub25jZQ==", 24);
	ok(strcmp(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == 0,
	    "RFC 6455 1.3: the example's accept key");
	ws_accept_key(out, "dGhlIHNhbXBsZSBub25jZQ", 22);
	ok(out[0] == '\0', "RFC 6455 4.2.2: none for another length");
}

struct handshake {
	const char	*section;
	const char	*what;
	const char	*line;		/* request line */
	const char	*upgrade;
	const char	*connection;
	const char	*version;
	const char	*key;
	const char	*more;
	int		 status;
};

#define LINE	"GET /ws HTTP/1.1"
#define UP	"Upgrade: websocket\r\n"
#define CO	"Connection: Upgrade\r\n"
#define VE	"Sec-WebSocket-Version: 13\r\n"
#define KE	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static const struct handshake handshakes[] = {
	{ "4.2.1", "good", LINE, UP, CO, VE, KE, "", 0 },
	{ "4.2.1", "in another case", LINE, "upgrade: WebSocket\r\n",
	    "connection: upgrade\r\n", VE, KE, "", 0 },
	{ "4.2.1", "as browsers write it", LINE, UP,
	    "Connection: keep-alive, Upgrade\r\n", VE, KE,
	    "Sec-WebSocket-Extensions: permessage-deflate\r\n", 0 },
	{ "4.2.1", "one of several upgrades", LINE,
	    "Upgrade: h2c, websocket\r\n", CO, VE, KE, "", 0 },
	{ "4.2.1", "empty body", LINE, UP, CO, VE, KE,
	    "Content-Length: 0\r\n", 0 },
	{ "4.2.1", "no Upgrade", LINE, "", CO, VE, KE, "", 426 },
	{ "4.2.1", "another upgrade", LINE, "Upgrade: h2c\r\n", CO, VE, KE, "",
	    426 },
	{ "4.2.1", "no Connection", LINE, UP, "", VE, KE, "", 400 },
	{ "4.2.1", "another Connection", LINE, UP,
	    "Connection: keep-alive\r\n", VE, KE, "", 400 },
	{ "4.2.1", "POST", "POST /ws HTTP/1.1", UP, CO, VE, KE, "", 400 },
	{ "4.2.1", "get", "get /ws HTTP/1.1", UP, CO, VE, KE, "", 400 },
	{ "4.2.1", "HTTP/1.0", "GET /ws HTTP/1.0", UP, CO, VE, KE, "", 400 },
	{ "4.2.1", "a body", LINE, UP, CO, VE, KE, "Content-Length: 1\r\n",
	    400 },
	{ "4.4", "no version", LINE, UP, CO, "", KE, "", 426 },
	{ "4.4", "version 8", LINE, UP, CO, "Sec-WebSocket-Version: 8\r\n", KE,
	    "", 426 },
	{ "4.4", "version 013", LINE, UP, CO,
	    "Sec-WebSocket-Version: 013\r\n", KE, "", 426 },
	{ "11.3.5", "two versions", LINE, UP, CO, VE VE, KE, "", 400 },
	{ "4.2.1", "no key", LINE, UP, CO, VE, "", "", 400 },
	{ "11.3.1", "two keys", LINE, UP, CO, VE, KE KE, "", 400 },
	{ "4.2.1", "empty key", LINE, UP, CO, VE, "Sec-WebSocket-Key:\r\n", "",
	    400 },
	{ "4.2.1", "key of 15 bytes", LINE, UP, CO, VE,
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n", "", 400 },
	{ "4.2.1", "key of 17 bytes", LINE, UP, CO, VE,
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWU=\r\n", "", 400 },
	{ "4.2.1", "key of 18 bytes", LINE, UP, CO, VE,
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWVl\r\n", "", 400 },
	{ "4.2.1", "key with more after its end", LINE, UP, CO, VE,
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==x\r\n", "", 400 },
	{ "4.2.1", "key not base64", LINE, UP, CO, VE,
	    "Sec-WebSocket-Key: dGhlIHNhb-BsZSBub25jZQ==\r\n", "", 400 },
	{ "4.2.1", "padding inside a key", LINE, UP, CO, VE,
	    "Sec-WebSocket-Key: dGhlIHNhb=BsZSBub25jZQ==\r\n", "", 400 },
};

static void
test_handshakes(void)
{
	const struct handshake	*h;
	struct http_request	 req;
	char			 head[1000];
	size_t			 i;
	int			 got;

	for (i = 0; i < sizeof(handshakes) / sizeof(handshakes[0]); i++) {
		h = &handshakes[i];
		snprintf(head, sizeof(head),
		    "%s\r\nHost: a\r\n%s%s%s%s%s\r\n", h->line, h->upgrade,
		    h->connection, h->version, h->key, h->more);
		if (http_request_parse(&req, head, strlen(head)) <= 0)
			abort();
		got = ws_handshake_check(&req);
		ok(got == h->status, "RFC 6455 %s: %s: %d, got %d", h->section,
		    h->what, h->status, got);
	}
}

static void
test_subprotocols(void)
{
	static const char	 head[] = LINE "\r\nHost: a\r\n"
	    "Sec-WebSocket-Protocol: chat, Bearer.no ,pgpush.v1\r\n"
	    "Sec-WebSocket-Protocol: bearer.a.b.c, bearer.second\r\n\r\n";
	static const char	 none[] = LINE "\r\nHost: a\r\n\r\n";
	struct http_request	 req;
	struct http_slice	 s;

	http_request_parse(&req, head, sizeof(head) - 1);
	ws_subprotocol_find(&s, &req, "pgpush.v1");
	ok(http_slice_is(&s, "pgpush.v1"), "RFC 6455 11.3.4: a subprotocol");
	ws_subprotocol_find(&s, &req, "bearer.");
	ok(http_slice_is(&s, "bearer.a.b.c"),
	    "RFC 6455 11.3.4: the first with a prefix, on any line");
	ws_subprotocol_find(&s, &req, "pgpush.v1x");
	ok(s.len == 0, "RFC 6455 11.3.4: none");
	ws_subprotocol_find(&s, &req, "chat,");
	ok(s.len == 0, "RFC 6455 11.3.4: an item ends at its comma");
	http_request_parse(&req, none, sizeof(none) - 1);
	ws_subprotocol_find(&s, &req, "");
	ok(s.len == 0, "RFC 6455 11.3.4: none offered");
}

int
main(void)
{
	test_rows();
	test_write();
	test_unmask();
	test_utf8();
	test_utf8_all();
	test_close_codes();
	test_accept();
	test_handshakes();
	test_subprotocols();
	return tap_done();
}
