/* SPDX-License-Identifier: ISC */
#ifndef SEND_H
#define SEND_H

#include <stdbool.h>

/*
 * The command that sends an event to its handler.
 */

struct request;

/* Its turn has come. */
void	 send_do(struct request *q);
/* It goes to a handler of the batch. */
bool	 send_is_batch(const struct request *q);
/* It waits no longer for the handlers to be loaded. */
void	 send_unhold(struct request *q);
/* handler_is_loading has ended: sends that wait for it go on. */
void	 send_loaded(void);

#endif
