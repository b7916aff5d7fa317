/* SPDX-License-Identifier: ISC */
#ifndef EIO_H
#define EIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

/*
 * Packets of the Engine.IO protocol, version 4.  Pure: bytes in, struct out;
 * nothing here allocates, and a struct points into the bytes it came from.
 */

#define EIO_SEPARATOR	0x1e		/* between packets of a payload */

enum eio_type {
	EIO_OPEN,			/* the digit on the wire */
	EIO_CLOSE,
	EIO_PING,
	EIO_PONG,
	EIO_MESSAGE,
	EIO_UPGRADE,
	EIO_NOOP,
};

struct eio_packet {
	enum eio_type	 type;
	bool		 binary;	/* a message whose data is base64 */
	const char	*data;		/* behind the digit, or behind the b */
	size_t		 len;
};

/*
 * Read one packet of text: a WebSocket message, or a part of a payload.
 * Returns 0, or -1 if it is empty or of no known type.
 */
int	 eio_packet_parse(struct eio_packet *pkt, const char *p, size_t len)
    __attribute__((warn_unused_result));

/*
 * A walk over the packets of a polling payload.  Start with eio_payload_start;
 * eio_payload_next returns 1 for a packet, 0 at the end and -1 if the next
 * part is no packet, with which the walk ends.
 */
struct eio_payload {
	const char	*p;		/* the next part; NULL: no more */
	size_t		 len;
};

void	 eio_payload_start(struct eio_payload *walk, const char *p,
	    size_t len);
int	 eio_payload_next(struct eio_payload *walk, struct eio_packet *pkt)
    __attribute__((warn_unused_result));

/* The bytes that n bytes become in base64, with padding. */
size_t	 eio_base64_size(size_t n);
/* Write them to out, without a NUL. */
void	 eio_base64_write(char *out, const uint8_t *p, size_t n);
/*
 * Read base64 (RFC 4648 section 4, padded or not) of len bytes into out, which
 * has room for len / 4 * 3 + 2 bytes and may be p itself.  Returns the number
 * of bytes, or -1 if it is not base64.
 */
ssize_t	 eio_base64_read(uint8_t *out, const char *p, size_t len)
    __attribute__((warn_unused_result));

#endif
