/* SPDX-License-Identifier: ISC */
#ifndef SIO_H
#define SIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dialect/engine.h"
#include "dialect/packet.h"

/*
 * The Socket.IO protocol, version 5, over engines: sockets in namespaces, and
 * packets put together from their binary attachments.  It knows nothing of what
 * events mean.
 */

struct frame;
struct sio;
struct sio_client;

#define SIO_ID_LEN	20		/* of a socket */

/* An attachment of a packet. */
struct sio_blob {
	uint8_t		*p;
	size_t		 len;
};

struct sio_settings {
	const char	*namespaces;	/* list, beside "/" */
	int64_t		 connect_timeout_ms;	/* without a socket that
						 * was let in */
	int64_t		 bare_max;		/* clients without a socket:
						 * the oldest goes; 0: any */
};

struct sio_ops {
	/* An engine opened: what is to be kept of its request, which is valid
	 * only in the callback; owned by the client.  May be NULL. */
	void		*(*request)(struct conn *c,
			    const struct http_request *req);
	void		 (*forget)(void *request);
	/* So many more clients have no socket (or less).  May be NULL. */
	void		 (*bare)(int n);
	/* A socket wants to connect; auth is a JSON object, or empty.  Answer
	 * now or later with sio_connected or sio_refuse. */
	void		 (*connect)(struct sio *s,
			    const struct http_slice *auth);
	/* An event (ack: -1 if none is wanted), or the client's ack; of a
	 * connected socket.  data is the text of a JSON array, not yet
	 * judged, in which placeholders stand for the blobs. */
	void		 (*event)(struct sio *s, const struct packet *pkt,
			    const struct sio_blob *blobs);
	/* Output of the socket's owner: as in engine_ops. */
	struct frame	*(*take)(struct sio *s);
	void		 (*carried)(struct sio *s);
	void		 (*heard)(struct sio *s);
	void		 (*drained)(struct sio *s);
	/* The socket is over: for good, if the client or we said so; not, if
	 * only its transport is gone.  It is freed after the callback. */
	void		 (*closed)(struct sio *s, bool for_good);
};

/* engine, settings and ops outlive the module. */
void	 sio_init(struct event_base *base,
	    const struct engine_settings *engine,
	    const struct sio_settings *settings, const struct sio_ops *ops);
void	 sio_exit(void);

/* "/" or another. */
const char *sio_nsp(const struct sio *s);
/* The WebSocket that carries it; NULL: it is polling. */
struct conn *sio_conn(const struct sio *s);
/* What ops->request kept. */
void	*sio_request(const struct sio *s);
void	*sio_data(const struct sio *s);
void	 sio_set_data(struct sio *s, void *data);

/*
 * Write the head of a packet to out[SIO_HEAD_MAX]: the digit of the message,
 * the type, the namespace, the ack id (-1: none).  Returns its length.
 */
#define SIO_HEAD_MAX	(PACKET_NAMESPACE_MAX + 32)
size_t	 sio_head(char *out, enum packet_type type, const char *nsp,
	    int64_t ack);

/* It has connected: events may come.  The answer is the owner's. */
void	 sio_connected(struct sio *s);
/* Answer CONNECT with CONNECT_ERROR and forget the socket; one that is refused
 * again and again loses its engine. */
void	 sio_refuse(struct sio *s, const char *json);
/* Send a packet of the socket: type, ack id (-1), and JSON ("": none). */
void	 sio_send(struct sio *s, enum packet_type type, int64_t ack,
	    const char *json);
/* The same with attachments, which the JSON has placeholders for. */
void	 sio_send_blobs(struct sio *s, enum packet_type type, int64_t ack,
	    const char *json, const struct sio_blob *blobs, unsigned int n);
/* Take has something to give. */
void	 sio_wake(struct sio *s);

/* End the socket: with a DISCONNECT; its engine goes on. */
void	 sio_disconnect(struct sio *s);
/* End its engine, and all its sockets, without a word: they may recover. */
void	 sio_close(struct sio *s, int code, const char *why);

#endif
