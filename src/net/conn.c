/* SPDX-License-Identifier: ISC */

/*
 * Connections.  Input is read into one buffer shared by all; a connection owns
 * bytes only while a request head, a frame header or a message is incomplete.
 * Output is a queue of frames held by reference.  A connection with something
 * new to write is dirty; at the end of a turn of the loop the dirty ones are
 * written, each with one system call, and only a full socket asks for a write
 * event.  If they are many they are written in slices, one in each turn, and
 * those that only have something from a fan-out to many go last: so it holds up
 * nobody else.
 * Who is over the high-water mark is not read until he has read: so the answers
 * to his pings and questions cannot pile up.
 * A connection that has ended is freed at the end of the turn, never under its
 * caller.
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
#include "base/xmalloc.h"
#include "net/conn.h"
#include "net/frame.h"
#include "net/netlog.h"
#include "net/outq.h"
#include "net/sock.h"
#include "net/ws.h"
#include "net/wsread.h"

#define TLS_HANDSHAKE	0x16		/* RFC 8446 section 5.1; no method */
#define READ_SIZE	65536
#define IOV_COUNT	64
#define FLUSH_SLICE	256		/* connections written in a turn */
#define FLUSH_LATE	64		/* and at least so many late ones */
#define REASON_MAX	(WS_CONTROL_MAX - 2)

enum conn_state {
	CONN_HANDSHAKE,		/* of the stream below: TLS */
	CONN_REQUEST,		/* the request head has not all arrived */
	CONN_BODY,		/* nor its body */
	CONN_WAITING,		/* the owner answers later */
	CONN_OPEN,		/* WebSocket */
	CONN_STREAM,		/* an answer without an end */
	CONN_CLOSING,		/* our close frame is out, theirs is not in */
	CONN_LINGER,		/* write the rest, read and drop till the end */
	CONN_DEAD,		/* closed; waits to be freed */
};

static const char *const state_names[] = {
	"handshake", "request", "body", "waiting", "open", "stream", "closing", "linger",
	"dead"
};

enum conn_due {
	DUE_NOT,		/* nothing new to write */
	DUE_NOW,		/* on dirty */
	DUE_LATE,		/* on late */
};

TAILQ_HEAD(conn_list, conn);

/* What a fan-out touches stands first, close together. */
struct conn {
	const struct conn_limits *limits;	/* outlives us */
	enum conn_state		  state;
	enum conn_due		  due;
	bool			  full;
	bool			  want_write;	/* the socket was full */
	TAILQ_ENTRY(conn)	  due_entry;	/* on dirty or on late */
	struct outq		  out;
	struct sock		 *sock;		/* owned; NULL once dead */

	conn_request		 *request;
	const struct conn_ops	 *ops;		/* outlives us; NULL: nobody
						 * hears of it (any more) */
	void			 *owner;
	uint64_t		  id;
	int64_t			  last_life_ms;
	bool			  sent_fin;
	bool			  is_head;	/* the request: no body out */
	char			 *headers;	/* owned; of every answer */
	struct event		  timer;
	TAILQ_ENTRY(conn)	  entry;	/* on conns or on dead */

	/* input */
	uint8_t			 *in;		/* owned; an incomplete head, or
						 * the one of the body */
	size_t			  in_len;
	uint8_t			 *body;		/* owned; so far */
	size_t			  body_have;
	size_t			  body_len;
	struct wsread		  reader;

	bool			  is_quiet;	/* the log need not know, or
						 * knows already */
	char			 *user;		/* owned; for the log, or NULL */
	char			  peer[ADDR_MAX];
};

static struct event_base	*loop;
static struct event		*flush_event;	/* writes and frees */
static struct conn_list		 conns = TAILQ_HEAD_INITIALIZER(conns);
static struct conn_list		 dead = TAILQ_HEAD_INITIALIZER(dead);
static struct conn_list		 dirty = TAILQ_HEAD_INITIALIZER(dirty);
static struct conn_list		 late = TAILQ_HEAD_INITIALIZER(late);
static size_t			 nconns;
static uint64_t			 last_id;
static uint8_t			 read_buf[HTTP_MAX_HEAD + READ_SIZE];

static void	conn_write(struct conn *c);

/* The owner sends what he has. */
static bool
conn_is_live(const struct conn *c)
{
	return c->state == CONN_OPEN || c->state == CONN_STREAM;
}

static void
conn_set_state(struct conn *c, enum conn_state state, const char *why)
{
	log_debug("conn=%" PRIu64 " state=%s was=%s why=%s", c->id,
	    state_names[state], state_names[c->state],
	    log_quote(why, strlen(why)));
	c->state = state;
}

/* The one place that asks the socket for readiness, by the state. */
static void
conn_arm(struct conn *c)
{
	if (c->state != CONN_DEAD)
		sock_wants(c->sock, !c->full || c->state != CONN_OPEN,
		    c->want_write);
}

