/* SPDX-License-Identifier: ISC */
#ifndef JOIN_H
#define JOIN_H

/*
 * The command that joins a room.
 */

struct request;

/* Its turn has come. */
void	 join_do(struct request *q);

#endif
