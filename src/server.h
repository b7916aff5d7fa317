/* SPDX-License-Identifier: ISC */
#ifndef SERVER_H
#define SERVER_H

#include <stddef.h>

/*
 * The server: listens, routes requests, and joins the modules together: events
 * from the feed go down to the hub, commands from sessions to the client
 * module.
 */

struct config;
struct event_base;
struct token_keys;

/*
 * Start everything.  cfg and keys outlive it.  Returns 0, or -1 with the
 * reason in err: an address that cannot be had.
 */
int	 server_start(struct event_base *base, const struct config *cfg,
	    const struct token_keys *keys, char *err, size_t errlen);

/*
 * Be unready for shutdown_delay, which a second call cuts short; then stop accepting, send everybody away with close code 1012, a client a
 * millisecond or all in the first half of drain_timeout, and end the loop when
 * all is done or the time has passed.
 */
void	 server_drain(void);

/* Before a configuration is taken over: what of it can still fail.  Returns 0,
 * or -1 with the reason in err. */
int	 server_reload(const struct config *fresh, char *err, size_t errlen)
    __attribute__((warn_unused_result));
/* And afterwards. */
void	 server_reloaded(void);

/* Free what is left, after the loop; returns the status to exit with. */
int	 server_exit(void);

#endif
