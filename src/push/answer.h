/* SPDX-License-Identifier: ISC */
#ifndef ANSWER_H
#define ANSWER_H

#include <stddef.h>

/*
 * What a handler answered: a JSON object with any of reply, join, leave, emit
 * and error.  See pgpush.on in pgpush(7).
 */

struct emit {
	char		*event;		/* owned */
	char		*data;		/* owned; JSON text */
};

/* All owned. */
struct answer {
	char		*reply;		/* JSON text, "null" if none */
	char		**join;
	size_t		 njoin;
	char		**leave;
	size_t		 nleave;
	struct emit	*emits;
	size_t		 nemits;
	char		*code;		/* of the error, NULL: none */
	char		*message;
};

/* Parse an answer.  Returns -1 if it is not of that form.  Free with
 * answer_free in either case. */
int	 answer_parse(struct answer *a, const char *json)
	    __attribute__((warn_unused_result));
void	 answer_free(struct answer *a);

#endif
