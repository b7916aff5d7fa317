/* SPDX-License-Identifier: ISC */

/*
 * Connections.  Input is read into one buffer shared by all; a connection owns
 * bytes only while a request, a frame header or a message is incomplete.
 * Output is a queue of frames held by reference, written at the end of a turn
 * of the loop (turn.h) with one system call; only a full socket asks to be
 * told when it can be written.  A connection over the high-water mark is not
 * read from until it has drained: so the answers to its pings and questions
 * cannot pile up.  A connection that has ended is freed at the end of the
 * turn, never under its caller.
 */

#include <sys/queue.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "base/table.h"
#include "base/xmalloc.h"
#include "net/httpwrite.h"
#include "net/conn.h"
#include "net/frame.h"
#include "net/httpread.h"
#include "net/netlog.h"
#include "net/outq.h"
#include "net/sock.h"
#include "net/turn.h"
#include "net/ws.h"
#include "net/wsread.h"

#define READ_SIZE	65536
#define KEPT_MAX	(HTTP_MAX_HEAD + READ_SIZE)	/* between two reads */
#define IOV_COUNT	64

enum conn_state {
	CONN_HANDSHAKE,		/* of the stream below: TLS */
	CONN_REQUEST,		/* the request has not all arrived */
	CONN_WAITING,		/* the owner answers later */
	CONN_OPEN,		/* WebSocket */
	CONN_STREAM,		/* an answer without an end */
	CONN_CLOSING,		/* our close frame is out, theirs is not in */
	CONN_LINGER,		/* write the rest, read and drop till the end */
	CONN_DEAD,		/* closed; waits to be freed */
};

static const char *const state_names[] = {
	"handshake", "request", "waiting", "open", "stream", "closing", "linger",
	"dead"
};

TAILQ_HEAD(conn_list, conn);

/* What a fan-out touches stands first, close together. */
struct conn {
	const struct conn_limits *limits;	/* outlives us */
	enum conn_state		  state;
	struct turn		  turn;		/* when it is written */
	bool			  full;
	bool			  want_write;	/* the socket was full */
	struct outq		  out;
	struct sock		 *sock;		/* owned; NULL once dead */

	conn_request		 *request;
	const struct conn_ops	 *ops;		/* outlives us; NULL: nobody
						 * hears of it (any more) */
	void			 *owner;
	int64_t			  last_life_ms;
	bool			  sent_fin;
	bool			  is_head;	/* the request: no body out */
	bool			  keep_alive;	/* it may be followed by more */
	bool			  answered;
	bool			  is_old;	/* HTTP/1.0 */
	char			 *headers;	/* owned; of its answer */
	struct event		  timer;
	TAILQ_ENTRY(conn)	  entry;	/* on conns or on dead */

	/* input */
	uint8_t			 *in;		/* owned; an incomplete frame head,
						 * or what follows a request that
						 * waits for its answer */
	size_t			  in_len;
	struct httpread		  http;
	struct wsread		  reader;

	struct netlog		  log;
};

static struct event_base	*loop;
static struct conn_list		 conns = TAILQ_HEAD_INITIALIZER(conns);
static struct conn_list		 dead = TAILQ_HEAD_INITIALIZER(dead);
static size_t			 nconns;
static bool			 ending;	/* no connection is kept */
static uint64_t			 last_id;
static uint8_t			 read_buf[KEPT_MAX + READ_SIZE];

static void	conn_resume(struct conn *c);
static void	conn_write(struct conn *c);

static bool
conn_is_live(const struct conn *c)
{
	return c->state == CONN_OPEN || c->state == CONN_STREAM;
}

static void
conn_set_state(struct conn *c, enum conn_state state, const char *why)
{
	log_debug("conn=%" PRIu64 " state=%s was=%s why=%s", c->log.id,
	    state_names[state], state_names[c->state],
	    log_quote(why, strlen(why)));
	c->state = state;
}

/* The one place that asks the socket for readiness, by the state. */
static void
conn_arm(struct conn *c)
{
	bool	heeds = c->state == CONN_OPEN || c->state == CONN_REQUEST;

	if (c->state != CONN_DEAD)
		sock_wants(c->sock, !c->full || !heeds, c->want_write);
}

static void
conn_tell_closed(struct conn *c, int code, const char *why)
{
	const struct conn_ops	*ops = c->ops;

	netlog_ended(&c->log, c->state == CONN_HANDSHAKE ||
	    c->state == CONN_REQUEST, code, why);
	c->ops = NULL;
	if (ops != NULL && ops->closed != NULL)
		ops->closed(c, code);
}

