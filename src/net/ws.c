/* SPDX-License-Identifier: ISC */

/*
 * WebSocket framing, RFC 6455.  Bytes in, bytes out: nothing here allocates,
 * touches a socket or knows what a message means, so all of it can be fuzzed.
 */

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

#include "net/ws.h"

#define FIN_BIT		0x80
#define RSV_BITS	0x70
#define OPCODE_BITS	0x0f
#define MASK_BIT	0x80
#define LEN_BITS	0x7f
#define LEN_16		126		/* a 16-bit length follows */
#define LEN_64		127		/* a 64-bit length follows */

#define KEY_LEN		24		/* 16 bytes in base64 */
#define GUID		"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define GUID_LEN	(sizeof(GUID) - 1)

static bool
opcode_known(uint8_t opcode)
{
	return opcode <= WS_BINARY || (opcode >= WS_CLOSE && opcode <= WS_PONG);
}

/* Both may be asked as soon as their byte is there.  RFC 6455 section 5.2. */
static bool
first_byte_ok(uint8_t byte)
{
	uint8_t	 opcode = byte & OPCODE_BITS;

	if ((byte & RSV_BITS) != 0 || !opcode_known(opcode))
		return false;
	return opcode < WS_CLOSE || (byte & FIN_BIT) != 0;
}

static bool
second_byte_ok(uint8_t opcode, uint8_t byte)
{
	if ((byte & MASK_BIT) == 0)
		return false;
	return opcode < WS_CLOSE || (byte & LEN_BITS) <= WS_CONTROL_MAX;
}

/*
 * Read have of the ext bytes of an extended length.  Returns -1 if, whatever
 * the missing ones are, it is not minimal or over 2^63-1.
 */
static int
length_parse(uint64_t *len, const uint8_t *p, unsigned have, unsigned ext)
{
	uint64_t	 n = 0, least = ext == 2 ? LEN_16 : UINT64_C(1) << 16;
	unsigned	 i;

	for (i = 0; i < ext; i++)
		n = n << 8 | (i < have ? p[i] : 0xff);
	if (n < least)
		return -1;
	if (ext == 8 && have > 0 && (p[0] & 0x80) != 0)
		return -1;
	*len = n;
	return 0;
}

int
ws_header_parse(struct ws_header *h, const uint8_t *p, size_t len)
{
	unsigned	 ext, have;

	if (len < 1)
		return 0;
	if (!first_byte_ok(p[0]))
		return -1;
	h->fin = (p[0] & FIN_BIT) != 0;
	h->opcode = p[0] & OPCODE_BITS;

	if (len < 2)
		return 0;
	if (!second_byte_ok(h->opcode, p[1]))
		return -1;
	h->len = p[1] & LEN_BITS;
	ext = h->len == LEN_16 ? 2 : h->len == LEN_64 ? 8 : 0;

	have = len - 2 < ext ? (unsigned)(len - 2) : ext;
	if (ext > 0 && length_parse(&h->len, p + 2, have, ext) == -1)
		return -1;
	if (len - 2 < ext + sizeof(h->mask))
		return 0;
	memcpy(h->mask, p + 2 + ext, sizeof(h->mask));
	return (int)(2 + ext + sizeof(h->mask));
}

size_t
ws_header_size(uint64_t len)
{
	return len < LEN_16 ? 2 : len <= UINT16_MAX ? 4 : 10;
}

size_t
ws_header_write(uint8_t *out, uint8_t opcode, uint64_t len)
{
	size_t	 i, size = ws_header_size(len);

	out[0] = (uint8_t)(FIN_BIT | opcode);
	out[1] = size == 2 ? (uint8_t)len : size == 4 ? LEN_16 : LEN_64;
	for (i = size; i > 2; i--) {
		out[i - 1] = (uint8_t)len;
		len >>= 8;
	}
	return size;
}

void
ws_unmask(uint8_t *p, size_t n, const uint8_t mask[4], uint64_t offset)
{
	uint8_t		 turned[8];
	uint64_t	 word, key;
	size_t		 i;

	for (i = 0; i < sizeof(turned); i++)
		turned[i] = mask[(offset + i) & 3];
	memcpy(&key, turned, sizeof(key));

	for (; n >= sizeof(word); p += sizeof(word), n -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		word ^= key;
		memcpy(p, &word, sizeof(word));
	}
	for (i = 0; i < n; i++)
		p[i] ^= turned[i];
}

/*
 * The UTF-8 state says what may come next: the number of continuation bytes
 * still due, and the range of the first of them, which is where RFC 3629
 * cuts off overlong forms, surrogates and what lies beyond U+10FFFF.
 */
#define UTF8_STATE(due, lo, hi) \
	((uint32_t)(due) << 16 | (uint32_t)(lo) << 8 | (uint32_t)(hi))
#define UTF8_DUE(state)	((state) >> 16)
#define UTF8_LO(state)	((state) >> 8 & 0xff)
#define UTF8_HI(state)	((state) & 0xff)
#define UTF8_BAD	UINT32_MAX

