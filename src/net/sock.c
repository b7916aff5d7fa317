/* SPDX-License-Identifier: ISC */

/*
 * TCP sockets, plain or under TLS.  EINTR cannot reach us: libevent blocks in
 * its own wait, and everything here is non-blocking.
 *
 * A record holds all that a turn of the loop has for a stream, as far as it
 * fits, put together in one buffer that all streams share.  A handshake is half
 * a millisecond of work or more, so a turn does only a few of them.
 */

#include <sys/socket.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/xmalloc.h"
#include "net/sock.h"
#include "net/tls.h"

#define RECORD_MAX	16384		/* bytes, RFC 8446 section 5.1 */
#define HANDSHAKES_MAX	16		/* steps of them in a turn */

struct sock {
	int			 fd;
	short			 armed;		/* what the loop was asked */
	sock_ready		*ready;
	void			*arg;		/* outlives us */
	struct event_base	*base;		/* outlives us */
	struct event		 ev;

	SSL			*ssl;		/* owned; NULL: plain */
	bool			 is_open;	/* the handshake is done */
	bool			 want_read;	/* from above */
	bool			 want_write;
	short			 read_needs;	/* of the descriptor, in order */
	short			 write_needs;	/* to go on */
};

static unsigned char	 record[RECORD_MAX];
static unsigned int	 handshakes;		/* in this turn */
static struct event	*turn_event;		/* the next one begins */

struct sock *
sock_new(int fd, const struct tls *tls)
{
	struct sock	*s = xcalloc(1, sizeof(*s));

	s->fd = fd;
	s->read_needs = EV_READ;
	s->write_needs = EV_WRITE;
	s->is_open = tls == NULL;
	if (tls != NULL)
		s->ssl = tls_stream(tls, fd);
	return s;
}

static void
sock_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct sock	*s = arg;

	(void)fd;
	s->ready(s->arg, (what & s->read_needs) != 0,
	    (what & s->write_needs) != 0);
}

void
sock_watch(struct sock *s, struct event_base *base, sock_ready *ready,
    void *arg)
{
	s->base = base;
	s->ready = ready;
	s->arg = arg;
	(void)event_assign(&s->ev, base, s->fd, EV_PERSIST, sock_on_event, s);
}

/* Ask the loop for what the wishes from above need of the descriptor. */
static void
sock_arm(struct sock *s)
{
	short	want = 0;

	if (s->want_read || !s->is_open)
		want |= s->read_needs;
	if (s->want_write && s->is_open)
		want |= s->write_needs;
	if (want == s->armed)
		return;
	if (s->armed != 0)
		(void)event_del(&s->ev);
	s->armed = want;
	if (want == 0)
		return;
	(void)event_assign(&s->ev, s->base, s->fd, (short)(want | EV_PERSIST),
	    sock_on_event, s);
	(void)event_add(&s->ev, NULL);
}

void
sock_wants(struct sock *s, bool read, bool write)
{
	s->want_read = read;
	s->want_write = write;
	sock_arm(s);
}

/* An operation of OpenSSL did not succeed: as our functions return it. */
static ssize_t
tls_failed(struct sock *s, int r, short *needs)
{
	switch (SSL_get_error(s->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		*needs = EV_READ;
		return SOCK_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		*needs = EV_WRITE;
		return SOCK_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		ERR_clear_error();
		return -1;
	}
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	handshakes = 0;
}

/* Whether this turn has time for a step of a handshake; if not, the descriptor
 * is still ready in the next. */
static bool
handshake_may(const struct sock *s)
{
	if (turn_event == NULL)
		turn_event = clock_new(s->base, on_turn, NULL);
	if (handshakes == 0)
		clock_start(turn_event, 0);
	return handshakes++ < HANDSHAKES_MAX;
}

int
sock_handshake(struct sock *s)
{
	ssize_t	r;

	if (s->is_open)
		return 0;
	if (s->ssl == NULL)
		return -1;		/* no memory for it */
	if (!handshake_may(s))
		return SOCK_AGAIN;
	ERR_clear_error();
	r = SSL_do_handshake(s->ssl);
	if (r == 1) {
		s->is_open = true;
		s->read_needs = EV_READ;
		sock_arm(s);
		return 0;
	}
	r = tls_failed(s, (int)r, &s->read_needs);
	if (r == SOCK_AGAIN) {
		sock_arm(s);
		return SOCK_AGAIN;
	}
	return -1;
}

static ssize_t
plain_read(struct sock *s, void *p, size_t len)
{
	ssize_t	n = recv(s->fd, p, len, 0);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return SOCK_AGAIN;
	return n;
}

/* Whole records only, so that none waits inside OpenSSL where no event tells
 * of it. */
static ssize_t
tls_read(struct sock *s, char *p, size_t len)
{
	size_t	got = 0;
	int	r = 1;

	ERR_clear_error();
	while (r > 0 && len - got >= RECORD_MAX) {
		r = SSL_read(s->ssl, p + got, (int)(len - got));
		if (r > 0)
			got += (size_t)r;
	}
	s->read_needs = EV_READ;
	if (r <= 0 && got == 0)
		return tls_failed(s, r, &s->read_needs);
	return (ssize_t)got;
}

ssize_t
sock_read(struct sock *s, void *p, size_t len)
{
	return s->ssl == NULL ? plain_read(s, p, len) : tls_read(s, p, len);
}

static ssize_t
plain_writev(struct sock *s, const struct iovec *iov, int n)
{
	struct msghdr	mh;
	ssize_t		w;

	memset(&mh, 0, sizeof(mh));
	mh.msg_iov = (struct iovec *)(uintptr_t)iov;
	mh.msg_iovlen = (size_t)n;
	w = n == 1 ? send(s->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL) :
	    sendmsg(s->fd, &mh, MSG_NOSIGNAL);
	if (w == -1 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
		return SOCK_AGAIN;
	return w;
}

/* The beginning of what there is, as one record. */
static ssize_t
tls_writev(struct sock *s, const struct iovec *iov, int n)
{
	size_t	len = 0, part;
	int	i, r;

	for (i = 0; i < n && len < RECORD_MAX; i++) {
		part = iov[i].iov_len;
		if (part > RECORD_MAX - len)
			part = RECORD_MAX - len;
		memcpy(record + len, iov[i].iov_base, part);
		len += part;
	}
	ERR_clear_error();
	r = SSL_write(s->ssl, record, (int)len);
	s->write_needs = EV_WRITE;
	if (r > 0)
		return r;
	return tls_failed(s, r, &s->write_needs) == SOCK_AGAIN ? SOCK_AGAIN :
	    -1;
}

ssize_t
sock_writev(struct sock *s, const struct iovec *iov, int n)
{
	return s->ssl == NULL ? plain_writev(s, iov, n) :
	    tls_writev(s, iov, n);
}

void
sock_shutdown(struct sock *s)
{
	if (s->ssl != NULL && s->is_open)
		(void)SSL_shutdown(s->ssl);
	(void)shutdown(s->fd, SHUT_WR);
}

void
sock_free(struct sock *s)
{
	if (s->armed != 0)
		(void)event_del(&s->ev);
	SSL_free(s->ssl);
	close(s->fd);
	free(s);
}

void
sock_exit(void)
{
	if (turn_event != NULL)
		event_free(turn_event);
	turn_event = NULL;
}