/* The end: what is queued is lost. */
static void
conn_drop(struct conn *c, int code, const char *why)
{
	if (c->state == CONN_DEAD)
		return;
	conn_tell_closed(c, code, why);
	conn_set_state(c, CONN_DEAD, why);
	(void)evtimer_del(&c->timer);
	sock_free(c->sock);
	c->sock = NULL;
	nconns--;
	TAILQ_REMOVE(&conns, c, entry);
	TAILQ_INSERT_TAIL(&dead, c, entry);
	turn_remove(&c->turn);
	turn_wake();
}

static void
conn_free(struct conn *c)
{
	outq_clear(&c->out);
	wsread_clear(&c->reader);
	free(c->in);
	httpread_clear(&c->http);
	free(c->headers);
	free(c->log.user);
	free(c);
}

/* At the end of each turn. */
static void
conn_free_dead(void)
{
	struct conn	*c;

	while ((c = TAILQ_FIRST(&dead)) != NULL) {
		TAILQ_REMOVE(&dead, c, entry);
		conn_free(c);
	}
}

/* It has something new to write; later, if the socket is full. */
static void
conn_mark_dirty(struct conn *c, bool is_late)
{
	if (!c->want_write)
		turn_add(&c->turn, is_late);
}

/* Output */

static void
conn_queue(struct conn *c, struct frame *f, bool is_late)
{
	outq_add(&c->out, f);
	if (c->out.bytes > c->limits->output_high_bytes && !c->full) {
		c->full = true;
		c->last_life_ms = clock_ms();	/* his time begins */
		if (c->want_write)	/* else conn_write is to come */
			conn_arm(c);
	}
	conn_mark_dirty(c, is_late);
}

static void
conn_write(struct conn *c)
{
	struct iovec	iov[IOV_COUNT];
	ssize_t		w = 0;

	while (c->out.n > 0) {
		w = sock_writev(c->sock, iov, outq_iov(&c->out, iov,
		    IOV_COUNT));
		if (w < 0)
			break;
		stats_add(STAT_SENT_BYTES, w);
		outq_written(&c->out, (size_t)w);
		if (c->want_write)
			c->last_life_ms = clock_ms();
	}
	if (w < 0 && w != SOCK_AGAIN) {
		conn_drop(c, CLOSE_ABNORMAL, "write failed");
		return;
	}
	c->want_write = c->out.n > 0;
	if (c->out.n == 0 && c->state == CONN_LINGER && !c->sent_fin) {
		c->sent_fin = true;
		sock_shutdown(c->sock);
	}
	if (c->full && c->out.bytes <= c->limits->output_high_bytes / 2) {
		c->full = false;
		if (conn_is_live(c) && c->ops != NULL &&
		    c->ops->drained != NULL)
			c->ops->drained(c);
	}
	conn_arm(c);
	if (c->state == CONN_REQUEST && c->in_len > 0 && !c->full)
		conn_resume(c);
}

static void
conn_on_turn(struct turn *t)
{
	conn_write(table_object(t, struct conn, turn));
}

static void
conn_send_frame(struct conn *c, uint8_t opcode, const uint8_t *p, size_t len)
{
	struct frame	*f = frame_message(opcode, p, len);

	conn_queue(c, f, false);
	frame_unref(f);
}

static void
conn_send_text(struct conn *c, char *text)
{
	struct frame	*f = frame_of_text(text, NULL, 0);

	conn_queue(c, f, false);
	frame_unref(f);
}

/* Closing */

static void
conn_send_close(struct conn *c, int code, const char *reason)
{
	uint8_t	p[WS_CONTROL_MAX];
	size_t	n = code == CLOSE_NO_STATUS ? 0 :
		    ws_close_write(p, (unsigned)code, reason);

	conn_send_frame(c, WS_CLOSE, p, n);
}

/* Send our close frame and go on to state; the rest is up to the peer. */
static void
conn_begin_close(struct conn *c, enum conn_state state, int code,
    const char *reason)
{
	conn_send_close(c, code, reason);
	conn_set_state(c, state, reason);
	conn_arm(c);
	clock_start(&c->timer, c->limits->close_timeout_ms);
	conn_tell_closed(c, code, reason);
}

/* A stream ends with what is queued. */
static void
conn_end_stream(struct conn *c, int code, const char *reason)
{
	conn_set_state(c, CONN_LINGER, reason);
	clock_start(&c->timer, c->limits->close_timeout_ms);
	conn_mark_dirty(c, false);
	conn_arm(c);
	conn_tell_closed(c, code, reason);
}