/* Say once how it ended. */
static void
conn_log_end(struct conn *c, int code, const char *why)
{
	struct netlog	who = { c->id, c->peer, c->user };

	if (c->is_quiet)
		return;
	c->is_quiet = true;
	if (c->state == CONN_HANDSHAKE || c->state == CONN_REQUEST)
		netlog_mute(&who, strcmp(why, "peer hung up") == 0, why);
	else
		netlog_closed(&who, code, why);
}

static void
conn_tell_closed(struct conn *c, int code, const char *why)
{
	const struct conn_ops	*ops = c->ops;

	conn_log_end(c, code, why);
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
	event_active(flush_event, EV_TIMEOUT, 1);
}

static void
conn_not_due(struct conn *c)
{
	if (c->due == DUE_NOW)
		TAILQ_REMOVE(&dirty, c, due_entry);
	else if (c->due == DUE_LATE)
		TAILQ_REMOVE(&late, c, due_entry);
	c->due = DUE_NOT;
}

static void
conn_free(struct conn *c)
{
	conn_not_due(c);
	outq_clear(&c->out);
	wsread_clear(&c->reader);
	free(c->in);
	free(c->body);
	free(c->headers);
	free(c->user);
	free(c);
}

static void
conn_mark_dirty(struct conn *c, enum conn_due due)
{
	if (c->due == due || c->due == DUE_NOW || c->want_write)
		return;
	if (TAILQ_EMPTY(&dirty) && TAILQ_EMPTY(&late))
		event_active(flush_event, EV_TIMEOUT, 1);
	conn_not_due(c);
	c->due = due;
	if (due == DUE_NOW)
		TAILQ_INSERT_TAIL(&dirty, c, due_entry);
	else
		TAILQ_INSERT_TAIL(&late, c, due_entry);
}

/* Write at most max of a list; returns how many there were. */
static int
conn_flush_list(const struct conn_list *list, int max)
{
	struct conn	*c;
	int		 n;

	for (n = 0; n < max && (c = TAILQ_FIRST(list)) != NULL; n++) {
		conn_not_due(c);
		if (c->state != CONN_DEAD)
			conn_write(c);
	}
	return n;
}

static void
conn_flush(evutil_socket_t fd, short what, void *arg)
{
	struct conn	*c;
	int		 n;

	(void)fd;
	(void)what;
	(void)arg;
	n = conn_flush_list(&dirty, FLUSH_SLICE);
	(void)conn_flush_list(&late, FLUSH_SLICE - n + FLUSH_LATE);
	if (!TAILQ_EMPTY(&dirty) || !TAILQ_EMPTY(&late))
		clock_start(flush_event, 0);
	while ((c = TAILQ_FIRST(&dead)) != NULL) {
		TAILQ_REMOVE(&dead, c, entry);
		conn_free(c);
	}
}

/* Output */

static void
conn_queue(struct conn *c, struct frame *f, enum conn_due due)
{
	outq_add(&c->out, f);
	if (c->out.bytes > c->limits->output_high_bytes && !c->full) {
		c->full = true;
		c->last_life_ms = clock_ms();	/* his time begins */
		if (c->want_write)	/* else conn_write is to come */
			conn_arm(c);
	}
	conn_mark_dirty(c, due);
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
}

static void
conn_send_frame(struct conn *c, uint8_t opcode, const uint8_t *p, size_t len)
{
	struct frame	*f = frame_message(opcode, p, len);

	conn_queue(c, f, DUE_NOW);
	frame_unref(f);
}

/* A text, which is freed, and what follows it. */
static struct frame *
frame_of(char *text, const void *body, size_t len)
{
	size_t		 n = strlen(text);
	struct frame	*f = frame_new(n + len);

	memcpy(f->data, text, n);
	if (len > 0)
		memcpy(f->data + n, body, len);
	free(text);
	return f;
}

static void
conn_send_text(struct conn *c, char *text)
{
	struct frame	*f = frame_of(text, NULL, 0);

	conn_queue(c, f, DUE_NOW);
	frame_unref(f);
}

/* Closing */

static void
conn_send_close(struct conn *c, int code, const char *reason)
{
	uint8_t	p[WS_CONTROL_MAX];
	size_t	n = 0, len;

	if (code != CLOSE_NO_STATUS) {
		p[n++] = (uint8_t)(code >> 8);
		p[n++] = (uint8_t)code;
		len = strlen(reason);
		if (len > REASON_MAX)
			len = REASON_MAX;
		memcpy(p + n, reason, len);
		n += len;
	}
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
	conn_mark_dirty(c, DUE_NOW);
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
		conn_mark_dirty(c, DUE_NOW);
	}
}

