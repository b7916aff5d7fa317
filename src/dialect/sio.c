/* SPDX-License-Identifier: ISC */

/*
 * A client is what one engine carries: its sockets, one per namespace, and the
 * packet that waits for its attachments.  Whatever breaks the protocol closes
 * the engine, as the reference does.
 */

#include <sys/queue.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/xmalloc.h"
#include "dialect/sio.h"
#include "net/frame.h"

enum sio_state {
	SIO_CONNECTING,
	SIO_CONNECTED,
	SIO_OVER,
};

struct sio {
	LIST_ENTRY(sio)		 entry;		/* of the client's */
	struct sio_client	*client;	/* outlives us */
	void			*data;		/* the owner's */
	enum sio_state		 state;
	char			 nsp[];
};

/* A packet that waits for its attachments. */
struct pending {
	struct packet	 pkt;		/* points into text */
	unsigned int	 nblobs;	/* have come */
	struct sio_blob	 blobs[PACKET_ATTACHMENTS_MAX];	/* owned bytes */
	char		 text[];
};

struct sio_client {
	struct engine		*engine;	/* outlives us */
	LIST_HEAD(, sio)	 sockets;
	void			*request;	/* owned; ops->forget */
	struct event		*timer;		/* to be let in */
	struct pending		*pending;	/* owned; or NULL */
	TAILQ_ENTRY(sio_client)	 entry;		/* on bare if is_bare */
	bool			 is_bare;	/* it has no socket */
	bool			 is_closing;
	unsigned int		 refusals;	/* since one was let in */
};

#define REFUSALS_MAX	20

static TAILQ_HEAD(, sio_client)		 bare = TAILQ_HEAD_INITIALIZER(bare);
static int64_t				 nbare;		/* oldest first */
static const struct sio_settings	*set;
static const struct sio_ops		*ops;
static struct event_base		*loop;

/* Sockets */

static struct sio *
socket_find(struct sio_client *cl, const struct http_slice *nsp)
{
	struct sio	*s;

	LIST_FOREACH(s, &cl->sockets, entry)
		if (http_slice_is(nsp, s->nsp))
			break;
	return s;
}

static struct sio *
socket_new(struct sio_client *cl, const struct http_slice *nsp)
{
	struct sio	*s = xcalloc(1, sizeof(*s) + nsp->len + 1);

	memcpy(s->nsp, nsp->p, nsp->len);
	s->client = cl;
	s->state = SIO_CONNECTING;
	LIST_INSERT_HEAD(&cl->sockets, s, entry);
	return s;
}

/* A client has no socket, or has one again.  The oldest makes room. */
static void
client_set_bare(struct sio_client *cl, bool is_bare)
{
	struct sio_client	*oldest;

	if (cl->is_bare == is_bare)
		return;
	cl->is_bare = is_bare;
	nbare += is_bare ? 1 : -1;
	if (ops->bare != NULL)
		ops->bare(is_bare ? 1 : -1);
	if (!is_bare) {
		TAILQ_REMOVE(&bare, cl, entry);
		return;
	}
	TAILQ_INSERT_TAIL(&bare, cl, entry);
	oldest = TAILQ_FIRST(&bare);
	if (set->bare_max > 0 && nbare > set->bare_max && oldest != cl)
		engine_drop(oldest->engine, CLOSE_TRY_LATER,
		    "too many connections without a token");
}

/* Without a socket that was let in, a client has only so long. */
static void
client_watch(struct sio_client *cl)
{
	const struct sio	*s;

	LIST_FOREACH(s, &cl->sockets, entry)
		if (s->state == SIO_CONNECTED)
			break;
	if (s != NULL)
		(void)evtimer_del(cl->timer);
	else if (!evtimer_pending(cl->timer, NULL))
		clock_start(cl->timer, set->connect_timeout_ms);
}

static void
socket_end(struct sio *s, bool for_good)
{
	if (s->state == SIO_OVER)
		return;
	s->state = SIO_OVER;
	LIST_REMOVE(s, entry);
	client_watch(s->client);
	if (LIST_EMPTY(&s->client->sockets) && !s->client->is_closing)
		client_set_bare(s->client, true);
	ops->closed(s, for_good);
	free(s);
}

/* Output */

size_t
sio_head(char *out, enum packet_type type, const char *nsp, int64_t ack)
{
	int	n = snprintf(out, SIO_HEAD_MAX, "4%d", (int)type);

	if (strcmp(nsp, "/") != 0)
		n += snprintf(out + n, SIO_HEAD_MAX - (size_t)n, "%s,", nsp);
	if (ack >= 0)
		n += snprintf(out + n, SIO_HEAD_MAX - (size_t)n, "%" PRId64,
		    ack);
	return (size_t)n;
}

