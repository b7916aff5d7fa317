/* SPDX-License-Identifier: ISC */
#ifndef LISTENER_H
#define LISTENER_H

#include <sys/socket.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Listening sockets.  All of them pause together for a second when the process
 * runs out of descriptors, which is logged once.
 */

struct event_base;
struct sock;
struct tls;

/* A connection came; the callback owns it.  peer is valid only in there. */
typedef void	 listener_accept(struct sock *s, const struct sockaddr *peer);
/* How many descriptors connections have at present. */
typedef size_t	 listener_count(void);

/*
 * Prepare the module.  Connections are accepted as long as count says fewer
 * than max: the rest of the descriptors is for the process itself.
 */
void	 listener_init(struct event_base *base, listener_count *count,
	    size_t max);

/*
 * Take an address, as addr_parse does, without listening there yet; with
 * reuse_port together with other processes of the same user, over which the
 * kernel then spreads connections.  accept gets them, under TLS if tls, which
 * outlives the module, is not NULL.  Returns 0, or -1 with
 * errno set.
 */
int	 listener_add(const char *address, bool reuse_port,
	    const struct tls *tls, listener_accept *accept) __attribute__((warn_unused_result));

/* Listen wherever we do not yet.  Returns 0, or -1 with errno set. */
int	 listener_open(void) __attribute__((warn_unused_result));
/* Accept what waits, then listen no more where accept is this function; the
 * addresses stay ours. */
void	 listener_close(listener_accept *accept);

/* Let go of the addresses where accept is this function; NULL: of all. */
void	 listener_stop(listener_accept *accept);

#endif
