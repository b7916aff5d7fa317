/* SPDX-License-Identifier: ISC */

/*
 * An engine is carried by one WebSocket, or polled: then at most one GET waits
 * for output, and what is sent waits for a GET.  A second WebSocket, the probe,
 * may take over; while it tries, each GET is answered with a noop and the
 * heartbeat rests, so that nothing is sent twice or in another order.
 *
 * One timer serves all: the next ping, the missing pong, the probe's time, and
 * the wait of a closed polling engine for its last GET.
 */

#include <sys/queue.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/table.h"
#include "base/text.h"
#include "base/xmalloc.h"
#include "dialect/asked.h"
#include "dialect/eio.h"
#include "dialect/engine.h"
#include "net/frame.h"
#include "net/http.h"
#include "net/outq.h"
#include "net/request.h"
#include "net/ws.h"

#define RANDOM_LEN	20		/* of a sid, 120 bits */
#define NODE_LEN	40		/* of it, too */
#define PACKET_TYPE	"text/plain; charset=UTF-8"

enum engine_state {
	ENGINE_OPEN,
	ENGINE_CLOSING,			/* the next GET is told */
	ENGINE_OVER,			/* waits to be freed */
};

struct engine {
	struct link		 by_sid;
	TAILQ_ENTRY(engine)	 entry;		/* on engines or over */
	TAILQ_ENTRY(engine)	 ready_entry;	/* if is_ready */
	enum engine_state	 state;
	bool			 is_ready;
	bool			 awaits_pong;
	bool			 has_probed;	/* and was answered */
	struct conn		*conn;		/* WebSocket, or NULL */
	struct conn		*poll;		/* the waiting GET, or NULL */
	struct conn		*probe;		/* would be conn, or NULL */
	void			*data;		/* the owner's */
	struct outq		*out;		/* owned; packets for the next
						 * GET, NULL: none yet */
	struct event		*timer;
	char			 sid[];
};
TAILQ_HEAD(engine_list, engine);

static const struct engine_settings	*set;
static const struct engine_ops		*ops;
static struct event_base		*loop;
static struct event			*turn;	/* answers polls, frees */
static struct table			 sids;
static struct engine_list		 engines =
    TAILQ_HEAD_INITIALIZER(engines);
static struct engine_list		 over = TAILQ_HEAD_INITIALIZER(over);
static struct engine_list		 ready = TAILQ_HEAD_INITIALIZER(ready);

static void	engine_on_timer(evutil_socket_t fd, short what, void *arg);

/* Engines */

static void
make_sid(char sid[ASKED_SID_MAX])
{
	static const char	alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char		random[RANDOM_LEN];
	char			text[RANDOM_LEN + 1];
	size_t			i;

	if (RAND_bytes(random, sizeof(random)) != 1)
		fatal("msg=\"no random numbers\"");
	for (i = 0; i < RANDOM_LEN; i++)
		text[i] = alphabet[random[i] & 63];
	text[RANDOM_LEN] = '\0';
	(void)snprintf(sid, ASKED_SID_MAX, "%.*s%s", NODE_LEN, set->node,
	    text);
}

static struct engine *
engine_new(void)
{
	char		 sid[ASKED_SID_MAX];
	struct engine	*e;

	make_sid(sid);
	e = xcalloc(1, sizeof(*e) + strlen(sid) + 1);
	memcpy(e->sid, sid, strlen(sid));
	e->timer = clock_new(loop, engine_on_timer, e);
	table_add(&sids, &e->by_sid, table_hash(e->sid));
	TAILQ_INSERT_TAIL(&engines, e, entry);
	clock_start(e->timer, set->ping_interval_ms);
	return e;
}

static struct engine *
engine_find(const char *sid)
{
	struct link	*l;
	struct engine	*e;

	for (l = table_first(&sids, table_hash(sid)); l != NULL;
	    l = table_next(l)) {
		e = table_object(l, struct engine, by_sid);
		if (strcmp(e->sid, sid) == 0)
			return e;
	}
	return NULL;
}

static void
engine_not_ready(struct engine *e)
{
	if (e->is_ready)
		TAILQ_REMOVE(&ready, e, ready_entry);
	e->is_ready = false;
}

/* What waits for a GET is lost. */
static void
drop_packets(struct engine *e)
{
	if (e->out == NULL)
		return;
	outq_clear(e->out);
	free(e->out);
	e->out = NULL;
}