static void
send_packet(struct sio_client *cl, const char *head, const char *json)
{
	char	*text = xasprintf("%s%s", head, json);

	engine_send(cl->engine, false, text, strlen(text));
	free(text);
}

void
sio_send(struct sio *s, enum packet_type type, int64_t ack, const char *json)
{
	char	head[SIO_HEAD_MAX];

	(void)sio_head(head, type, s->nsp, ack);
	send_packet(s->client, head + 1, json);
}

void
sio_send_blobs(struct sio *s, enum packet_type type, int64_t ack,
    const char *json, const struct sio_blob *blobs, unsigned int n)
{
	char		head[SIO_HEAD_MAX], all[SIO_HEAD_MAX + 16];
	unsigned int	i;

	if (type != PACKET_BINARY_EVENT && type != PACKET_BINARY_ACK) {
		sio_send(s, type, ack, json);
		return;
	}
	(void)sio_head(head, type, s->nsp, ack);
	/* The number of attachments stands between the type and the rest. */
	(void)snprintf(all, sizeof(all), "%c%u-%s", head[1], n, head + 2);
	send_packet(s->client, all, json);
	for (i = 0; i < n; i++)
		engine_send(s->client->engine, true, blobs[i].p,
		    blobs[i].len);
}

/* Packets in */

static void
client_broke(struct sio_client *cl, const char *why)
{
	engine_close(cl->engine, CLOSE_BAD_FRAME, why);
}

/* Each token that is shown is verified, so their number has an end. */
static void
client_refused(struct sio_client *cl)
{
	if (++cl->refusals >= REFUSALS_MAX)
		engine_close(cl->engine, CLOSE_POLICY, "refused too often");
}

static bool
has_namespace(const struct http_slice *nsp)
{
	char	*name = xmemdup(nsp->p, nsp->len);
	bool	 has = strcmp(name, "/") == 0 ||
		    config_list_has(set->namespaces, name);

	free(name);
	return has;
}

static void
on_connect(struct sio_client *cl, const struct packet *pkt)
{
	char	*text;

	if (!has_namespace(&pkt->nsp)) {
		text = xasprintf("4%.*s,{\"message\":\"Invalid namespace\"}",
		    (int)pkt->nsp.len, pkt->nsp.p);
		engine_send(cl->engine, false, text, strlen(text));
		free(text);
		client_refused(cl);
		return;
	}
	if (socket_find(cl, &pkt->nsp) != NULL) {
		client_broke(cl, "connected twice");
		return;
	}
	client_set_bare(cl, false);
	ops->connect(socket_new(cl, &pkt->nsp), &pkt->data);
}

static void
client_packet(struct sio_client *cl, const struct packet *pkt,
    const struct sio_blob *blobs)
{
	struct sio	*s;

	if (pkt->type == PACKET_CONNECT) {
		on_connect(cl, pkt);
		return;
	}
	s = socket_find(cl, &pkt->nsp);
	if (s == NULL || s->state == SIO_CONNECTING) {
		/* A disconnect may cross with our answer. */
		if (pkt->type != PACKET_DISCONNECT)
			client_broke(cl, "not connected");
		else if (s != NULL)
			socket_end(s, true);
		return;
	}
	if (pkt->type == PACKET_DISCONNECT)
		socket_end(s, true);
	else if (pkt->type == PACKET_CONNECT_ERROR)
		client_broke(cl, "a packet of the server's");
	else
		ops->event(s, pkt, blobs);
}

/* Attachments */

static void
pending_free(struct pending *p)
{
	if (p == NULL)
		return;
	while (p->nblobs > 0)
		free(p->blobs[--p->nblobs].p);
	free(p);
}

/* Keep the packet until its attachments have come. */
static void
await_blobs(struct sio_client *cl, const char *text, size_t len)
{
	struct pending	*p = xcalloc(1, sizeof(*p) + len + 1);

	memcpy(p->text, text, len);
	cl->pending = p;
	if (packet_parse(&p->pkt, p->text, len) == -1)
		client_broke(cl, "no packet");
}

static void
on_binary(struct sio_client *cl, const uint8_t *bytes, size_t len)
{
	struct pending	*p = cl->pending;
	struct sio_blob	*b;

	if (p == NULL) {
		client_broke(cl, "an attachment of nothing");
		return;
	}
	b = &p->blobs[p->nblobs++];
	b->len = len;
	b->p = (uint8_t *)xmemdup(bytes, len);
	if (p->nblobs < p->pkt.attachments)
		return;
	/* It may end the client, so that is asked no more. */
	cl->pending = NULL;
	client_packet(cl, &p->pkt, p->blobs);
	pending_free(p);
}

