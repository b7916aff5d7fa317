/* SPDX-License-Identifier: ISC */

/*
 * A Socket.IO packet is <type>[<attachments>-][<namespace>,][<ack>][<data>].
 * Each part is told from the next by its first character.
 */

#include <stdbool.h>
#include <string.h>

#include "dialect/packet.h"

#define ACK_DIGITS_MAX	15		/* exact in JavaScript's numbers */

static const char *const	reserved[] = { "connect", "connect_error",
    "disconnect", "disconnecting", "newListener", "removeListener" };

/* What is left to read. */
struct rest {
	const char	*p;
	size_t		 len;
};

static void
skip(struct rest *r, size_t n)
{
	r->p += n;
	r->len -= n;
}

/* Read decimal digits, at most max of them.  Returns -1 if there are none, or
 * more. */
static int64_t
take_number(struct rest *r, size_t max)
{
	int64_t	n = 0;
	size_t	i;

	for (i = 0; i < r->len && r->p[i] >= '0' && r->p[i] <= '9'; i++) {
		if (i == max)
			return -1;
		n = n * 10 + (r->p[i] - '0');
	}
	skip(r, i);
	return i == 0 ? -1 : n;
}

static bool
is_binary(const struct packet *pkt)
{
	return pkt->type == PACKET_BINARY_EVENT ||
	    pkt->type == PACKET_BINARY_ACK;
}

static int
take_attachments(struct packet *pkt, struct rest *r)
{
	int64_t	n;

	pkt->attachments = 0;
	if (!is_binary(pkt))
		return 0;
	n = take_number(r, 2);
	if (n == -1 || n > PACKET_ATTACHMENTS_MAX || r->len == 0 ||
	    r->p[0] != '-')
		return -1;
	skip(r, 1);
	pkt->attachments = (unsigned)n;
	return 0;
}

static int
take_namespace(struct packet *pkt, struct rest *r)
{
	const char	*comma;
	size_t		 len;

	pkt->nsp.p = "/";
	pkt->nsp.len = 1;
	if (r->len == 0 || r->p[0] != '/')
		return 0;
	comma = memchr(r->p, ',', r->len);
	len = comma == NULL ? r->len : (size_t)(comma - r->p);
	if (len > PACKET_NAMESPACE_MAX)
		return -1;
	pkt->nsp.p = r->p;
	pkt->nsp.len = len;
	skip(r, comma == NULL ? len : len + 1);
	return 0;
}

static int
take_ack(struct packet *pkt, struct rest *r)
{
	pkt->ack = -1;
	if (r->len == 0 || r->p[0] < '0' || r->p[0] > '9')
		return 0;
	pkt->ack = take_number(r, ACK_DIGITS_MAX);
	return pkt->ack == -1 ? -1 : 0;
}

/* Whether the data begins as the type demands. */
static bool
data_fits(const struct packet *pkt)
{
	char	first = pkt->data.len > 0 ? pkt->data.p[0] : '\0';

	switch (pkt->type) {
	case PACKET_CONNECT:
		return first == '{' || first == '\0';
	case PACKET_DISCONNECT:
		return first == '\0';
	case PACKET_CONNECT_ERROR:
		return first == '{' || first == '"';
	case PACKET_EVENT:
	case PACKET_ACK:
	case PACKET_BINARY_EVENT:
	case PACKET_BINARY_ACK:
		return first == '[';
	}
	return false;
}

int
packet_parse(struct packet *pkt, const char *p, size_t len)
{
	struct rest	r = { p, len };

	if (len == 0 || p[0] < '0' || p[0] > '6')
		return -1;
	pkt->type = (enum packet_type)(p[0] - '0');
	skip(&r, 1);
	if (take_attachments(pkt, &r) == -1 || take_namespace(pkt, &r) == -1 ||
	    take_ack(pkt, &r) == -1)
		return -1;
	pkt->data.p = r.p;
	pkt->data.len = r.len;
	return data_fits(pkt) ? 0 : -1;
}

bool
packet_is_reserved(const char *event)
{
	size_t	i;

	for (i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (strcmp(event, reserved[i]) == 0)
			return true;
	return false;
}
