/* SPDX-License-Identifier: ISC */
#ifndef ADMIT_H
#define ADMIT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How many clients there are, and whether one more is admitted.
 */

struct conn;

/* At most max clients, and so many of one address (0: any number). */
void	 admit_init(int64_t max, int64_t per_address);

/* From now on at most so many; those that are there stay. */
void	 admit_set_max(int64_t max, int64_t per_address);
/* Why no new client is admitted on this connection at present, or NULL. */
const char *admit_refusal(const struct conn *c);
/* There are more than there may be. */
bool	 admit_is_over(void);
/* Nobody is from now on: the daemon is draining. */
void	 admit_stop(void);

/* A connection, or a request, got a session; and that session has ended. */
void	 admit_enter(void);
void	 admit_leave(void);
int64_t	 admit_count(void);
/* So many more of them have not shown a token (or less): the limit passes them
 * over. */
void	 admit_nameless(int n);
int64_t	 admit_nameless_count(void);

#endif
