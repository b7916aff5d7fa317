/* SPDX-License-Identifier: ISC */
#ifndef SIGNAL_H
#define SIGNAL_H

#include <stddef.h>

/*
 * An ephemeral event, as a payload of the channel pgpush gives it:
 * {"room":...,"event":...,"data":...}, or "rooms" with an array.
 */

struct signal {
	char		**rooms;	/* owned, and each of them */
	size_t		 nrooms;
	char		*event;		/* owned */
	char		*data;		/* owned; JSON text */
	char		*origin;	/* owned; a session's id, or NULL */
};

/* Parse a payload.  Returns -1 if it is not a signal.  Free with signal_free
 * in either case. */
int	 signal_parse(struct signal *sig, const char *payload)
	    __attribute__((warn_unused_result));
void	 signal_free(struct signal *sig);

#endif