/* The peer broke the protocol: nothing it sends can be trusted any more. */
static void
conn_fail(struct conn *c, int code, const char *why)
{
	if (c->state == CONN_OPEN)
		conn_begin_close(c, CONN_LINGER, code, why);
	else if (c->state == CONN_CLOSING) {
		conn_set_state(c, CONN_LINGER, why);
		conn_mark_dirty(c, false);
	}
}

static void
conn_got_close(struct conn *c, const uint8_t *p, size_t len)
{
	const char	*why;
	unsigned	 code;

	if (c->state == CONN_CLOSING) {
		conn_set_state(c, CONN_LINGER, "close answered");
		conn_mark_dirty(c, false);
		return;
	}
	if (ws_close_read(p, len, &code, &why) == 0)
		conn_begin_close(c, CONN_LINGER, (int)code, "");
	else
		conn_fail(c, (int)code, why);
}

/* Input */

static void
conn_control(struct conn *c, const struct ws_event *ev)
{
	switch (ev->opcode) {
	case WS_PING:
		if (c->ops != NULL && c->ops->pinged != NULL)
			c->ops->pinged(c);
		if (c->state == CONN_OPEN)
			conn_send_frame(c, WS_PONG, ev->p, ev->len);
		break;
	case WS_CLOSE:
		conn_got_close(c, ev->p, ev->len);
		break;
	default:
		break;		/* a pong; the clock has been set already */
	}
}

static void
conn_message_in(struct conn *c, const struct ws_event *ev)
{
	stats_add(STAT_RECEIVED, 1);
	if (c->state == CONN_OPEN && c->ops != NULL && c->ops->message != NULL)
		c->ops->message(c, ev->opcode == WS_BINARY, ev->p, ev->len);
}

/* Keep an incomplete head for the next read. */
static void
conn_keep(struct conn *c, const uint8_t *p, size_t n)
{
	free(c->in);
	c->in = n > 0 ? xmalloc(n) : NULL;
	if (n > 0)
		memcpy(c->in, p, n);
	c->in_len = n;
}

/* Read frames from p[n]; returns how many bytes were used. */
static size_t
conn_frames(struct conn *c, uint8_t *p, size_t n)
{
	struct ws_event	ev;
	size_t		used = 0;

	while (used < n &&
	    (c->state == CONN_OPEN || c->state == CONN_CLOSING)) {
		used += wsread_step(&c->reader, p + used, n - used,
		    c->limits->message_bytes, c->state != CONN_OPEN, &ev);
		switch (ev.type) {
		case WS_EVENT_NONE:
			break;
		case WS_EVENT_MORE:
			return used;
		case WS_EVENT_MESSAGE:
			conn_message_in(c, &ev);
			break;
		case WS_EVENT_CONTROL:
			conn_control(c, &ev);
			break;
		case WS_EVENT_BAD:
			conn_fail(c, ev.code, ev.why);
			break;
		}
	}
	wsread_release(&c->reader);
	return n;
}

/* A whole request: answered in the callback, or later, or not yet. */
static void
conn_hand_over(struct conn *c, const struct http_request *req)
{
	c->is_head = http_slice_is(&req->method, "HEAD");
	c->keep_alive = req->keep_alive;
	c->is_old = req->minor == 0;
	c->log.is_quiet = false;
	c->answered = false;
	c->request(c, req);
	if (c->state == CONN_REQUEST && !c->answered)
		conn_drop(c, CLOSE_ABNORMAL, "request not answered");
}

static void
conn_refuse(struct conn *c, int status)
{
	c->keep_alive = false;
	if (c->http.is_tls)
		conn_drop(c, CLOSE_ABNORMAL, "TLS on a plain port");
	else if (status == 413)
		conn_respond(c, 413, NULL, "application/json", "{\"error\":{"
		    "\"code\":\"bad_request\",\"message\":\"too long\"}}");
	else
		conn_respond(c, status, NULL, "text/plain",
		    http_reason(status));
}

/* Read requests from p[n]; returns how many bytes were used. */
static size_t
conn_requests(struct conn *c, const uint8_t *p, size_t n)
{
	struct http_request	req;
	size_t			used = 0, step;
	bool			waits;
	int			r;

	while (used < n && c->state == CONN_REQUEST && !c->full) {
		r = httpread_step(&c->http, p + used, n - used,
		    c->limits->message_bytes, &req, &step, &waits);
		used += step;
		if (r == 0) {
			if (waits)
				conn_send_text(c, xstrdup(
				    "HTTP/1.1 100 Continue\r\n\r\n"));
			return n;
		}
		if (r < 0) {
			conn_refuse(c, -r);
			return n;
		}
		conn_hand_over(c, &req);
	}
	return used;
}

