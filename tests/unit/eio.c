/* SPDX-License-Identifier: ISC */

/* Engine.IO packets, payloads and base64, row by row. */

#include "tap.h"
#include "dialect/eio.h"

#define BYTES(s)	s, sizeof(s) - 1

struct row {
	const char	*what;
	const char	*bytes;
	size_t		 len;
	int		 result;
	enum eio_type	 type;
	bool		 binary;
	const char	*data;
};

static const struct row rows[] = {
	{ "open", BYTES("0{\"sid\":1}"), 0, EIO_OPEN, false, "{\"sid\":1}" },
	{ "close", BYTES("1"), 0, EIO_CLOSE, false, "" },
	{ "ping", BYTES("2"), 0, EIO_PING, false, "" },
	{ "ping of a probe", BYTES("2probe"), 0, EIO_PING, false, "probe" },
	{ "pong", BYTES("3"), 0, EIO_PONG, false, "" },
	{ "message", BYTES("4hi"), 0, EIO_MESSAGE, false, "hi" },
	{ "message, empty", BYTES("4"), 0, EIO_MESSAGE, false, "" },
	{ "upgrade", BYTES("5"), 0, EIO_UPGRADE, false, "" },
	{ "upgrade with data", BYTES("52"), 0, EIO_UPGRADE, false, "2" },
	{ "noop", BYTES("6"), 0, EIO_NOOP, false, "" },
	{ "binary", BYTES("bAQID"), 0, EIO_MESSAGE, true, "AQID" },
	{ "nothing", BYTES(""), -1, EIO_OPEN, false, "" },
	{ "type 7", BYTES("7"), -1, EIO_OPEN, false, "" },
	{ "a letter", BYTES("abc"), -1, EIO_OPEN, false, "" },
	{ "a NUL", BYTES("\0004"), -1, EIO_OPEN, false, "" },
};

static void
test_packet(const struct row *r)
{
	struct eio_packet	 pkt;
	char			*copy = tap_copy(r->bytes, r->len);
	int			 result;

	result = eio_packet_parse(&pkt, copy, r->len);
	ok(result == r->result && (result == -1 || (pkt.type == r->type &&
	    pkt.binary == r->binary && pkt.len == strlen(r->data) &&
	    memcmp(pkt.data, r->data, pkt.len) == 0)), "packet: %s", r->what);
	free(copy);
}

struct payload_row {
	const char	*what;
	const char	*bytes;
	size_t		 len;
	const char	*types;		/* of the packets, then . or ! */
};

static const struct payload_row payloads[] = {
	{ "one", BYTES("4a"), "4." },
	{ "three", BYTES("4a\x1e" "2\x1e" "bAQ=="), "42b." },
	{ "empty messages", BYTES("4\x1e" "4"), "44." },
	{ "nothing", BYTES(""), "!" },
	{ "a separator alone", BYTES("\x1e"), "!" },
	{ "a separator first", BYTES("\x1e" "4a"), "!" },
	{ "a separator last", BYTES("4a\x1e"), "4!" },
	{ "two separators", BYTES("4a\x1e\x1e" "4b"), "4!" },
	{ "no packet", BYTES("4a\x1e" "x"), "4!" },
};

static void
test_payload(const struct payload_row *r)
{
	struct eio_payload	 walk;
	struct eio_packet	 pkt;
	char			*copy = tap_copy(r->bytes, r->len);
	char			 types[16];
	size_t			 n = 0;
	int			 result;

	eio_payload_start(&walk, copy, r->len);
	while ((result = eio_payload_next(&walk, &pkt)) == 1)
		types[n++] = pkt.binary ? 'b' : (char)('0' + pkt.type);
	types[n++] = result == 0 ? '.' : '!';
	types[n] = '\0';
	ok(strcmp(types, r->types) == 0, "payload: %s: %s", r->what, types);
	ok(eio_payload_next(&walk, &pkt) == 0, "payload: %s: it stays at the "
	    "end", r->what);
	free(copy);
}

struct base64_row {
	const char	*text;
	const char	*bytes;		/* NULL: not base64 */
	size_t		 len;
	bool		 canonical;
};

/* RFC 4648 section 10, and what breaks section 4. */
static const struct base64_row base64_rows[] = {
	{ "", BYTES(""), true },
	{ "Zg==", BYTES("f"), true },
	{ "Zm8=", BYTES("fo"), true },
	{ "Zm9v", BYTES("foo"), true },
	{ "Zm9vYg==", BYTES("foob"), true },
	{ "Zm9vYmE=", BYTES("fooba"), true },
	{ "Zm9vYmFy", BYTES("foobar"), true },
	{ "/+8A", BYTES("\xff\xef\x00"), true },
	{ "Zg", BYTES("f"), false },
	{ "Zm8", BYTES("fo"), false },
	{ "Z", NULL, 0, false },
	{ "=", NULL, 0, false },
	{ "====", NULL, 0, false },
	{ "Zg=", NULL, 0, false },
	{ "Z===", NULL, 0, false },
	{ "Zg==Zg==", NULL, 0, false },
	{ "Zm9 ", NULL, 0, false },
	{ "Zm-_", NULL, 0, false },
};

static void
test_base64(const struct base64_row *r)
{
	size_t	 len = strlen(r->text);
	char	*copy = tap_copy(r->text, len), *again;
	uint8_t	*out = malloc(len / 4 * 3 + 2);
	ssize_t	 n;

	if (out == NULL)
		abort();
	n = eio_base64_read(out, copy, len);
	ok(r->bytes == NULL ? n == -1 : n == (ssize_t)r->len &&
	    memcmp(out, r->bytes, r->len) == 0, "base64: \"%s\" is read",
	    r->text);
	free(out);
	free(copy);
	if (!r->canonical)
		return;
	again = malloc(eio_base64_size(r->len) + 1);
	if (again == NULL)
		abort();
	eio_base64_write(again, (const uint8_t *)r->bytes, r->len);
	ok(eio_base64_size(r->len) == len && memcmp(again, r->text, len) == 0,
	    "base64: \"%s\" is written", r->text);
	free(again);
}

int
main(void)
{
	size_t	i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		test_packet(&rows[i]);
	for (i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++)
		test_payload(&payloads[i]);
	for (i = 0; i < sizeof(base64_rows) / sizeof(base64_rows[0]); i++)
		test_base64(&base64_rows[i]);
	return tap_done();
}
