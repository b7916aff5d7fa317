/* SPDX-License-Identifier: ISC */

/*
 * Frames and the queue of a connection: what was queued comes out in order,
 * however few bytes are taken at a time, with headers and without.
 */

#include "net/frame.h"
#include "net/outq.h"
#include "net/ws.h"
#include "tap.h"

#define FRAMES	40

/* Move n bytes at most from the queue to out; returns how many. */
static size_t
take(struct outq *q, char *out, size_t n)
{
	struct iovec	iov[3];
	size_t		got = 0, len;
	int		i, k = outq_iov(q, iov, 3);

	for (i = 0; i < k && got < n; i++) {
		len = iov[i].iov_len < n - got ? iov[i].iov_len : n - got;
		memcpy(out + got, iov[i].iov_base, len);
		got += len;
	}
	outq_written(q, got);
	return got;
}

static void
test_order(bool bare, size_t piece)
{
	struct outq	 q = { 0 };
	struct frame	*f;
	char		 want[8192], got[8192], text[200];
	size_t		 len = 0, at = 0, n, wire;
	const uint8_t	*p;
	int		 i;

	outq_init(&q);
	q.bare = bare;
	for (i = 0; i < FRAMES; i++) {
		memset(text, 'a' + i % 26, sizeof(text));
		f = frame_text(text, (size_t)(i * 5));
		p = frame_wire(f, !bare, &wire);
		memcpy(want + len, p, wire);
		len += wire;
		outq_add(&q, f);
		frame_unref(f);
		if (i % 3 == 0)
			at += take(&q, got + at, piece);
	}
	ok(q.bytes == len - at, "the bytes that wait are counted");
	while ((n = take(&q, got + at, piece)) > 0)
		at += n;
	ok(at == len && memcmp(want, got, len) == 0 && q.bytes == 0 &&
	    q.n == 0, "%s, %zu bytes at a time", bare ? "without headers" :
	    "with headers", piece);
	outq_clear(&q);
}

static void
test_frames(void)
{
	struct frame	*two[2] = { frame_text("ab", 2),
			    frame_message(WS_BINARY, "c", 1) };
	struct frame	*all = frame_join(two, 2, true),
			*bytes = frame_join(two, 2, false), *list = NULL;
	int		 a, b;

	ok(all->len == 7 && memcmp(all->data, "\x81\x02" "ab\x82\x01" "c", 7)
	    == 0, "joined as WebSocket messages");
	ok(bytes->len == 3 && memcmp(bytes->data, "abc", 3) == 0,
	    "joined as bytes");
	frame_keep(&list, all, &a);
	frame_keep(&list, bytes, &b);
	ok(frame_find(list, &a) == all && frame_find(list, &b) == bytes &&
	    frame_find(list, &list) == NULL, "each maker finds its own");
	frame_drop_list(&list);
	ok(list == NULL, "all are dropped together");
	frame_unref(two[0]);
	frame_unref(two[1]);
}

static void
test_close(void)
{
	char		 reason[200];
	const char	*why;
	uint8_t		 p[WS_CONTROL_MAX];
	size_t		 n;
	unsigned	 code;

	memset(reason, 'r', sizeof(reason));
	reason[sizeof(reason) - 1] = '\0';
	n = ws_close_write(p, 4401, reason);
	ok(n == WS_CONTROL_MAX && ws_close_read(p, n, &code, &why) == 0 &&
	    code == 4401, "a reason is cut to fit");
	ok(ws_close_read(p, 0, &code, &why) == 0 && code == WS_CLOSE_NONE,
	    "a close without a code");
	ok(ws_close_read(p, 1, &code, &why) == -1 &&
	    code == WS_CLOSE_PROTOCOL, "one of one byte");
	ok(ws_close_read((const uint8_t *)"\x03\xe8\xff", 3, &code, &why) ==
	    -1 && code == WS_CLOSE_BAD_DATA, "a reason that is not UTF-8");
	ok(ws_close_read((const uint8_t *)"\x03\xed", 2, &code, &why) == -1,
	    "a code that may not be sent");
}

int
main(void)
{
	size_t	piece;

	for (piece = 1; piece < 300; piece += 37) {
		test_order(false, piece);
		test_order(true, piece);
	}
	test_frames();
	test_close();
	return tap_done();
}