/* The first packet that waits for a GET; false if there is none. */
static bool
first_packet(const struct engine *e, struct iovec *iov)
{
	return e->out != NULL && outq_iov(e->out, iov, 1) > 0;
}

static void
engine_free(struct engine *e)
{
	engine_not_ready(e);
	drop_packets(e);
	event_free(e->timer);
	free(e);
}

/* Connections.  One that we let go of is nobody's before it is closed. */

static void
let_go(struct conn **c, int code, const char *why)
{
	struct conn	*was = *c;

	*c = NULL;
	if (was == NULL)
		return;
	conn_own(was, NULL, NULL);
	conn_close(was, code, why);
}

/* Answer the GET that waits with these bytes. */
static void
answer_poll(struct engine *e, const void *p, size_t len)
{
	struct conn	*c = e->poll;

	e->poll = NULL;
	if (c == NULL)
		return;
	conn_own(c, NULL, NULL);
	conn_answer(c, 200, NULL, PACKET_TYPE, p, len);
}

/*
 * The end.  The GET that waits is answered with last, a packet; a WebSocket is
 * closed with this code.
 */
static void
engine_end(struct engine *e, const char *last, int code, const char *why)
{
	if (e->state == ENGINE_OVER)
		return;
	e->state = ENGINE_OVER;
	log_debug("engine=%.8s msg=over why=%s", e->sid, log_quote(why,
	    strlen(why)));
	answer_poll(e, last, strlen(last));
	ops->closed(e, why);
	let_go(&e->conn, code, why);
	let_go(&e->probe, code, why);
	(void)evtimer_del(e->timer);
	table_remove(&sids, &e->by_sid);
	TAILQ_REMOVE(&engines, e, entry);
	TAILQ_INSERT_TAIL(&over, e, entry);
	event_active(turn, EV_TIMEOUT, 1);
}

/* Polling: output */

static struct frame *
packet_frame(char type, const void *p, size_t len)
{
	struct frame	*f = frame_new(len + 1);

	f->data[0] = (uint8_t)type;
	if (len > 0)
		memcpy(f->data + 1, p, len);
	return f;
}

static void
add_packet(struct text *t, const void *p, size_t len)
{
	static const char	separator[] = { EIO_SEPARATOR };

	if (t->len > 0)
		text_add_bytes(t, separator, 1);
	text_add_bytes(t, p, len);
}

/* Move what waits to a payload, until it is long enough. */
static void
collect(struct engine *e, struct text *t)
{
	struct iovec	 iov;
	struct frame	*f;

	while (t->len < set->answer_bytes && first_packet(e, &iov)) {
		add_packet(t, iov.iov_base, iov.iov_len);
		outq_written(e->out, iov.iov_len);
	}
	while (ops->take != NULL && t->len < set->answer_bytes &&
	    (f = ops->take(e)) != NULL) {
		add_packet(t, f->data, f->len);
		frame_unref(f);
	}
}

/* Answer the GET that waits, if there is something to say. */
static void
engine_answer(struct engine *e)
{
	struct text	t = { NULL, 0, 0 };

	if (e->poll == NULL)
		return;
	if (e->has_probed) {
		answer_poll(e, "6", 1);
		return;
	}
	collect(e, &t);
	if (e->state == ENGINE_CLOSING) {
		add_packet(&t, "1", 1);
		answer_poll(e, t.buf, t.len);
		engine_end(e, "", CLOSE_NORMAL, "closed");
	} else if (t.len > 0)
		answer_poll(e, t.buf, t.len);
	free(t.buf);
}

/* At the end of a turn of the loop: so what came together goes together. */
static void
engine_on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct engine	*e;

	(void)fd;
	(void)what;
	(void)arg;
	while ((e = TAILQ_FIRST(&ready)) != NULL) {
		engine_not_ready(e);
		if (e->state != ENGINE_OVER)
			engine_answer(e);
	}
	while ((e = TAILQ_FIRST(&over)) != NULL) {
		TAILQ_REMOVE(&over, e, entry);
		engine_free(e);
	}
}

void
engine_wake(struct engine *e)
{
	if (e->is_ready || e->poll == NULL || e->state == ENGINE_OVER)
		return;
	if (TAILQ_EMPTY(&ready))
		event_active(turn, EV_TIMEOUT, 1);
	e->is_ready = true;
	TAILQ_INSERT_TAIL(&ready, e, ready_entry);
}

/* Output, however it is carried */

static void
send_frame(struct conn *c, struct frame *f)
{
	conn_send(c, f, false);
	frame_unref(f);
}

