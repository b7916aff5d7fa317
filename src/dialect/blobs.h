/* SPDX-License-Identifier: ISC */
#ifndef BLOBS_H
#define BLOBS_H

#include <stddef.h>

/*
 * Binary attachments of Socket.IO packets, as the database sees them.
 */

struct sio_blob;

/*
 * The JSON text with each {"_placeholder":true,"num":N} in it replaced by a
 * string, the N-th of n blobs in base64.  The caller frees; NULL if it is not
 * JSON, or a placeholder has no blob.
 */
char	*blobs_fill(const char *json, size_t len, const struct sio_blob *blobs,
	    unsigned int n) __attribute__((warn_unused_result));

#endif