/* Use what there is at p[n] as the state says, and keep the rest. */
static void
conn_input(struct conn *c, uint8_t *p, size_t n)
{
	size_t	used = 0;

	if (c->state == CONN_REQUEST)
		used = conn_requests(c, p, n);
	if (c->state == CONN_OPEN || c->state == CONN_CLOSING)
		used += conn_frames(c, p + used, n - used);
	else if (c->state != CONN_REQUEST && c->state != CONN_WAITING)
		used = n;
	httpread_release(&c->http);
	if (c->state != CONN_DEAD)
		conn_keep(c, p + used, n - used);
	if (c->state == CONN_WAITING && c->in_len > HTTP_MAX_HEAD)
		conn_drop(c, CLOSE_POLICY, "too much before the answer");
}

/* The answer is out: go on with what had come behind its request. */
static void
conn_resume(struct conn *c)
{
	size_t	n = c->in_len;

	memcpy(read_buf, c->in, n);
	conn_input(c, read_buf, n);
}

static void
conn_read(struct conn *c)
{
	size_t	have = c->in_len;
	ssize_t	r;

	r = sock_read(c->sock, read_buf + have, READ_SIZE);
	if (r == SOCK_AGAIN)
		return;
	if (r <= 0) {
		conn_drop(c, CLOSE_ABNORMAL, r == 0 ? "peer hung up" :
		    "read failed");
		return;
	}
	/* A stream that is full shows life only by taking what waits. */
	if (c->state != CONN_STREAM || !c->full)
		c->last_life_ms = clock_ms();
	stats_add(STAT_RECEIVED_BYTES, r);
	if (have > 0)
		memcpy(read_buf, c->in, have);
	conn_input(c, read_buf, have + (size_t)r);
}

/* Whether the stream is ready for bytes; if not, it has been seen to. */
static bool
conn_shake_hands(struct conn *c)
{
	int	r;

	if (c->state != CONN_HANDSHAKE)
		return true;
	if ((r = sock_handshake(c->sock)) == 0)
		conn_set_state(c, CONN_REQUEST, "handshake done");
	else if (r != SOCK_AGAIN)
		conn_drop(c, CLOSE_ABNORMAL, "handshake failed");
	return r == 0;
}

static void
conn_on_ready(void *arg, bool readable, bool writable)
{
	struct conn	*c = arg;

	if (!conn_shake_hands(c))
		return;
	if (writable)
		conn_write(c);
	if (readable && c->state != CONN_DEAD)
		conn_read(c);
}

static void
conn_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn	*c = arg;

	(void)fd;
	(void)what;
	if (!conn_is_live(c) && c->state != CONN_WAITING)
		conn_drop(c, CLOSE_ABNORMAL, "timeout");
	else if (c->ops != NULL && c->ops->timer != NULL)
		c->ops->timer(c);
}

/* For the owner */

void
conn_init(struct event_base *base)
{
	loop = base;
	ending = false;
	turn_init(base, conn_on_turn, conn_free_dead);
}

void
conn_exit(void)
{
	struct conn	*c;

	while ((c = TAILQ_FIRST(&conns)) != NULL)
		conn_drop(c, CLOSE_ABNORMAL, "exit");
	turn_exit();
}

size_t
conn_count(void)
{
	return nconns;
}

struct conn *
conn_new(struct sock *s, const struct sockaddr *peer, conn_request *request,
    const struct conn_limits *limits)
{
	struct conn	*c = xcalloc(1, sizeof(*c));

	c->request = request;
	c->limits = limits;
	outq_init(&c->out);
	c->sock = s;
	c->log.id = ++last_id;
	c->last_life_ms = clock_ms();
	addr_name(peer, c->log.peer);
	(void)evtimer_assign(&c->timer, loop, conn_on_timer, c);
	clock_start(&c->timer, limits->request_timeout_ms);
	nconns++;
	stats_add(STAT_ACCEPTED, 1);
	TAILQ_INSERT_TAIL(&conns, c, entry);
	log_debug("conn=%" PRIu64 " state=handshake peer=%s", c->log.id, c->log.peer);
	sock_watch(s, loop, conn_on_ready, c);
	if (conn_shake_hands(c) || c->state == CONN_HANDSHAKE)
		conn_arm(c);
	return c;
}

void *
conn_owner(const struct conn *c)
{
	return c->owner;
}

void
conn_own(struct conn *c, const struct conn_ops *ops, void *owner)
{
	c->ops = ops;
	c->owner = owner;
}

uint64_t
conn_id(const struct conn *c)
{
	return c->log.id;
}

