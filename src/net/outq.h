/* SPDX-License-Identifier: ISC */
#ifndef OUTQ_H
#define OUTQ_H

#include <sys/uio.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The frames that wait to be written on one connection, by reference.  A few
 * of them need no memory beyond the struct itself, which is public so that a
 * connection can embed it; only outq.c touches
 * its fields, but for bytes, n and bare, which is set before the first frame.
 */

struct frame;

#define OUTQ_FEW	2		/* frames queued without memory */

struct outq {
	struct frame	**frames;	/* few, or owned */
	uint32_t	  first;	/* where it begins */
	uint32_t	  n;		/* frames waiting */
	uint32_t	  cap;
	size_t		  off;		/* written of the first frame */
	size_t		  bytes;	/* waiting */
	bool		  bare;		/* frames go without their headers */
	struct frame	 *few[OUTQ_FEW];
};

void	 outq_init(struct outq *q);
/* Drop what waits. */
void	 outq_clear(struct outq *q);
/* Append; takes a reference of its own. */
void	 outq_add(struct outq *q, struct frame *f);
/* The bytes that are first, in at most max pieces; returns how many. */
int	 outq_iov(const struct outq *q, struct iovec *iov, int max);
/* The first n bytes have been written: forget them. */
void	 outq_written(struct outq *q, size_t n);

#endif
