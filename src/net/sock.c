/* SPDX-License-Identifier: ISC */

/*
 * Plain TCP sockets.  EINTR cannot reach us: libevent blocks in its own wait,
 * and everything here is non-blocking.
 */

#include <sys/socket.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/sock.h"
#include "base/xmalloc.h"

struct sock {
	int			 fd;
	short			 armed;		/* what the loop was asked */
	sock_ready		*ready;
	void			*arg;		/* outlives us */
	struct event_base	*base;		/* outlives us */
	struct event		 ev;
};

struct sock *
sock_new(int fd)
{
	struct sock	*s = xcalloc(1, sizeof(*s));

	s->fd = fd;
	return s;
}

static void
sock_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct sock	*s = arg;

	(void)fd;
	s->ready(s->arg, (what & EV_READ) != 0, (what & EV_WRITE) != 0);
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

void
sock_wants(struct sock *s, bool read, bool write)
{
	short	want;

	want = (short)((read ? EV_READ : 0) | (write ? EV_WRITE : 0));
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

int
sock_handshake(struct sock *s)
{
	(void)s;
	return 0;
}

ssize_t
sock_read(struct sock *s, void *p, size_t len)
{
	ssize_t	n = recv(s->fd, p, len, 0);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return SOCK_AGAIN;
	return n;
}

ssize_t
sock_writev(struct sock *s, const struct iovec *iov, int n)
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

void
sock_shutdown(struct sock *s)
{
	(void)shutdown(s->fd, SHUT_WR);
}

void
sock_free(struct sock *s)
{
	if (s->armed != 0)
		(void)event_del(&s->ev);
	close(s->fd);
	free(s);
}
