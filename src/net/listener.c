/* SPDX-License-Identifier: ISC */

/*
 * What one turn accepts is bounded, so that a flood of connections does not
 * hold up those that are there.
 */

#include <sys/queue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <event2/event.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "net/listener.h"
#include "net/sock.h"

#define BACKLOG		4096
#define ACCEPT_MAX	64		/* connections accepted in one turn */
#define PAUSE_MS	1000		/* after running out of descriptors */

struct listener {
	LIST_ENTRY(listener)	 entry;
	struct event		*ev;
	listener_accept		*accept;
	const struct tls	*tls;		/* outlives us; NULL: plain */
	int			 fd;
	bool			 is_open;	/* listens */
	char			 name[ADDR_MAX];
};

static struct event_base	*loop;
static listener_count		*count_sockets;
static size_t			 max_sockets;
static struct event		*pause_timer;
static LIST_HEAD(, listener)	 listeners = LIST_HEAD_INITIALIZER(listeners);
static bool			 out_of_fds;

static void
pause_accepting(const char *why)
{
	struct listener	*l;

	if (!out_of_fds)
		log_warn("msg=\"cannot accept\" why=%s",
		    log_quote(why, strlen(why)));
	out_of_fds = true;
	LIST_FOREACH(l, &listeners, entry)
		(void)event_del(l->ev);
	clock_start(pause_timer, PAUSE_MS);
}

static void
on_pause_timer(evutil_socket_t fd, short what, void *arg)
{
	struct listener	*l;

	(void)fd;
	(void)what;
	(void)arg;
	LIST_FOREACH(l, &listeners, entry)
		if (l->is_open)
			(void)event_add(l->ev, NULL);
}

/* Accept one connection.  Returns 0, or -1 if there is none, or there are no
 * descriptors. */
static int
accept_one(struct listener *l)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len = sizeof(ss);
	int			 fd;

	if (count_sockets() >= max_sockets) {
		pause_accepting("descriptors are kept for the database");
		return -1;
	}
	memset(&ss, 0, sizeof(ss));
	fd = accept4(l->fd, (struct sockaddr *)&ss, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd != -1) {
		out_of_fds = false;
		l->accept(sock_new(fd, l->tls), (struct sockaddr *)&ss);
		return 0;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
	    errno == ENOMEM)
		pause_accepting(strerror(errno));
	return errno == ECONNABORTED || errno == EINTR ? 0 : -1;
}

static void
on_accept(evutil_socket_t listening, short what, void *arg)
{
	int	i;

	(void)listening;
	(void)what;
	for (i = 0; i < ACCEPT_MAX && accept_one(arg) == 0; i++)
		;
}

/* Returns the descriptor, or -1 with errno set. */
static int
address_take(const struct sockaddr *sa, socklen_t len, bool reuse_port)
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
	if (bind(fd, sa, len) == -1)
		goto fail;
	return fd;

fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

void
listener_init(struct event_base *base, listener_count *count, size_t max)
{
	loop = base;
	count_sockets = count;
	max_sockets = max;
	pause_timer = clock_new(base, on_pause_timer, NULL);
}

int
listener_add(const char *address, bool reuse_port, const struct tls *tls,
    listener_accept *accept)
{
	struct sockaddr_storage	 ss;
	struct listener		*l;
	socklen_t		 len;
	int			 fd;

	if (addr_parse(address, &ss, &len) == -1) {
		errno = EINVAL;
		return -1;
	}
	fd = address_take((struct sockaddr *)&ss, len, reuse_port);
	if (fd == -1)
		return -1;
	l = xcalloc(1, sizeof(*l));
	l->fd = fd;
	l->accept = accept;
	l->tls = tls;
	l->ev = event_new(loop, fd, EV_READ | EV_PERSIST, on_accept, l);
	if (l->ev == NULL)
		fatal("msg=\"cannot watch a listening socket\"");
	LIST_INSERT_HEAD(&listeners, l, entry);
	addr_name((struct sockaddr *)&ss, l->name);
	return 0;
}

int
listener_open(void)
{
	struct listener	*l;

	LIST_FOREACH(l, &listeners, entry) {
		if (l->is_open)
			continue;
		if (listen(l->fd, BACKLOG) == -1)
			return -1;
		if (event_add(l->ev, NULL) == -1)
			fatal("msg=\"cannot watch a listening socket\"");
		l->is_open = true;
		log_info("msg=listening address=%s%s", l->name,
		    l->tls == NULL ? "" : " tls=yes");
	}
	return 0;
}

/* Whoever has connected is served; what comes from here on finds nobody. */
static void
listener_shut(struct listener *l)
{
	if (!l->is_open)
		return;
	while (accept_one(l) == 0)
		;
	(void)event_del(l->ev);
	(void)shutdown(l->fd, SHUT_RD);
	l->is_open = false;
}

void
listener_close(listener_accept *accept)
{
	struct listener	*l;

	LIST_FOREACH(l, &listeners, entry)
		if (l->accept == accept)
			listener_shut(l);
}

void
listener_stop(listener_accept *accept)
{
	struct listener	*l, *next;

	for (l = LIST_FIRST(&listeners); l != NULL; l = next) {
		next = LIST_NEXT(l, entry);
		if (accept != NULL && l->accept != accept)
			continue;
		LIST_REMOVE(l, entry);
		event_free(l->ev);
		close(l->fd);
		free(l);
	}
	if (accept == NULL && pause_timer != NULL) {
		event_free(pause_timer);
		pause_timer = NULL;
	}
}
