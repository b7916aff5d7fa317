/* SPDX-License-Identifier: ISC */
#ifndef FRAME_H
#define FRAME_H

#include <stddef.h>
#include <stdint.h>

/*
 * Bytes ready for the wire.  A frame is written once by whoever makes it and
 * never changed after it has been shared; every holder has a reference.
 */

struct frame {
	size_t		 len;		/* bytes */
	unsigned int	 refs;
	uint8_t		 data[];
};

/* A frame of len bytes still to be written, with one reference. */
struct frame	*frame_new(size_t len);
struct frame	*frame_ref(struct frame *f);
/* One frame with the bytes of n others, one behind the other. */
struct frame	*frame_join(struct frame *const *frames, size_t n);
/* Drop a reference; the last one frees.  NULL is allowed. */
void		 frame_unref(struct frame *f);

#endif
