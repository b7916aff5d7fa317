/* SPDX-License-Identifier: ISC */
#ifndef NOTIFY_H
#define NOTIFY_H

/*
 * Tell the service manager how we are: sd_notify(3), without its library.
 */

/* Send assignments, one a line ("READY=1\nSTATUS=…"), to the socket that
 * NOTIFY_SOCKET names.  Without that, or if nobody takes it, nothing happens. */
void	 notify_send(const char *state);

#endif
