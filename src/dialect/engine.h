/* SPDX-License-Identifier: ISC */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"

/*
 * Engine.IO sessions, version 4 of the protocol: messages over a WebSocket, or
 * over HTTP long-polling with an upgrade to a WebSocket.  An engine outlives
 * the connections that carry it.  It knows nothing of what its messages mean.
 */

struct engine;
struct event_base;
struct frame;

struct engine_settings {
	int64_t		 ping_interval_ms;
	int64_t		 ping_timeout_ms;
	int64_t		 upgrade_timeout_ms;
	size_t		 payload_bytes;		/* of a POST, and told */
	size_t		 answer_bytes;		/* of a GET, about */
	const char	*node;			/* begins each sid; "": none */
};

struct engine_ops {
	/* A handshake: valid only in the callback are the request, and the
	 * connection of a polling one. */
	void		(*open)(struct engine *e, struct conn *c,
			    const struct http_request *req);
	/* A message.  The bytes are valid only in the callback. */
	void		(*message)(struct engine *e, bool binary,
			    const uint8_t *p, size_t len);
	/* A WebSocket carries it from now on: engine_conn. */
	void		(*carried)(struct engine *e);
	/* Of a polling one: the next packet as text, digit included, which
	 * the caller owns; or NULL.  NULL as a function: there are none but
	 * those of engine_send. */
	struct frame	*(*take)(struct engine *e);
	/* The client has shown that it is there.  May be NULL. */
	void		(*heard)(struct engine *e);
	/* Output that had been over the high-water mark is below half. */
	void		(*drained)(struct engine *e);
	/* It is over; it is freed soon after. */
	void		(*closed)(struct engine *e, const char *why);
};

/* settings and ops outlive the module; engine_exit ends all that are left. */
void	 engine_init(struct event_base *base,
	    const struct engine_settings *settings,
	    const struct engine_ops *ops);
void	 engine_exit(void);

/* Answer a request to the path of Engine.IO.  refusal: why no new engine may
 * open at present, or NULL. */
void	 engine_serve(struct conn *c, const struct http_request *req,
	    const char *refusal);

const char *engine_sid(const struct engine *e);
/* The WebSocket that carries it; NULL: it is polling, or over. */
struct conn *engine_conn(const struct engine *e);
/* The owner's pointer, NULL at first. */
void	*engine_data(const struct engine *e);
void	 engine_set_data(struct engine *e, void *data);

/* Send a message; it waits for the next poll if there is no WebSocket. */
void	 engine_send(struct engine *e, bool binary, const void *p, size_t len);
/* take has something to give. */
void	 engine_wake(struct engine *e);

/*
 * End it from our side: the transport is closed, with this code if it is a
 * WebSocket.  A poll is answered with the rest and a close packet.
 */
void	 engine_close(struct engine *e, int code, const char *why);
/* The same at once, also if no GET is there to be told. */
void	 engine_drop(struct engine *e, int code, const char *why);

#endif
