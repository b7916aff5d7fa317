/* SPDX-License-Identifier: ISC */

/*
 * Any bytes as a polling payload and each of its messages as a Socket.IO
 * packet; and any bytes as base64.
 */

#include <string.h>

#include "fuzz.h"
#include "dialect/eio.h"
#include "dialect/packet.h"

static void
inside(const char *p, size_t n, const char *outer, size_t len)
{
	must(n <= len);
	must(n == 0 || (p >= outer && p <= outer + len - n));
}

static void
check_packet(const char *p, size_t len)
{
	struct packet	pkt;

	if (packet_parse(&pkt, p, len) == -1)
		return;
	must(pkt.attachments <= PACKET_ATTACHMENTS_MAX);
	must(pkt.type == PACKET_BINARY_EVENT || pkt.type == PACKET_BINARY_ACK ||
	    pkt.attachments == 0);
	must(pkt.nsp.len >= 1 && pkt.nsp.len <= PACKET_NAMESPACE_MAX);
	must(pkt.nsp.p[0] == '/' && memchr(pkt.nsp.p, ',', pkt.nsp.len) ==
	    NULL);
	must(pkt.ack >= -1);
	inside(pkt.data.p, pkt.data.len, p, len);
	/* The data is all that is left. */
	must(pkt.data.len == 0 || pkt.data.p + pkt.data.len == p + len);
}

/* What is read from base64 is written again as it was, but for padding. */
static void
check_base64(const char *p, size_t len)
{
	uint8_t	*out = malloc(len / 4 * 3 + 2);
	ssize_t	 n, m;
	char	*text;

	must(out != NULL);
	if ((n = eio_base64_read(out, p, len)) != -1) {
		must((size_t)n <= len / 4 * 3 + 2);
		text = malloc(eio_base64_size((size_t)n) + 1);
		must(text != NULL);
		eio_base64_write(text, out, (size_t)n);
		m = eio_base64_read(out, text, eio_base64_size((size_t)n));
		must(m == n);
		must(n == 0 || memcmp(text, p, (size_t)n / 3 * 4) == 0);
		free(text);
	}
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char		*p = (const char *)data;
	struct eio_payload	 walk;
	struct eio_packet	 pkt;
	size_t			 seen = 0;
	int			 result;

	eio_payload_start(&walk, p, size);
	while ((result = eio_payload_next(&walk, &pkt)) == 1) {
		inside(pkt.data, pkt.len, p, size);
		seen += pkt.len + 2;
		must(!pkt.binary || pkt.type == EIO_MESSAGE);
		if (pkt.binary)
			check_base64(pkt.data, pkt.len);
		else if (pkt.type == EIO_MESSAGE)
			check_packet(pkt.data, pkt.len);
	}
	/* Nothing is passed over: each part has a digit and, but for the
	 * last, a separator. */
	must(result == -1 || seen == size + 1);
	check_packet(p, size);
	check_base64(p, size);
	return 0;
}
