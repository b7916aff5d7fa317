/* SPDX-License-Identifier: ISC */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bytes to be sent: the text of an event, or of anything else that is told.  A
 * frame is written once by whoever makes it and never changed after it has
 * been shared; every holder has a reference.
 *
 * The bytes are the same whatever carries them.  A message has a WebSocket
 * header lying ready before its bytes: a WebSocket is sent both, a stream or
 * the body of an answer the bytes alone.
 */

#define FRAME_HEAD_MAX	10		/* bytes, of a WebSocket header */

struct frame {
	size_t		 len;		/* bytes of data */
	const void	*maker;		/* of frame_find */
	struct frame	*next;		/* the same; owned */
	unsigned int	 refs;
	uint8_t		 head_len;	/* the last so many bytes of head */
	uint8_t		 head[FRAME_HEAD_MAX];
	uint8_t		 data[];	/* right behind head */
};

/* Bytes still to be written, len of them, without a header; one reference. */
struct frame	*frame_new(size_t len);
/* A message with that WebSocket opcode (enum ws_opcode); p is copied. */
struct frame	*frame_message(uint8_t opcode, const void *p, size_t len);
/* A text message. */
struct frame	*frame_text(const void *p, size_t len);
/* Bytes without a header: a string, which is freed, and len more from p. */
struct frame	*frame_of_text(char *text, const void *p, size_t len);
struct frame	*frame_ref(struct frame *f);
/* Drop a reference; the last one frees.  NULL is allowed. */
void		 frame_unref(struct frame *f);

/* One frame with the bytes of n others, one behind the other; with their
 * headers, as a WebSocket is sent them, or without. */
struct frame	*frame_join(struct frame *const *frames, size_t n,
		    bool with_heads);

/*
 * A list of what several makers, told apart by a pointer, made of one thing:
 * that of this maker, or NULL.  frame_keep adds one, taking the reference;
 * frame_drop_list drops them all.
 */
struct frame	*frame_find(struct frame *list, const void *maker);
void		 frame_keep(struct frame **list, struct frame *f,
		    const void *maker);
void		 frame_drop_list(struct frame **list);

/* What goes over the wire, with the header or without; the length to *len. */
static inline const uint8_t *
frame_wire(const struct frame *f, bool with_head, size_t *len)
{
	size_t	head = with_head ? f->head_len : 0;

	*len = head + f->len;
	return (const uint8_t *)f + offsetof(struct frame, data) - head;
}

#endif
