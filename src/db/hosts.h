/* SPDX-License-Identifier: ISC */
#ifndef HOSTS_H
#define HOSTS_H

/*
 * The hosts of a connection string, resolved without stopping the loop: libpq
 * itself would.
 */

struct event_base;
struct hosts;

/*
 * All have an address: the list for hostaddr, valid only in the callback.
 * NULL: one has none, which why says.
 */
typedef void	 (*hosts_done)(void *arg, const char *list, const char *why);

/* done is called from here or later, unless it is cancelled. */
struct hosts	*hosts_new(struct event_base *base, hosts_done done,
		    void *arg);
void		 hosts_free(struct hosts *h);

/*
 * Resolve the names in a connection string; of several addresses each attempt
 * takes the next.  Returns 0; 1: there is no name, and done is not called.
 */
int		 hosts_resolve(struct hosts *h, const char *conninfo,
		    unsigned int attempt)
    __attribute__((warn_unused_result));
void		 hosts_cancel(struct hosts *h);

#endif
