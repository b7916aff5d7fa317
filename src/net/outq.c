/* SPDX-License-Identifier: ISC */

/*
 * A ring would split what can be written at once; so the frames lie in one
 * piece, which moves down when its end is reached.
 */

#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "net/frame.h"
#include "net/outq.h"

void
outq_init(struct outq *q)
{
	q->frames = q->few;
	q->cap = OUTQ_FEW;
	q->first = q->n = 0;
	q->off = q->bytes = 0;
}

static size_t
wire_len(const struct outq *q, const struct frame *f)
{
	size_t	len;

	(void)frame_wire(f, !q->bare, &len);
	return len;
}

void
outq_clear(struct outq *q)
{
	uint32_t	i;

	for (i = 0; i < q->n; i++)
		frame_unref(q->frames[q->first + i]);
	if (q->frames != q->few)
		free(q->frames);
	outq_init(q);
}

/* Make room for one more frame at the end. */
static void
outq_grow(struct outq *q)
{
	struct frame	**frames = q->frames;

	if (q->first == 0) {
		q->cap *= 4;
		frames = xmalloc(q->cap * sizeof(struct frame *));
	}
	memmove(frames, q->frames + q->first,
	    q->n * sizeof(struct frame *));
	if (frames != q->frames && q->frames != q->few)
		free(q->frames);
	q->frames = frames;
	q->first = 0;
}

void
outq_add(struct outq *q, struct frame *f)
{
	if (q->first + q->n == q->cap)
		outq_grow(q);
	q->frames[q->first + q->n++] = frame_ref(f);
	q->bytes += wire_len(q, f);
}

int
outq_iov(const struct outq *q, struct iovec *iov, int max)
{
	const uint8_t	*p;
	size_t		 len, skip = q->off;
	int		 n;

	for (n = 0; n < max && (uint32_t)n < q->n; n++) {
		p = frame_wire(q->frames[q->first + (uint32_t)n], !q->bare,
		    &len);
		iov[n].iov_base = (void *)(uintptr_t)(p + skip);
		iov[n].iov_len = len - skip;
		skip = 0;
	}
	return n;
}

void
outq_written(struct outq *q, size_t n)
{
	struct frame	*f;
	size_t		 len;

	q->bytes -= n;
	n += q->off;
	while (q->n > 0) {
		f = q->frames[q->first];
		if ((len = wire_len(q, f)) > n)
			break;
		n -= len;
		frame_unref(f);
		q->first++;
		q->n--;
	}
	q->off = n;
	if (q->n == 0)
		outq_clear(q);
}
