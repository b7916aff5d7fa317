/* SPDX-License-Identifier: ISC */
#ifndef COMMAND_H
#define COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "push/reply.h"

/*
 * What a client asks, whatever its dialect.  The dialects make commands; the
 * client module does them.
 */

enum command_type {
	COMMAND_AUTH,
	COMMAND_JOIN,
	COMMAND_LEAVE,
	COMMAND_SEND,
	COMMAND_PING,
	COMMAND_BAD,		/* an object, but not one of these */
};

/* Strings are owned and NULL if absent. */
struct command {
	enum command_type type;
	struct reply_to	 to;		/* where the reply goes */
	char		*token;
	char		*room;
	char		*event;
	char		*data;		/* JSON text, "null" if none */
	char		*key;
	char		*epoch;
	char		*rooms;		/* of an auth: a JSON array */
	int64_t		 since;		/* -1: none */
	const char	*wrong;		/* what is bad about a COMMAND_BAD */
};

/*
 * Free its strings and make it all zero, which is free already.  If it was not
 * replied to it never will be: with command_drop because the session was
 * closed with that code.
 */
void	 command_free(struct command *cmd);
void	 command_drop(struct command *cmd, int code, const char *reason);

/* The bytes that it holds. */
size_t	 command_bytes(const struct command *cmd);

/*
 * Fill a room template such as order:{orderId} from the command's data into
 * out[size].  Returns -1 if a value is not a string or an integer, or empty,
 * or has a colon, or if what comes out is no room's name.
 */
int	 command_expand(const struct command *cmd, const char *template,
	    char *out, size_t size) __attribute__((warn_unused_result));

#endif
