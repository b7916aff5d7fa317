/* SPDX-License-Identifier: ISC */
#ifndef ASKED_H
#define ASKED_H

#include <stdbool.h>

/*
 * What a request to the path of Engine.IO asks for, and the answers to those
 * that ask for nothing that there is.
 */

struct conn;
struct http_request;

#define ASKED_SID_MAX	64		/* bytes, with the NUL */

enum asked_error {
	ASKED_TRANSPORT,		/* the code on the wire */
	ASKED_SID,
	ASKED_METHOD,
	ASKED_REQUEST,
	ASKED_FORBIDDEN,
	ASKED_VERSION,
	ASKED_NONE,
};

struct asked {
	bool	 is_websocket;		/* of the two transports */
	bool	 is_upgrade;		/* it is a WebSocket handshake */
	bool	 is_v4;
	char	 sid[ASKED_SID_MAX];	/* "": a new session */
};

/* Read the request.  Returns why it must be refused, or ASKED_NONE.  What a
 * request for a session that exists may ask is checked by its owner. */
enum asked_error
	 asked_read(struct asked *a, const struct http_request *req);

/* Refuse it: {"code":…,"message":…}, or the text alone for a WebSocket. */
void	 asked_refuse(struct conn *c, const struct asked *a,
	    enum asked_error error);

#endif
