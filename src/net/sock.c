/* SPDX-License-Identifier: ISC */

/*
 * Plain TCP sockets.  EINTR cannot reach us: libevent blocks in its own wait,
 * and everything here is non-blocking.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <event2/util.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/sock.h"

#define BACKLOG		4096

int
sock_listen(const struct sockaddr *sa, socklen_t len, bool reuse_port)
{
	int	fd, on = 1, saved;

	fd = socket(sa->sa_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1)
		goto fail;
	if (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on,
	    sizeof(on)) == -1)
		goto fail;
	if (sa->sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6,
	    IPV6_V6ONLY, &on, sizeof(on)) == -1)
		goto fail;
	/* tcp(7): what is accepted inherits them. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == -1)
		goto fail;
	if (bind(fd, sa, len) == -1 || listen(fd, BACKLOG) == -1)
		goto fail;
	return fd;

fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int
sock_accept(struct sock *s, int listener, struct sockaddr_storage *ss)
{
	socklen_t	len = sizeof(*ss);

	memset(ss, 0, sizeof(*ss));
	s->fd = accept4(listener, (struct sockaddr *)ss, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	return s->fd == -1 ? -1 : 0;
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
sock_close(struct sock *s)
{
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
}

int
sock_parse(const char *text, struct sockaddr_storage *ss, socklen_t *len)
{
	int	n = sizeof(*ss);

	if (evutil_parse_sockaddr_port(text, (struct sockaddr *)ss, &n) == -1)
		return -1;
	*len = (socklen_t)n;
	/* The port is at the same place in both kinds. */
	return ((struct sockaddr_in *)ss)->sin_port == 0 ? -1 : 0;
}

void
sock_name(const struct sockaddr *sa, char out[SOCK_NAME_MAX])
{
	char				 ip[INET6_ADDRSTRLEN] = "?";
	const struct sockaddr_in	*in;
	const struct sockaddr_in6	*in6;

	switch (sa->sa_family) {
	case AF_INET:
		in = (const struct sockaddr_in *)(const void *)sa;
		(void)inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
		(void)snprintf(out, SOCK_NAME_MAX, "%s:%u", ip,
		    ntohs(in->sin_port));
		break;
	case AF_INET6:
		in6 = (const struct sockaddr_in6 *)(const void *)sa;
		(void)inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
		(void)snprintf(out, SOCK_NAME_MAX, "[%s]:%u", ip,
		    ntohs(in6->sin6_port));
		break;
	default:
		(void)snprintf(out, SOCK_NAME_MAX, "unix");
		break;
	}
}
