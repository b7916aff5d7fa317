/* SPDX-License-Identifier: ISC */

/*
 * Frames: one allocation each, counted by hand.  One thread, so the count
 * needs no lock.
 */

#include <stdlib.h>
#include <string.h>

#include "net/frame.h"
#include "base/xmalloc.h"

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

struct frame *
frame_join(struct frame *const *frames, size_t n)
{
	struct frame	*f;
	size_t		 i, len = 0;

	for (i = 0; i < n; i++)
		len += frames[i]->len;
	f = frame_new(len);
	for (i = 0, len = 0; i < n; len += frames[i++]->len)
		memcpy(f->data + len, frames[i]->data, frames[i]->len);
	return f;
}

void
frame_unref(struct frame *f)
{
	if (f != NULL && --f->refs == 0)
		free(f);
}