/* A packet as a WebSocket message; binary data stands in base64. */
static void
send_packet(struct conn *c, const uint8_t *p, size_t len)
{
	uint8_t	*bytes;
	ssize_t	 n;

	if (p[0] != 'b') {
		send_frame(c, frame_text(p, len));
		return;
	}
	bytes = xmalloc(len);
	n = eio_base64_read(bytes, (const char *)p + 1, len - 1);
	if (n >= 0)
		send_frame(c, frame_message(WS_BINARY, bytes, (size_t)n));
	free(bytes);
}

static void
engine_packet(struct engine *e, struct frame *f)
{
	if (e->conn != NULL)
		send_packet(e->conn, f->data, f->len);
	else {
		if (e->out == NULL) {
			e->out = xcalloc(1, sizeof(*e->out));
			outq_init(e->out);
		}
		outq_add(e->out, f);
		engine_wake(e);
	}
	frame_unref(f);
}

static struct frame *
binary_packet(const void *p, size_t len)
{
	struct frame	*f = frame_new(eio_base64_size(len) + 1);

	f->data[0] = 'b';
	eio_base64_write((char *)f->data + 1, p, len);
	return f;
}

void
engine_send(struct engine *e, bool binary, const void *p, size_t len)
{
	if (e->state != ENGINE_OPEN)
		return;
	if (binary && e->conn != NULL)
		send_frame(e->conn, frame_message(WS_BINARY, p, len));
	else
		engine_packet(e, binary ? binary_packet(p, len) :
		    packet_frame('4', p, len));
}

void
engine_close(struct engine *e, int code, const char *why)
{
	if (e->state != ENGINE_OPEN)
		return;
	if (e->conn != NULL || e->poll != NULL) {
		e->state = ENGINE_CLOSING;
		let_go(&e->probe, code, why);
		e->has_probed = false;
		engine_answer(e);
		engine_end(e, "", code, why);
		return;
	}
	/* The next GET is told, if it comes in time. */
	e->state = ENGINE_CLOSING;
	clock_start(e->timer, set->ping_timeout_ms);
}

void
engine_drop(struct engine *e, int code, const char *why)
{
	engine_end(e, "1", code, why);
}

/* Input */

/* A packet of an open engine.  Returns -1 if it must not come. */
static int
engine_input(struct engine *e, const struct eio_packet *pkt)
{
	uint8_t	*bytes;
	ssize_t	 n;

	switch (pkt->type) {
	case EIO_MESSAGE:
		if (!pkt->binary) {
			ops->message(e, false, (const uint8_t *)pkt->data,
			    pkt->len);
			return 0;
		}
		bytes = xmalloc(pkt->len + 2);
		n = eio_base64_read(bytes, pkt->data, pkt->len);
		if (n >= 0)
			ops->message(e, true, bytes, (size_t)n);
		free(bytes);
		return n >= 0 ? 0 : -1;
	case EIO_PONG:
		if (e->awaits_pong && e->probe == NULL)
			clock_start(e->timer, set->ping_interval_ms);
		e->awaits_pong = false;
		return 0;
	case EIO_CLOSE:
		engine_end(e, "6", CLOSE_NORMAL, "closed by the client");
		return 0;
	case EIO_UPGRADE:
	case EIO_NOOP:
		return 0;
	case EIO_OPEN:
	case EIO_PING:
		break;
	}
	return -1;
}

static void
engine_heard(struct engine *e)
{
	if (ops->heard != NULL && e->state == ENGINE_OPEN)
		ops->heard(e);
}

/* The WebSocket that carries it */

static void
ws_message(struct conn *c, bool binary, const uint8_t *p, size_t len)
{
	struct engine		*e = conn_owner(c);
	struct eio_packet	 pkt;

	if (binary)
		ops->message(e, true, p, len);
	else if (eio_packet_parse(&pkt, (const char *)p, len) == -1 ||
	    engine_input(e, &pkt) == -1) {
		engine_end(e, "", CLOSE_BAD_FRAME, "no packet");
		return;
	}
	engine_heard(e);
}

static void
ws_drained(struct conn *c)
{
	struct engine	*e = conn_owner(c);

	if (ops->drained != NULL)
		ops->drained(e);
}

static void
ws_closed(struct conn *c, int code)
{
	struct engine	*e = conn_owner(c);

	(void)code;
	e->conn = NULL;
	engine_end(e, "", CLOSE_NORMAL, "transport closed");
}

