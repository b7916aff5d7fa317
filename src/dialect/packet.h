/* SPDX-License-Identifier: ISC */
#ifndef PACKET_H
#define PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "net/http.h"

/*
 * Packets of the Socket.IO protocol, version 5: what an Engine.IO message
 * holds.  Pure: text in, struct out, which points into the text.
 */

#define PACKET_ATTACHMENTS_MAX	10
#define PACKET_NAMESPACE_MAX	200	/* bytes */

enum packet_type {
	PACKET_CONNECT,			/* the digit on the wire */
	PACKET_DISCONNECT,
	PACKET_EVENT,
	PACKET_ACK,
	PACKET_CONNECT_ERROR,
	PACKET_BINARY_EVENT,
	PACKET_BINARY_ACK,
};

struct packet {
	enum packet_type  type;
	unsigned	  attachments;	/* binary messages that follow */
	struct http_slice nsp;		/* "/" if none was given */
	int64_t		  ack;		/* -1: none */
	struct http_slice data;		/* JSON text, not yet judged; its len
					 * is 0 if there is none */
};

/*
 * Read one packet.  Returns 0, or -1 if its type is unknown, its namespace is
 * too long, its ack id has more than 15 digits, it announces more than
 * PACKET_ATTACHMENTS_MAX attachments, or its data cannot be what the type
 * demands: an object (CONNECT), nothing (DISCONNECT), an array (events and
 * acks).
 */
int	 packet_parse(struct packet *pkt, const char *p, size_t len)
    __attribute__((warn_unused_result));

/* Whether the protocol keeps this event name for itself. */
bool	 packet_is_reserved(const char *event);

#endif
