/* SPDX-License-Identifier: ISC */
#ifndef SOCK_H
#define SOCK_H

#include <sys/types.h>
#include <sys/uio.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * One byte stream, plain TCP or TLS, of which nothing above notices.  The layer above says whether it wants to read or to
 * write and is called when it can; which readiness of the descriptor that
 * takes is known only here, since a TLS stream may have to write in order to
 * read.
 */

struct event_base;
struct sock;
struct tls;

#define SOCK_AGAIN	(-2)		/* not now: sock_wants, then again */

/* The stream can be read, or written, or both; or it is broken, which the
 * next read or write tells. */
typedef void	 sock_ready(void *arg, bool readable, bool writable);

/*
 * A stream on an accepted descriptor, which is closed with it; under TLS
 * unless tls is NULL.  It wants
 * nothing until sock_watch.
 */
struct sock	*sock_new(int fd, const struct tls *tls);

/* Name the loop, and the function that hears of readiness, with its arg. */
void	 sock_watch(struct sock *s, struct event_base *base, sock_ready *ready,
	    void *arg);

/* Be called as long as it can be read, and as long as it can be written. */
void	 sock_wants(struct sock *s, bool read, bool write);

/*
 * Go on with the handshake: to be called when ready, until it returns 0.  Then
 * bytes can be read and written.  Returns -1 if it failed, SOCK_AGAIN if it
 * waits for the peer.  A plain stream has none and returns 0 at once.
 */
int	 sock_handshake(struct sock *s) __attribute__((warn_unused_result));

/* Bytes read, 0 at the end of the stream, -1 if it is broken, SOCK_AGAIN. */
ssize_t	 sock_read(struct sock *s, void *p, size_t len);

/*
 * Bytes written, -1 or SOCK_AGAIN.  Fewer than given may be taken: a TLS
 * stream takes what fits into one record.  Bytes that were not taken must be
 * given again, the same ones first; more may follow them.
 */
ssize_t	 sock_writev(struct sock *s, const struct iovec *iov, int n);

/* Say that no more will be written; the peer's rest can still be read. */
void	 sock_shutdown(struct sock *s);
/* Close it and free it. */
void	 sock_free(struct sock *s);
/* After the last. */
void	 sock_exit(void);

#endif