static const struct conn_ops ws_ops = { ws_message, ws_drained, NULL,
	ws_closed, NULL };

/* The WebSocket that would take over */

/* It does not: polling goes on as it was. */
static void
probe_abandon(struct engine *e)
{
	e->has_probed = false;
	e->awaits_pong = false;
	clock_start(e->timer, set->ping_interval_ms);
	engine_wake(e);
}

static void
probe_take_over(struct engine *e)
{
	struct iovec	 iov;

	answer_poll(e, "6", 1);
	e->conn = e->probe;
	e->probe = NULL;
	e->has_probed = e->awaits_pong = false;
	conn_own(e->conn, &ws_ops, e);
	while (first_packet(e, &iov)) {
		send_packet(e->conn, iov.iov_base, iov.iov_len);
		outq_written(e->out, iov.iov_len);
	}
	drop_packets(e);
	clock_start(e->timer, set->ping_interval_ms);
	ops->carried(e);
	engine_heard(e);
}

static void
probe_message(struct conn *c, bool binary, const uint8_t *p, size_t len)
{
	struct engine	*e = conn_owner(c);

	if (!binary && len == 6 && memcmp(p, "2probe", 6) == 0) {
		e->has_probed = true;
		send_frame(c, frame_text("3probe",
		    6));
		engine_answer(e);
	} else if (!binary && len > 0 && p[0] == '0' + EIO_UPGRADE)
		probe_take_over(e);
	else {
		let_go(&e->probe, CLOSE_BAD_FRAME, "no probe");
		probe_abandon(e);
	}
}

static void
probe_closed(struct conn *c, int code)
{
	struct engine	*e = conn_owner(c);

	(void)code;
	e->probe = NULL;
	probe_abandon(e);
}

static const struct conn_ops probe_ops = { probe_message, NULL, NULL,
	probe_closed, NULL };

/* The GET that waits */

static void
poll_closed(struct conn *c, int code)
{
	struct engine	*e = conn_owner(c);

	(void)code;
	e->poll = NULL;		/* another may come in time */
}

static const struct conn_ops poll_ops = { NULL, NULL, NULL, poll_closed,
	NULL };

/* Time */

static void
engine_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct engine	*e = arg;

	(void)fd;
	(void)what;
	if (e->state != ENGINE_OPEN)
		engine_end(e, "1", CLOSE_NORMAL, "closed");
	else if (e->probe != NULL) {
		let_go(&e->probe, CLOSE_NORMAL, "upgrade took too long");
		probe_abandon(e);
	} else if (e->awaits_pong)
		engine_end(e, "1", CLOSE_GOING_AWAY, "no pong");
	else {
		e->awaits_pong = true;
		clock_start(e->timer, set->ping_timeout_ms);
		engine_packet(e, packet_frame('2', NULL, 0));
	}
}

/* Requests */

static char *
hello(const struct engine *e, bool is_websocket)
{
	return xasprintf("0{\"sid\":\"%s\",\"upgrades\":[%s],"
	    "\"pingInterval\":%lld,\"pingTimeout\":%lld,\"maxPayload\":%zu}",
	    e->sid, is_websocket ? "" : "\"websocket\"",
	    (long long)set->ping_interval_ms, (long long)set->ping_timeout_ms,
	    set->payload_bytes);
}

static void
open_engine(struct conn *c, const struct http_request *req,
    const struct asked *a)
{
	struct engine	*e = engine_new();
	char		*text = hello(e, a->is_websocket);

	if (a->is_websocket) {
		conn_own(c, &ws_ops, e);
		conn_upgrade(c, req, NULL);
		e->conn = c;
		send_packet(c, (const uint8_t *)text, strlen(text));
		ops->open(e, c, req);
		ops->carried(e);
	} else {
		ops->open(e, c, req);
		conn_answer(c, 200, NULL, PACKET_TYPE, text,
		    strlen(text));
	}
	free(text);
}

static void
serve_get(struct engine *e, struct conn *c, const struct asked *a)
{
	if (e->poll != NULL) {
		asked_refuse(c, a, ASKED_REQUEST);
		engine_end(e, "1", CLOSE_BAD_FRAME, "two GETs at a time");
		return;
	}
	conn_defer(c);
	conn_own(c, &poll_ops, e);
	e->poll = c;
	engine_heard(e);
	engine_answer(e);
}