static uint32_t
utf8_lead(uint8_t byte)
{
	if (byte < 0x80)
		return WS_UTF8_START;
	if (byte < 0xc2)
		return UTF8_BAD;
	if (byte < 0xe0)
		return UTF8_STATE(1, 0x80, 0xbf);
	if (byte < 0xf0)
		return UTF8_STATE(2, byte == 0xe0 ? 0xa0 : 0x80,
		    byte == 0xed ? 0x9f : 0xbf);
	if (byte < 0xf5)
		return UTF8_STATE(3, byte == 0xf0 ? 0x90 : 0x80,
		    byte == 0xf4 ? 0x8f : 0xbf);
	return UTF8_BAD;
}

static uint32_t
utf8_next(uint32_t state, uint8_t byte)
{
	if (state == WS_UTF8_START)
		return utf8_lead(byte);
	if (byte < UTF8_LO(state) || byte > UTF8_HI(state))
		return UTF8_BAD;
	if (UTF8_DUE(state) == 1)
		return WS_UTF8_START;
	return UTF8_STATE(UTF8_DUE(state) - 1, 0x80, 0xbf);
}

static size_t
ascii_run(const uint8_t *p, size_t n)
{
	uint64_t	 word;
	size_t		 i;

	for (i = 0; n - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, p + i, sizeof(word));
		if ((word & UINT64_C(0x8080808080808080)) != 0)
			break;
	}
	return i;
}

bool
ws_utf8_check(uint32_t *state, const uint8_t *p, size_t n)
{
	uint32_t	 s = *state;
	size_t		 i = 0;

	while (i < n && s != UTF8_BAD) {
		if (s == WS_UTF8_START && p[i] < 0x80)
			i += ascii_run(p + i, n - i);
		if (i < n)
			s = utf8_next(s, p[i++]);
	}
	*state = s;
	return s != UTF8_BAD;
}

bool
ws_close_code_ok(unsigned code)
{
	return (code >= 1000 && code <= 1003) ||
	    (code >= 1007 && code <= 1014) ||
	    (code >= 3000 && code <= 4999);
}

size_t
ws_close_write(uint8_t out[WS_CONTROL_MAX], unsigned code,
    const char *reason)
{
	size_t	len = strlen(reason);

	if (len > WS_CONTROL_MAX - 2)
		len = WS_CONTROL_MAX - 2;
	out[0] = (uint8_t)(code >> 8);
	out[1] = (uint8_t)code;
	memcpy(out + 2, reason, len);
	return len + 2;
}

int
ws_close_read(const uint8_t *p, size_t len, unsigned *code, const char **why)
{
	uint32_t	utf8 = WS_UTF8_START;

	*why = "";
	*code = WS_CLOSE_NONE;
	if (len == 0)
		return 0;
	if (len >= 2)
		*code = (unsigned)(p[0] << 8 | p[1]);
	if (len == 1 || !ws_close_code_ok(*code)) {
		*code = WS_CLOSE_PROTOCOL;
		*why = "bad close frame";
		return -1;
	}
	if (!ws_utf8_check(&utf8, p + 2, len - 2) || utf8 != WS_UTF8_START) {
		*code = WS_CLOSE_BAD_DATA;
		*why = "close reason is not UTF-8";
		return -1;
	}
	return 0;
}

void
ws_accept_key(char out[WS_ACCEPT_LEN + 1], const char *key, size_t len)
{
	unsigned char	 text[KEY_LEN + GUID_LEN];
	unsigned char	 digest[SHA_DIGEST_LENGTH];

	out[0] = '\0';
	if (len != KEY_LEN)
		return;
	memcpy(text, key, KEY_LEN);
	memcpy(text + KEY_LEN, GUID, GUID_LEN);
	SHA1(text, sizeof(text), digest);
	EVP_EncodeBlock((unsigned char *)out, digest, sizeof(digest));
}

static bool
is_base64_char(char ch)
{
	return (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') ||
	    (ch >= '0' && ch <= '9') || ch == '+' || ch == '/';
}

static bool
key_ok(const struct http_request *req)
{
	const struct http_slice	*key;
	size_t			 i;

	if (http_header_count(req, "Sec-WebSocket-Key") != 1)
		return false;
	key = http_header_find(req, "Sec-WebSocket-Key");
	if (key->len != KEY_LEN || memcmp(key->p + KEY_LEN - 2, "==", 2) != 0)
		return false;
	for (i = 0; i < KEY_LEN - 2; i++)
		if (!is_base64_char(key->p[i]))
			return false;
	return true;
}

int
ws_handshake_check(const struct http_request *req)
{
	const struct http_slice	*version;

	if (!http_header_has(req, "Upgrade", "websocket"))
		return 426;
	if (!http_slice_is(&req->method, "GET") || req->minor != 1 ||
	    req->content_length != 0 ||
	    !http_header_has(req, "Connection", "Upgrade"))
		return 400;

	if (http_header_count(req, "Sec-WebSocket-Version") > 1)
		return 400;
	version = http_header_find(req, "Sec-WebSocket-Version");
	if (version == NULL || !http_slice_is(version, "13"))
		return 426;
	return key_ok(req) ? 0 : 400;
}

void
ws_subprotocol_find(struct http_slice *out, const struct http_request *req,
    const char *prefix)
{
	struct http_list	 l = {
		.req = req,
		.name = "Sec-WebSocket-Protocol",
	};
	struct http_slice	 item;
	size_t			 len = strlen(prefix);

	out->p = NULL;
	out->len = 0;
	while (http_list_next(&l, &item))
		if (item.len >= len && memcmp(item.p, prefix, len) == 0) {
			*out = item;
			return;
		}
}
