/* SPDX-License-Identifier: ISC */
#ifndef ADMIT_H
#define ADMIT_H

#include <stdint.h>

/*
 * How many clients there are, and whether one more is admitted.
 */

/* From now on at most so many; those that are there stay. */
void	 admit_set_max(int64_t max);
/* At most max clients. */
void	 admit_init(int64_t max);

/* Why no new client is admitted at present, or NULL. */
const char *admit_refusal(void);
/* Nobody is from now on: the daemon is draining. */
void	 admit_stop(void);

/* A connection, or a request, got a session; and that session has ended. */
void	 admit_enter(void);
void	 admit_leave(void);
int64_t	 admit_count(void);

#endif