static void
on_text(struct sio_client *cl, const char *p, size_t len)
{
	struct packet	pkt;

	if (cl->pending != NULL)
		client_broke(cl, "an attachment is missing");
	else if (packet_parse(&pkt, p, len) == -1)
		client_broke(cl, "no packet");
	else if (pkt.attachments > 0)
		await_blobs(cl, p, len);
	else
		client_packet(cl, &pkt, NULL);
}

/* From the engine */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sio_client	*cl = arg;

	(void)fd;
	(void)what;
	client_broke(cl, "not let in in time");
}

static void
on_open(struct engine *e, struct conn *c, const struct http_request *req)
{
	struct sio_client	*cl = xcalloc(1, sizeof(*cl));

	cl->engine = e;
	LIST_INIT(&cl->sockets);
	cl->request = ops->request == NULL ? NULL : ops->request(c, req);
	cl->timer = clock_new(loop, on_timer, cl);
	clock_start(cl->timer, set->connect_timeout_ms);
	engine_set_data(e, cl);
	client_set_bare(cl, true);
}

static void
on_message(struct engine *e, bool binary, const uint8_t *p, size_t len)
{
	struct sio_client	*cl = engine_data(e);

	if (binary)
		on_binary(cl, p, len);
	else
		on_text(cl, (const char *)p, len);
}

static struct frame *
on_take(struct engine *e)
{
	struct sio_client	*cl = engine_data(e);
	struct frame		*f = NULL;
	struct sio		*s;

	if (ops->take == NULL)
		return NULL;
	LIST_FOREACH(s, &cl->sockets, entry)
		if ((f = ops->take(s)) != NULL)
			break;
	return f;
}

/* Tell every socket; any may end by it, or take all of them with it. */
static void
tell_all(struct engine *e, void (*fn)(struct sio *s))
{
	struct sio_client	*cl = engine_data(e);
	struct sio		*s, *next;

	if (fn == NULL)
		return;
	for (s = LIST_FIRST(&cl->sockets); s != NULL; s = next) {
		next = LIST_NEXT(s, entry);
		fn(s);
		if (engine_data(e) == NULL)
			return;
	}
}

static void
on_carried(struct engine *e)
{
	tell_all(e, ops->carried);
}

static void
on_heard(struct engine *e)
{
	tell_all(e, ops->heard);
}

static void
on_drained(struct engine *e)
{
	tell_all(e, ops->drained);
}

static void
on_closed(struct engine *e, const char *why)
{
	struct sio_client	*cl = engine_data(e);
	struct sio		*s;

	(void)why;
	cl->is_closing = true;
	client_set_bare(cl, false);
	while ((s = LIST_FIRST(&cl->sockets)) != NULL)
		socket_end(s, false);
	event_free(cl->timer);
	if (cl->request != NULL)
		ops->forget(cl->request);
	pending_free(cl->pending);
	engine_set_data(e, NULL);
	free(cl);
}

static const struct engine_ops engine_ops = { on_open, on_message, on_carried,
	on_take, on_heard, on_drained, on_closed };

/* For the owner */

const char *
sio_nsp(const struct sio *s)
{
	return s->nsp;
}

struct conn *
sio_conn(const struct sio *s)
{
	return engine_conn(s->client->engine);
}

void *
sio_request(const struct sio *s)
{
	return s->client->request;
}

void *
sio_data(const struct sio *s)
{
	return s->data;
}

void
sio_set_data(struct sio *s, void *data)
{
	s->data = data;
}

void
sio_connected(struct sio *s)
{
	s->state = SIO_CONNECTED;
	s->client->refusals = 0;
	client_watch(s->client);
}

void
sio_refuse(struct sio *s, const char *json)
{
	struct engine	*e = s->client->engine;

	sio_send(s, PACKET_CONNECT_ERROR, -1, json);
	socket_end(s, true);
	if (engine_data(e) != NULL)
		client_refused(engine_data(e));
}

void
sio_wake(struct sio *s)
{
	engine_wake(s->client->engine);
}

void
sio_disconnect(struct sio *s)
{
	sio_send(s, PACKET_DISCONNECT, -1, "");
	socket_end(s, true);
}

void
sio_close(struct sio *s, int code, const char *why)
{
	engine_close(s->client->engine, code, why);
}

void
sio_init(struct event_base *base, const struct engine_settings *engine,
    const struct sio_settings *settings, const struct sio_ops *sio_ops)
{
	loop = base;
	set = settings;
	ops = sio_ops;
	engine_init(base, engine, &engine_ops);
}

void
sio_exit(void)
{
	engine_exit();
}
