/* SPDX-License-Identifier: ISC */
#ifndef PROTO_H
#define PROTO_H

#include <stddef.h>

#include "push/session.h"

/*
 * The native dialect, pgpush-protocol(7): JSON objects to commands, and what
 * a session is told to JSON objects.
 */

struct command;

/* The numbers in data may have at most max_message bytes, written out. */
void	 proto_init(size_t max_message);

/*
 * Parse one message; fallback is the type of one that gives none (NULL: that
 * is bad).  If session is not NULL, the member of that name is put there, which
 * the caller frees.  Returns 0, also for COMMAND_BAD; or -1 if it is not JSON,
 * or not an object.  Free with command_free in either case.
 */
int	 proto_parse(struct command *cmd, const char *p, size_t len,
	    const char *fallback, char **session)
	    __attribute__((warn_unused_result));

/* The dialect: JSON objects, one a message. */
extern const struct dialect proto_dialect;

#endif