void
conn_peer(const struct conn *c, char out[ADDR_MAX])
{
	memcpy(out, c->log.peer, ADDR_MAX);
}

/* The request has its answer: another may follow, or the end does. */
static void
conn_answered(struct conn *c, bool keep)
{
	bool	was_waiting = c->state == CONN_WAITING;

	c->answered = true;
	c->log.is_quiet = true;
	free(c->headers);
	c->headers = NULL;
	conn_set_state(c, keep ? CONN_REQUEST : CONN_LINGER, "answered");
	clock_start(&c->timer, keep ? c->limits->request_timeout_ms :
	    c->limits->close_timeout_ms);
	if (was_waiting)
		conn_tell_closed(c, CLOSE_NORMAL, "answered");
	c->ops = NULL;
}

void
conn_answer(struct conn *c, int status, const char *headers,
    const char *type, const void *body, size_t len)
{
	struct frame		*f;
	struct http_answer		 a = { status, type, len, c->headers, headers,
	    c->keep_alive && !ending, c->is_old };

	/* RFC 9110 section 15.3.5: 204 has no content. */
	f = frame_of_text(httpwrite_head(&a), body,
	    c->is_head || status == 204 ? 0 : len);
	conn_queue(c, f, false);
	frame_unref(f);
	if (status >= 400)
		conn_refused(c, status, http_reason(status));
	conn_answered(c, a.keep_alive);
}

void
conn_refused(struct conn *c, int status, const char *why)
{
	netlog_refused(&c->log, status, why);
}

void
conn_hush(struct conn *c)
{
	c->log.is_quiet = true;
}

void
conn_set_user(struct conn *c, const char *user)
{
	free(c->log.user);
	c->log.user = xstrdup(user);
}

void
conn_respond(struct conn *c, int status, const char *headers,
    const char *type, const char *body)
{
	char	*line = xasprintf("%s\n", body);

	if (status >= 400 && strcmp(type, "text/plain") == 0)
		conn_refused(c, status, body);
	conn_answer(c, status, headers, type, line, strlen(line));
	free(line);
}

void
conn_set_headers(struct conn *c, const char *headers)
{
	free(c->headers);
	c->headers = xstrdup(headers);
}

void
conn_defer(struct conn *c)
{
	(void)evtimer_del(&c->timer);
	conn_set_state(c, CONN_WAITING, "deferred");
}

bool
conn_is_waiting(const struct conn *c)
{
	return c->state == CONN_WAITING;
}

void
conn_stream(struct conn *c, const char *type)
{
	struct http_answer	a = { 200, type, HTTPWRITE_ENDLESS, c->headers, NULL,
	    false, c->is_old };

	conn_send_text(c, httpwrite_head(&a));
	c->out.bare = true;
	conn_set_state(c, CONN_STREAM, "a stream");
}

void
conn_upgrade(struct conn *c, const struct http_request *req,
    const char *protocol)
{
	conn_send_text(c, httpwrite_upgrade(req, protocol));
	(void)evtimer_del(&c->timer);
	conn_set_state(c, CONN_OPEN, "upgraded");
}

void
conn_send(struct conn *c, struct frame *f, bool is_late)
{
	if (conn_is_live(c))
		conn_queue(c, f, is_late);
}

bool
conn_is_stream(const struct conn *c)
{
	return c->out.bare;
}

void
conn_ping(struct conn *c)
{
	if (c->state == CONN_OPEN)
		conn_send_frame(c, WS_PING, NULL, 0);
}

bool
conn_is_full(const struct conn *c)
{
	return c->full;
}

int64_t
conn_silent_ms(const struct conn *c)
{
	return clock_ms() - c->last_life_ms;
}

void
conn_set_timer(struct conn *c, int64_t timeout_ms)
{
	if (conn_is_live(c) || c->state == CONN_WAITING)
		clock_start(&c->timer, timeout_ms);
}

void
conn_close(struct conn *c, int code, const char *reason)
{
	if (c->state == CONN_OPEN)
		conn_begin_close(c, CONN_CLOSING, code, reason);
	else if (c->state == CONN_STREAM)
		conn_end_stream(c, code, reason);
	else if (c->state == CONN_WAITING)
		conn_respond(c, 503, NULL, "text/plain", reason);
	else if (c->state == CONN_REQUEST && c->out.n > 0)
		conn_end_stream(c, code, reason);
	else if (c->state == CONN_REQUEST)
		conn_drop(c, code, reason);
}

void
conn_close_all(int code, const char *reason)
{
	struct conn	*c, *next;

	ending = true;
	for (c = TAILQ_FIRST(&conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->state != CONN_WAITING)
			conn_close(c, code, reason);
	}
}