static void
conn_got_close(struct conn *c, const uint8_t *p, size_t len)
{
	uint32_t	utf8 = WS_UTF8_START;
	int		code = CLOSE_NO_STATUS;

	if (c->state == CONN_CLOSING) {
		conn_set_state(c, CONN_LINGER, "close answered");
		conn_mark_dirty(c, DUE_NOW);
		return;
	}
	if (len >= 2)
		code = p[0] << 8 | p[1];
	if (len == 1 || (len >= 2 && !ws_close_code_ok((unsigned)code))) {
		conn_fail(c, CLOSE_PROTOCOL, "bad close frame");
		return;
	}
	if (len > 2 && (!ws_utf8_check(&utf8, p + 2, len - 2) ||
	    utf8 != WS_UTF8_START)) {
		conn_fail(c, CLOSE_BAD_DATA, "close reason is not UTF-8");
		return;
	}
	conn_begin_close(c, CONN_LINGER, code, "");
}

/* Input */

static void
conn_control(struct conn *c, const struct ws_event *ev)
{
	switch (ev->opcode) {
	case WS_PING:
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

/* A whole request: the owner's to answer. */
static void
conn_hand_over(struct conn *c, struct http_request *req, const uint8_t *body)
{
	req->body.p = (const char *)body;
	req->body.len = c->body_len;
	c->is_head = http_slice_is(&req->method, "HEAD");
	c->request(c, req);
	if (c->state == CONN_REQUEST || c->state == CONN_BODY)
		conn_drop(c, CLOSE_ABNORMAL, "request not answered");
}

/* Collect n more bytes of the body, whose length is bounded. */
static void
conn_add_body(struct conn *c, const uint8_t *p, size_t n)
{
	if (n > c->body_len - c->body_have)
		n = c->body_len - c->body_have;
	if (n == 0)
		return;
	c->body = xrealloc(c->body, c->body_have + n);
	memcpy(c->body + c->body_have, p, n);
	c->body_have += n;
}

/* Begin to collect a body: keep the head and what has come of it. */
static void
conn_begin_body(struct conn *c, const struct http_request *req,
    const uint8_t *p, size_t head, size_t n)
{
	conn_keep(c, p, head);
	conn_add_body(c, p + head, n - head);
	conn_set_state(c, CONN_BODY, "a body");
	if (http_header_has(req, "Expect", "100-continue"))
		conn_send_text(c, xstrdup("HTTP/1.1 100 Continue\r\n\r\n"));
}

/* More of a body, perhaps its end. */
static void
conn_body(struct conn *c, const uint8_t *p, size_t n)
{
	struct http_request	 req;
	uint8_t			*head = c->in, *body;
	size_t			 len = c->in_len;

	conn_add_body(c, p, n);
	if (c->body_have < c->body_len)
		return;
	body = c->body;
	c->in = c->body = NULL;
	c->in_len = c->body_have = 0;
	if (http_request_parse(&req, (const char *)head, len) > 0)
		conn_hand_over(c, &req, body);
	free(head);
	free(body);
}

/* Returns the bytes of the request that were used, 0 if it is incomplete. */
static size_t
conn_head(struct conn *c, const uint8_t *p, size_t n)
{
	struct http_request	req;
	int			r;

	if (p[0] == TLS_HANDSHAKE) {
		conn_drop(c, CLOSE_ABNORMAL, "TLS on a plain port");
		return n;
	}
	r = http_request_parse(&req, (const char *)p, n);
	if (r > 0 && req.content_length > c->limits->message_bytes) {
		conn_respond(c, 413, NULL, "application/json", "{\"error\":{"
		    "\"code\":\"bad_request\",\"message\":\"too long\"}}");
		return n;
	}
	if (r < 0) {
		conn_respond(c, -r, NULL, "text/plain", http_reason(-r));
		return n;
	}
	if (r == 0)
		return 0;
	c->body_len = (size_t)req.content_length;
	if (c->body_len > n - (size_t)r) {
		conn_begin_body(c, &req, p, (size_t)r, n);
		return n;
	}
	conn_hand_over(c, &req, p + r);
	return (size_t)r + c->body_len;
}

static void
conn_read(struct conn *c)
{
	size_t	have = c->in_len, used = 0;
	ssize_t	r;

	r = sock_read(c->sock, read_buf + have, READ_SIZE);
	if (r == SOCK_AGAIN)
		return;
	if (r <= 0) {
		conn_drop(c, CLOSE_ABNORMAL, r == 0 ? "peer hung up" :
		    "read failed");
		return;
	}
	c->last_life_ms = clock_ms();
	stats_add(STAT_RECEIVED_BYTES, r);
	if (c->state == CONN_BODY) {
		conn_body(c, read_buf + have, (size_t)r);
		return;
	}
	if (have > 0)
		memcpy(read_buf, c->in, have);
	have += (size_t)r;
	if (c->state == CONN_REQUEST)
		used = conn_head(c, read_buf, have);
	if (c->state == CONN_OPEN || c->state == CONN_CLOSING)
		used += conn_frames(c, read_buf + used, have - used);
	else if (c->state != CONN_REQUEST)
		used = have;
	if (c->state != CONN_DEAD && c->state != CONN_BODY)
		conn_keep(c, read_buf + used, have - used);
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
	flush_event = clock_new(base, conn_flush, NULL);
}

void
conn_exit(void)
{
	struct conn	*c;

	while ((c = TAILQ_FIRST(&conns)) != NULL)
		conn_drop(c, CLOSE_ABNORMAL, "exit");
	conn_flush(-1, 0, NULL);
	event_free(flush_event);
	flush_event = NULL;
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
	c->id = ++last_id;
	c->last_life_ms = clock_ms();
	addr_name(peer, c->peer);
	(void)evtimer_assign(&c->timer, loop, conn_on_timer, c);
	clock_start(&c->timer, limits->request_timeout_ms);
	nconns++;
	stats_add(STAT_ACCEPTED, 1);
	TAILQ_INSERT_TAIL(&conns, c, entry);
	log_debug("conn=%" PRIu64 " state=handshake peer=%s", c->id, c->peer);
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
	return c->id;
}

void
conn_peer(const struct conn *c, char out[ADDR_MAX])
{
	memcpy(out, c->peer, ADDR_MAX);
}

void
conn_answer(struct conn *c, int status, const char *headers,
    const char *type, const void *body, size_t len)
{
	struct frame	*f;
	char		*length;
	bool		 was_waiting = c->state == CONN_WAITING;

	/* RFC 9110 section 15.3.5: 204 has no content, and says no length. */
	length = status == 204 ? xstrdup("") : xasprintf("Content-Type: %s\r\n"
	    "Content-Length: %zu\r\n", type, len);
	f = frame_of(xasprintf("HTTP/1.1 %d %s\r\n%s"
	    "Cache-Control: no-store\r\nConnection: close\r\n%s%s\r\n",
	    status, http_reason(status), length,
	    c->headers == NULL ? "" : c->headers,
	    headers == NULL ? "" : headers), body,
	    c->is_head || status == 204 ? 0 : len);
	free(length);
	conn_queue(c, f, DUE_NOW);
	frame_unref(f);
	if (status >= 400)
		conn_refused(c, status, http_reason(status));
	c->is_quiet = true;
	conn_set_state(c, CONN_LINGER, "answered");
	clock_start(&c->timer, c->limits->close_timeout_ms);
	if (was_waiting)
		conn_tell_closed(c, CLOSE_NORMAL, "answered");
	c->ops = NULL;
}

void
conn_refused(struct conn *c, int status, const char *why)
{
	struct netlog	who = { c->id, c->peer, c->user };

	if (!c->is_quiet)
		netlog_refused(&who, status, why);
	c->is_quiet = true;
}

void
conn_hush(struct conn *c)
{
	c->is_quiet = true;
}

void
conn_set_user(struct conn *c, const char *user)
{
	free(c->user);
	c->user = xstrdup(user);
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
	conn_send_text(c, xasprintf("HTTP/1.1 200 OK\r\n"
	    "Content-Type: %s\r\nCache-Control: no-store\r\n"
	    "X-Accel-Buffering: no\r\nConnection: close\r\n%s\r\n", type,
	    c->headers == NULL ? "" : c->headers));
	c->out.bare = true;
	conn_set_state(c, CONN_STREAM, "a stream");
}

void
conn_upgrade(struct conn *c, const struct http_request *req,
    const char *protocol)
{
	const struct http_slice	*key;
	char			 accept[WS_ACCEPT_LEN + 1];

	key = http_header_find(req, "Sec-WebSocket-Key");
	ws_accept_key(accept, key->p, key->len);
	conn_send_text(c, xasprintf("HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: %s\r\n%s%s%s\r\n", accept,
	    protocol == NULL ? "" : "Sec-WebSocket-Protocol: ",
	    protocol == NULL ? "" : protocol, protocol == NULL ? "" : "\r\n"));
	(void)evtimer_del(&c->timer);
	conn_set_state(c, CONN_OPEN, "upgraded");
}

void
conn_send(struct conn *c, struct frame *f, bool is_late)
{
	if (conn_is_live(c))
		conn_queue(c, f, is_late ? DUE_LATE : DUE_NOW);
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
	else if (c->state == CONN_REQUEST || c->state == CONN_BODY)
		conn_drop(c, code, reason);
}

void
conn_close_all(int code, const char *reason)
{
	struct conn	*c, *next;

	for (c = TAILQ_FIRST(&conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->state != CONN_WAITING)
			conn_close(c, code, reason);
	}
}
