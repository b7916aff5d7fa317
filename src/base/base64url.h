/* SPDX-License-Identifier: ISC */
#ifndef BASE64URL_H
#define BASE64URL_H

#include <sys/types.h>
#include <stddef.h>

/*
 * Decode s[len] to out, which has room for 3 bytes of every 4.  Returns the
 * size, or -1: a foreign character, padding, or a length that no encoder
 * gives.  RFC 7515 appendix C.
 */
ssize_t	 base64url_decode(unsigned char *out, const char *s, size_t len)
    __attribute__((warn_unused_result));

#endif
