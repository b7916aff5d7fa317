/* SPDX-License-Identifier: ISC */
#ifndef CONN_H
#define CONN_H

#include <sys/socket.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "net/http.h"

/*
 * One TCP connection from its request to its goodbye.  It begins as HTTP: a
 * function gets the request, which it answers at once; or names an owner, who
 * answers later, or upgrades the connection to WebSocket and then gets
 * messages, or begins a stream, an answer that ends when the owner closes it.
  What is queued on a connection is
 * written once per turn of the loop, however many frames came together.
 */

struct conn;
struct event_base;
struct frame;
struct sock;

/* Close codes: RFC 6455 section 7.4.1, and ours from 4000. */
enum {
	CLOSE_NORMAL		= 1000,
	CLOSE_GOING_AWAY	= 1001,
	CLOSE_PROTOCOL		= 1002,
	CLOSE_NO_STATUS		= 1005,	/* never sent */
	CLOSE_ABNORMAL		= 1006,	/* never sent */
	CLOSE_BAD_DATA		= 1007,
	CLOSE_POLICY		= 1008,
	CLOSE_TOO_BIG		= 1009,
	CLOSE_RESTART		= 1012,
	CLOSE_TRY_LATER		= 1013,
	CLOSE_BAD_FRAME		= 4400,
	CLOSE_UNAUTHORIZED	= 4401,
	CLOSE_FORBIDDEN		= 4403,
	CLOSE_AUTH_TIMEOUT	= 4408,
};

/*
 * A whole request, with its body.  Answer it with conn_respond; or name an
 * owner with conn_own, and then say conn_upgrade, conn_stream, or conn_defer
 * to answer later.  The request is valid only in the callback.
 */
typedef void	 conn_request(struct conn *c, const struct http_request *req);

/*
 * What the owner hears; a function that is NULL is not called.  The connection
 * stays valid during every callback, whatever the callback does to it.
 */
struct conn_ops {
	/* A whole message; text is valid UTF-8.  The bytes are valid only in
	 * the callback. */
	void	(*message)(struct conn *c, bool binary, const uint8_t *p,
		    size_t len);
	/* Output that had been over the high-water mark is below half. */
	void	(*drained)(struct conn *c);
	/* The timer of conn_set_timer. */
	void	(*timer)(struct conn *c);
	/* It is over: code as sent or received (CLOSE_ABNORMAL if neither),
	 * CLOSE_NORMAL after a deferred answer.
	 * Called once; nothing more can be sent, and the connection is freed
	 * soon after. */
	void	(*closed)(struct conn *c, int code);
	/* A WebSocket ping, which is answered unless this closes it. */
	void	(*pinged)(struct conn *c);
};

struct conn_limits {
	size_t		 message_bytes;		/* largest message or body in */
	size_t		 output_high_bytes;	/* high-water mark */
	int64_t		 request_timeout_ms;
	int64_t		 close_timeout_ms;	/* for the close handshake */
};

/* Prepare the module for a loop; conn_exit frees what still waits. */
void	 conn_init(struct event_base *base);
void	 conn_exit(void);
/* Connections that are not at their end yet. */
size_t	 conn_count(void);

/* Take over an accepted socket.  limits outlive the connection. */
struct conn *
	 conn_new(struct sock *s, const struct sockaddr *peer,
	    conn_request *request, const struct conn_limits *limits);

/* Name the owner, and what is to hear for it; ops outlive the connection. */
void	 conn_own(struct conn *c, const struct conn_ops *ops, void *owner);
/* The owner's pointer, NULL at first. */
void	*conn_owner(const struct conn *c);
/* A number for the log, unique in the process. */
uint64_t conn_id(const struct conn *c);
/* The peer's address as addr_name gives it. */
void	 conn_peer(const struct conn *c, char out[ADDR_MAX]);

/* For the log: whose it is. */
void	 conn_set_user(struct conn *c, const char *user);
/* Say in the log that a request is turned away, and why.  conn_respond says it
 * for each status from 400 on, with less of a reason, unless this was called. */
void	 conn_refused(struct conn *c, int status, const char *why);
/* Nothing of this connection is worth a line: it only asks how we are. */
void	 conn_hush(struct conn *c);

/* Header lines for every answer on this connection, each ended by CR LF. */
void	 conn_set_headers(struct conn *c, const char *headers);

/* The answer to the request comes later. */
void	 conn_defer(struct conn *c);
/* It has not come yet. */
bool	 conn_is_waiting(const struct conn *c);

/*
 * Begin an answer of that type without an end: what is sent then goes out as
 * it is, and conn_close ends it without a word.
 */
void	 conn_stream(struct conn *c, const char *type);

/*
 * Answer the request and close: status, body of the given type, and further
 * header lines, each ended by CR LF (NULL: none).  A line feed is added to the
 * body, or with conn_answer nothing.  The owner, if the answer was
 * deferred, hears closed with CLOSE_NORMAL, and nothing more.
 */
void	 conn_respond(struct conn *c, int status, const char *headers,
	    const char *type, const char *body);
void	 conn_answer(struct conn *c, int status, const char *headers,
	    const char *type, const void *body, size_t len);

/*
 * Accept the WebSocket handshake, which must have passed ws_handshake_check.
 * protocol is the subprotocol chosen, or NULL.
 */
void	 conn_upgrade(struct conn *c, const struct http_request *req,
	    const char *protocol);

/*
 * Queue a message, or bytes of a stream, for writing at the end of this turn, or after all others if it
 * is one of very many (is_late); takes a reference of its own.  Ignored once the
 * connection is closing.
 */
void	 conn_send(struct conn *c, struct frame *f, bool is_late);

/* Frames are sent without their WebSocket headers: it is a stream. */
bool	 conn_is_stream(const struct conn *c);
void	 conn_ping(struct conn *c);

/* Over the high-water mark, and not yet below half of it since. */
bool	 conn_is_full(const struct conn *c);
/* Milliseconds since the last sign of life: bytes that came in, or bytes that
 * had waited and were taken; or since it became full. */
int64_t	 conn_silent_ms(const struct conn *c);

/* Call ops->timer once, so many milliseconds from now; replaces the last. */
void	 conn_set_timer(struct conn *c, int64_t timeout_ms);

/* The same for every connection but those whose request is being answered; a
 * request that has not all arrived is cut off. */
void	 conn_close_all(int code, const char *reason);

/* Begin the close handshake (section 7.1.2); reason is cut at 123 bytes. */
void	 conn_close(struct conn *c, int code, const char *reason);

#endif
