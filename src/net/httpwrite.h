/* SPDX-License-Identifier: ISC */
#ifndef HTTPWRITE_H
#define HTTPWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The heads of HTTP answers, as text.
 */

struct http_request;

#define HTTPWRITE_ENDLESS	SIZE_MAX	/* it ends with the connection */

struct http_answer {
	int		 status;
	const char	*type;		/* of the body */
	size_t		 len;		/* of the body, bytes */
	const char	*headers;	/* more lines, each ended by CR LF, or
					 * NULL */
	const char	*more_headers;	/* the same */
	bool		 keep_alive;	/* the connection stays */
	bool		 is_old;	/* the client speaks HTTP/1.0 */
};

/* The head of an answer; the caller frees. */
char	*httpwrite_head(const struct http_answer *a)
	    __attribute__((warn_unused_result));

/* That of a WebSocket handshake which ws_handshake_check has passed; protocol
 * is the subprotocol chosen, or NULL. */
char	*httpwrite_upgrade(const struct http_request *req, const char *protocol)
	    __attribute__((warn_unused_result));

#endif