/* Whether the text of a POST can be packets. */
static bool
is_text(const struct http_request *req)
{
	const struct http_slice	*type = http_header_find(req, "Content-Type");
	uint32_t		 state = WS_UTF8_START;

	if (type != NULL && http_slice_is(type, "application/octet-stream"))
		return false;
	return ws_utf8_check(&state, (const uint8_t *)req->body.p,
	    req->body.len) && state == WS_UTF8_START;
}

/* Too much waits for a GET that does not come. */
static bool
is_stuck(const struct engine *e)
{
	return e->poll == NULL && e->conn == NULL &&
	    e->out != NULL && e->out->bytes > 2 * set->answer_bytes;
}

static void
serve_post(struct engine *e, struct conn *c, const struct http_request *req,
    const struct asked *a)
{
	struct eio_payload	walk;
	struct eio_packet	pkt;
	int			r = is_text(req) ? 0 : -1;

	eio_payload_start(&walk, req->body.p, req->body.len);
	while (r == 0 && e->state == ENGINE_OPEN && !is_stuck(e) &&
	    (r = eio_payload_next(&walk, &pkt)) == 1)
		r = engine_input(e, &pkt);
	if (is_stuck(e)) {
		asked_refuse(c, a, ASKED_REQUEST);
		engine_end(e, "", CLOSE_TRY_LATER, "not polling");
		return;
	}
	if (r == -1) {
		asked_refuse(c, a, ASKED_REQUEST);
		engine_end(e, "1", CLOSE_BAD_FRAME, "no packet");
		return;
	}
	conn_answer(c, 200, NULL, "text/html", "ok", 2);
	engine_heard(e);
}

/* Let the WebSocket try to take over. */
static void
serve_probe(struct engine *e, struct conn *c, const struct http_request *req,
    const struct asked *a)
{
	if (e->conn != NULL || e->probe != NULL || e->state != ENGINE_OPEN ||
	    ws_handshake_check(req) != 0) {
		asked_refuse(c, a, ASKED_REQUEST);
		return;
	}
	conn_own(c, &probe_ops, e);
	conn_upgrade(c, req, NULL);
	e->probe = c;
	clock_start(e->timer, set->upgrade_timeout_ms);
}

static void
serve_engine(struct conn *c, const struct http_request *req,
    const struct asked *a)
{
	struct engine	*e = engine_find(a->sid);

	if (e == NULL)
		asked_refuse(c, a, ASKED_SID);
	else if (!a->is_v4)
		asked_refuse(c, a, ASKED_REQUEST);
	else if (a->is_websocket && a->is_upgrade)
		serve_probe(e, c, req, a);
	else if (a->is_websocket || a->is_upgrade || e->conn != NULL)
		asked_refuse(c, a, ASKED_REQUEST);
	else if (http_slice_is(&req->method, "GET"))
		serve_get(e, c, a);
	else if (http_slice_is(&req->method, "POST"))
		serve_post(e, c, req, a);
	else
		asked_refuse(c, a, ASKED_REQUEST);
}

void
engine_serve(struct conn *c, const struct http_request *req,
    const char *refusal)
{
	struct asked		a;
	enum asked_error	error = asked_read(&a, req);

	if (!request_origin_ok(req)) {
		asked_refuse(c, &a, ASKED_FORBIDDEN);
		return;
	}
	if (request_cors(c, req) == -1)
		return;
	if (error != ASKED_NONE)
		asked_refuse(c, &a, error);
	else if (a.sid[0] != '\0')
		serve_engine(c, req, &a);
	else if (refusal != NULL)
		conn_respond(c, 503, "Retry-After: 5\r\n", "text/plain",
		    refusal);
	else
		open_engine(c, req, &a);
}

/* For the owner */

const char *
engine_sid(const struct engine *e)
{
	return e->sid;
}

struct conn *
engine_conn(const struct engine *e)
{
	return e->conn;
}

void *
engine_data(const struct engine *e)
{
	return e->data;
}

void
engine_set_data(struct engine *e, void *data)
{
	e->data = data;
}

void
engine_init(struct event_base *base, const struct engine_settings *settings,
    const struct engine_ops *engine_ops)
{
	loop = base;
	set = settings;
	ops = engine_ops;
	turn = clock_new(base, engine_on_turn, NULL);
}

void
engine_exit(void)
{
	struct engine	*e;

	if (turn == NULL)
		return;
	while ((e = TAILQ_FIRST(&engines)) != NULL)
		engine_end(e, "1", CLOSE_GOING_AWAY, "exit");
	engine_on_turn(-1, 0, NULL);
	event_free(turn);
	turn = NULL;
}
