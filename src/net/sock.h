/* SPDX-License-Identifier: ISC */
#ifndef SOCK_H
#define SOCK_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * One byte stream.  Plain TCP today; whoever adds TLS changes this file and
 * nobody above notices.
 */

#define SOCK_AGAIN	(-2)		/* would block: ask the loop */
#define SOCK_NAME_MAX	64		/* "[address]:port" and its NUL */

struct sock {
	int		 fd;
};

/*
 * Listen on an address, non-blocking, close-on-exec; with reuse_port together
 * with others of the same user who say so too: the kernel spreads connections
 * over them.  Returns the descriptor, or -1 with errno set.
 */
int	 sock_listen(const struct sockaddr *sa, socklen_t len, bool reuse_port)
    __attribute__((warn_unused_result));

/*
 * Accept one connection from a listening descriptor: non-blocking, no Nagle,
 * peer's address in *ss.  Returns 0, or -1 with errno set.
 */
int	 sock_accept(struct sock *s, int listener, struct sockaddr_storage *ss)
    __attribute__((warn_unused_result));

/* Bytes read, 0 at the end of the stream, -1 if it is broken, SOCK_AGAIN. */
ssize_t	 sock_read(struct sock *s, void *p, size_t len);

/* Bytes written (perhaps fewer than given), -1 or SOCK_AGAIN. */
ssize_t	 sock_writev(struct sock *s, const struct iovec *iov, int n);

/* Say that no more will be written; the peer's rest can still be read. */
void	 sock_shutdown(struct sock *s);
void	 sock_close(struct sock *s);

/*
 * Read "127.0.0.1:80" or "[::1]:80": numbers only, and a port that is not 0.
 * Returns 0, or -1 if it is anything else.
 */
int	 sock_parse(const char *text, struct sockaddr_storage *ss,
	    socklen_t *len) __attribute__((warn_unused_result));

/* The address as "127.0.0.1:80", "[::1]:80" or "unix" into out. */
void	 sock_name(const struct sockaddr *sa, char out[SOCK_NAME_MAX]);

#endif
