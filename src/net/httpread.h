/* SPDX-License-Identifier: ISC */
#ifndef HTTPREAD_H
#define HTTPREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/http.h"

/*
 * The bytes of an HTTP client as whole requests, one behind the other: a head,
 * and a body of a known length or in chunks (RFC 9112 section 7.1).  Pure:
 * bytes in, one request out; memory is held only while a request is
 * incomplete, and then until the next step.
 */

enum httpread_state {
	HTTPREAD_HEAD,
	HTTPREAD_LENGTH,	/* a body whose length is known */
	HTTPREAD_SIZE,		/* a chunk's size, in hexadecimal */
	HTTPREAD_SIZE_REST,	/* what else its line says: passed over */
	HTTPREAD_SIZE_LF,
	HTTPREAD_DATA,
	HTTPREAD_DATA_CR,
	HTTPREAD_DATA_LF,
	HTTPREAD_TRAILER,	/* at the beginning of a line */
	HTTPREAD_TRAILER_REST,
	HTTPREAD_TRAILER_LF,
	HTTPREAD_LAST_LF,
	HTTPREAD_DONE,
};

/* All zero at first, and again after httpread_clear.  Only httpread.c touches
 * it. */
struct httpread {
	enum httpread_state state;
	bool		 is_tls;	/* refused because it is no HTTP at all; for
					 * whoever says so */
	uint8_t		*head;		/* owned; what there is of it */
	size_t		 head_len;
	uint8_t		*body;		/* owned; the same */
	size_t		 body_len;
	uint64_t	 left;		/* of the body, or of the chunk */
	unsigned	 digits;	/* of the chunk's size */
	size_t		 extra;		/* bytes of lines passed over */
};

/*
 * Take the next of the n > 0 bytes at p; a body may have max bytes.  Returns 1
 * if a request is whole: req is filled in, and valid until the next call, or
 * until p changes; 0 if all bytes were used and more are needed; or minus the
 * status to refuse it with, after which nothing can be read any more: those of
 * http_request_parse, 413 for a body too long, 400 for bad chunks or a TLS
 * handshake.  *used is how many bytes were used.  *waits: the client asks
 * whether to send its body (Expect: 100-continue).
 */
int	 httpread_step(struct httpread *r, const uint8_t *p, size_t n,
	    size_t max, struct http_request *req, size_t *used, bool *waits);

/* The request that was handed out is not needed any more. */
void	 httpread_release(struct httpread *r);
/* Nothing has come of the next request. */
bool	 httpread_is_idle(const struct httpread *r);
void	 httpread_clear(struct httpread *r);

#endif
