/* SPDX-License-Identifier: ISC */

/*
 * Frames: one allocation each, counted by hand.  One thread, so the count
 * needs no lock.
 */

#include <stdlib.h>
#include <string.h>

#include "net/frame.h"
#include "net/ws.h"
#include "base/xmalloc.h"

struct frame *
frame_new(size_t len)
{
	struct frame	*f = xmalloc(offsetof(struct frame, data) + len);

	f->len = len;
	f->maker = NULL;
	f->next = NULL;
	f->refs = 1;
	f->head_len = 0;
	return f;
}

struct frame *
frame_message(uint8_t opcode, const void *p, size_t len)
{
	struct frame	*f = frame_new(len);
	uint8_t		 head[FRAME_HEAD_MAX];

	f->head_len = (uint8_t)ws_header_write(head, opcode, len);
	memcpy(f->head + FRAME_HEAD_MAX - f->head_len, head, f->head_len);
	if (len > 0)
		memcpy(f->data, p, len);
	return f;
}

struct frame *
frame_text(const void *p, size_t len)
{
	return frame_message(WS_TEXT, p, len);
}

struct frame *
frame_of_text(char *text, const void *p, size_t len)
{
	size_t		 n = strlen(text);
	struct frame	*f = frame_new(n + len);

	memcpy(f->data, text, n);
	if (len > 0)
		memcpy(f->data + n, p, len);
	free(text);
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

struct frame *
frame_join(struct frame *const *frames, size_t n, bool with_heads)
{
	struct frame	*f;
	const uint8_t	*p;
	size_t		 i, len, total = 0;

	for (i = 0; i < n; i++) {
		(void)frame_wire(frames[i], with_heads, &len);
		total += len;
	}
	f = frame_new(total);
	for (i = 0, total = 0; i < n; i++, total += len) {
		p = frame_wire(frames[i], with_heads, &len);
		memcpy(f->data + total, p, len);
	}
	return f;
}

struct frame *
frame_find(struct frame *list, const void *maker)
{
	while (list != NULL && list->maker != maker)
		list = list->next;
	return list;
}

void
frame_keep(struct frame **list, struct frame *f, const void *maker)
{
	f->maker = maker;
	f->next = *list;
	*list = f;
}

void
frame_drop_list(struct frame **list)
{
	struct frame	*f;

	while ((f = *list) != NULL) {
		*list = f->next;
		frame_unref(f);
	}
}
