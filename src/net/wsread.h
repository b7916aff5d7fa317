/* SPDX-License-Identifier: ISC */
#ifndef WSREAD_H
#define WSREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/ws.h"

/*
 * The bytes of a WebSocket client as messages, RFC 6455 section 5: fragments
 * put together, text checked to be UTF-8 while it arrives.  Pure: bytes in,
 * one event out; memory is held only while a message is incomplete.
 */

enum ws_event_type {
	WS_EVENT_NONE,		/* bytes were used, nothing is complete */
	WS_EVENT_MORE,		/* a head or control frame is incomplete:
				 * give these bytes again with more */
	WS_EVENT_MESSAGE,	/* opcode is WS_TEXT or WS_BINARY */
	WS_EVENT_CONTROL,	/* WS_CLOSE, WS_PING or WS_PONG */
	WS_EVENT_BAD,		/* the protocol is broken: code and why */
};

struct ws_event {
	enum ws_event_type type;
	uint8_t		 opcode;
	const uint8_t	*p;		/* the payload; valid until the next
					 * call, or wsread_release */
	size_t		 len;
	int		 code;		/* close code of a WS_EVENT_BAD */
	const char	*why;
};

/* All zero at first, and again after wsread_clear.  Only wsread.c touches it.
 */
struct wsread {
	struct ws_header hdr;		/* of the frame being read */
	uint64_t	 got;		/* of its payload */
	bool		 in_frame;
	bool		 in_message;	/* fragments so far: msg */
	bool		 delivered;	/* msg is whole and was handed out */
	uint8_t		 opcode;	/* of the message */
	uint32_t	 utf8;
	uint8_t		*msg;		/* owned */
	size_t		 len;
	size_t		 cap;
};

/*
 * Take one step through the n > 0 bytes at p, which are unmasked in place.
 * max is the longest message in bytes; with drop data is read over.  Returns
 * how many bytes were used and says in ev what came of them.
 */
size_t	 wsread_step(struct wsread *r, uint8_t *p, size_t n, size_t max,
	    bool drop, struct ws_event *ev);
/* The message that was handed out is not needed any more. */
void	 wsread_release(struct wsread *r);
void	 wsread_clear(struct wsread *r);

#endif
