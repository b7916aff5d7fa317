/* SPDX-License-Identifier: ISC */
#ifndef WS_H
#define WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/http.h"

/*
 * WebSocket framing, RFC 6455.  Pure: nothing here allocates, touches a socket
 * or knows what a message means.
 */

enum ws_opcode {
	WS_CONT		= 0x0,
	WS_TEXT		= 0x1,
	WS_BINARY	= 0x2,
	WS_CLOSE	= 0x8,		/* this and above are control frames */
	WS_PING		= 0x9,
	WS_PONG		= 0xa,
};

#define WS_HEADER_MAX	14		/* bytes, of a masked frame */
#define WS_CONTROL_MAX	125		/* payload of a control frame */

struct ws_header {
	uint64_t	 len;		/* of the payload, not yet bounded */
	uint8_t		 mask[4];
	uint8_t		 opcode;
	bool		 fin;
};

/*
 * Read the header of a client's frame from the first len bytes at p.
 * Returns its size, 0 if it has not all arrived, -1 if it breaks RFC 6455
 * (reserved bit or opcode, unmasked, length not minimal or over 2^63-1, a
 * control frame that is fragmented or over 125 bytes).  Judges as early as
 * the bytes allow.
 */
int	 ws_header_parse(struct ws_header *h, const uint8_t *p, size_t len);

/*
 * Write the header of a server's frame (unmasked, FIN set) with len bytes of
 * payload to out, which has room for 10.  Returns its size.
 */
size_t	 ws_header_write(uint8_t *out, uint8_t opcode, uint64_t len);
/* The same size, without writing. */
size_t	 ws_header_size(uint64_t len);

/* Unmask n payload bytes in place; offset is how many of this frame came
 * before them.  Word-wise: this is the hot path in. */
void	 ws_unmask(uint8_t *p, size_t n, const uint8_t mask[4],
	    uint64_t offset);

/*
 * UTF-8 validation in pieces (RFC 3629: no surrogates, no overlong forms,
 * up to U+10FFFF).  Start with *state = WS_UTF8_START; returns false as soon
 * as the text cannot be valid any more.  The text is complete if *state is
 * WS_UTF8_START at its end.  ASCII runs are skipped eight bytes at a time.
 */
#define WS_UTF8_START	0
bool	 ws_utf8_check(uint32_t *state, const uint8_t *p, size_t n);

/* Whether a peer may send this close code: 1000-1003, 1007-1014, 3000-4999
 * (RFC 6455 section 7.4, and the IANA registry). */
bool	 ws_close_code_ok(unsigned code);

/* Close codes that this module speaks of, section 7.4.1. */
enum {
	WS_CLOSE_PROTOCOL	= 1002,
	WS_CLOSE_NONE		= 1005,	/* the frame has no code */
	WS_CLOSE_BAD_DATA	= 1007,
	WS_CLOSE_TOO_BIG	= 1009,
};

/*
 * The payload of a close frame.  ws_close_write cuts a reason that is too long
 * and returns the payload's size.  ws_close_read returns 0 with the code, which
 * may be WS_CLOSE_NONE; or -1 if the peer may not close so, with the code to
 * answer, and why.
 */
size_t	 ws_close_write(uint8_t out[WS_CONTROL_MAX], unsigned code,
	    const char *reason);
int	 ws_close_read(const uint8_t *p, size_t len, unsigned *code,
	    const char **why);

#define WS_ACCEPT_LEN	28
/* Sec-WebSocket-Accept for a Sec-WebSocket-Key; section 4.2.2.  Empty if the
 * key has not the 24 bytes that ws_handshake_check asks for. */
void	 ws_accept_key(char out[WS_ACCEPT_LEN + 1], const char *key,
	    size_t len);

/*
 * Whether the request is a WebSocket handshake that we can accept.  Returns 0,
 * or the status to refuse it with: 426 not an upgrade to websocket or another
 * version than 13 (answer with Sec-WebSocket-Version: 13), 400 malformed (not
 * GET, HTTP/1.0, no Connection: Upgrade, a key that is not 16 bytes in
 * base64, a body).
 */
int	 ws_handshake_check(const struct http_request *req);

/*
 * The first of the client's offered subprotocols (Sec-WebSocket-Protocol, all
 * lines) that starts with prefix; out->len is 0 if none.
 */
void	 ws_subprotocol_find(struct http_slice *out,
	    const struct http_request *req, const char *prefix);

#endif
