/* SPDX-License-Identifier: ISC */

/*
 * Frames: one allocation each, counted by hand.  One thread, so the count
 * needs no lock.
 */

#include <stdlib.h>

#include "frame.h"
#include "xmalloc.h"

struct frame *
frame_new(size_t len)
{
	struct frame	*f = xmalloc(sizeof(*f) + len);

	f->len = len;
	f->refs = 1;
	return f;
}

struct frame *
frame_ref(struct frame *f)
{
	f->refs++;
	return f;
}

void
frame_unref(struct frame *f)
{
	if (f != NULL && --f->refs == 0)
		free(f);
}
