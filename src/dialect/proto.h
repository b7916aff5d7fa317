/* SPDX-License-Identifier: ISC */
#ifndef PROTO_H
#define PROTO_H

#include <stddef.h>

#include "push/session.h"

/*
 * The native dialect, pgpush-protocol(7): JSON text frames to commands, and
 * what a session is told to frames.
 */

struct command;

/*
 * Parse one message; fallback is the type of one that gives none (NULL: that
 * is bad).  Returns 0, also for COMMAND_BAD; or -1 if it is not JSON, or not
 * an object.  Free with command_free in either case.
 */
int	 proto_parse(struct command *cmd, const char *p, size_t len,
	    const char *fallback) __attribute__((warn_unused_result));

/* The dialect: frames of WebSocket text messages. */
extern const struct dialect proto_dialect;

#endif
