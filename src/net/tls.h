/* SPDX-License-Identifier: ISC */
#ifndef TLS_H
#define TLS_H

#include <stddef.h>

/*
 * What a TLS server is: its certificate and key, and the keys of its session
 * tickets.  TLS 1.2 and 1.3, ALPN http/1.1.
 */

struct ssl_st;
struct tls;

struct tls_files {
	const char	*certificate;	/* PEM, the chain after it */
	const char	*key;		/* PEM */
	const char	*tickets;	/* a secret for tickets; "": one of our own
					 * until the end */
};

/* Without a certificate yet. */
struct tls	*tls_new(void);
/* Read the files, the first time or again.  Returns -1 with the reason in err,
 * and all stays as it was; streams that there are go on in any case. */
int		 tls_load(struct tls *t, const struct tls_files *files,
		    char *err, size_t errlen)
		    __attribute__((warn_unused_result));
/* After the last stream. */
void		 tls_free(struct tls *);

/* OpenSSL's side of a stream on this descriptor; NULL: no memory. */
struct ssl_st	*tls_stream(const struct tls *t, int fd);

#endif
