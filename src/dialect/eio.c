/* SPDX-License-Identifier: ISC */

/*
 * Engine.IO packets.  A packet is a digit and its data; several of them make a
 * payload, with a separator that no JSON text contains between them.
 */

#include <string.h>

#include "dialect/eio.h"

#define BINARY_MARK	'b'

static const char	alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz0123456789+/";

int
eio_packet_parse(struct eio_packet *pkt, const char *p, size_t len)
{
	if (len == 0)
		return -1;
	pkt->binary = p[0] == BINARY_MARK;
	if (pkt->binary)
		pkt->type = EIO_MESSAGE;
	else if (p[0] >= '0' && p[0] <= '6')
		pkt->type = (enum eio_type)(p[0] - '0');
	else
		return -1;
	pkt->data = p + 1;
	pkt->len = len - 1;
	return 0;
}

void
eio_payload_start(struct eio_payload *walk, const char *p, size_t len)
{
	walk->p = p;
	walk->len = len;
}

int
eio_payload_next(struct eio_payload *walk, struct eio_packet *pkt)
{
	const char	*part = walk->p, *end;
	size_t		 len = walk->len;

	if (part == NULL)
		return 0;
	if ((end = memchr(part, EIO_SEPARATOR, len)) == NULL)
		walk->p = NULL;
	else {
		len = (size_t)(end - part);
		walk->p = end + 1;
		walk->len -= len + 1;
	}
	if (eio_packet_parse(pkt, part, len) == 0)
		return 1;
	walk->p = NULL;
	return -1;
}

size_t
eio_base64_size(size_t n)
{
	return (n + 2) / 3 * 4;
}

void
eio_base64_write(char *out, const uint8_t *p, size_t n)
{
	uint32_t	bits;
	size_t		i, left;

	for (i = 0; i < n; i += 3) {
		left = n - i;
		bits = (uint32_t)p[i] << 16;
		if (left > 1)
			bits |= (uint32_t)p[i + 1] << 8;
		if (left > 2)
			bits |= p[i + 2];
		*out++ = alphabet[bits >> 18];
		*out++ = alphabet[bits >> 12 & 63];
		*out++ = left > 1 ? alphabet[bits >> 6 & 63] : '=';
		*out++ = left > 2 ? alphabet[bits & 63] : '=';
	}
}

/* The six bits that a character stands for, or -1. */
static int
sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

ssize_t
eio_base64_read(uint8_t *out, const char *p, size_t len)
{
	uint32_t	bits = 0;
	ssize_t		n = 0;
	size_t		i;
	int		six;

	if (len % 4 == 0 && len > 0 && p[len - 1] == '=')
		len -= p[len - 2] == '=' ? 2 : 1;
	if (len % 4 == 1)
		return -1;
	for (i = 0; i < len; i++) {
		if ((six = sextet(p[i])) == -1)
			return -1;
		bits = bits << 6 | (uint32_t)six;
		if (i % 4 == 0)
			continue;
		out[n++] = (uint8_t)(bits >> (6 - i % 4 * 2));
	}
	return n;
}
