/* SPDX-License-Identifier: ISC */
#ifndef PROTO_H
#define PROTO_H

#include <stddef.h>
#include <stdint.h>

#include "push/session.h"

/*
 * The native dialect, pgpush-protocol(7): JSON text frames to commands, and
 * what a session is told to frames.  Also the JSON that the database speaks:
 * payloads of the channel, and answers of handlers.
 */

enum command_type {
	COMMAND_AUTH,
	COMMAND_JOIN,
	COMMAND_LEAVE,
	COMMAND_SEND,
	COMMAND_PING,
	COMMAND_BAD,		/* an object, but not one of these */
};

/* What a client asks.  Strings are owned and NULL if absent. */
struct command {
	enum command_type type;
	char		*ref;		/* JSON text, "null" if none */
	char		*token;
	char		*room;
	char		*event;
	char		*data;		/* JSON text, "null" if none */
	char		*key;
	char		*epoch;
	char		*session;	/* of a POST */
	char		*rooms;		/* of a stream: a JSON array */
	int64_t		 since;		/* -1: none */
	const char	*wrong;		/* what is bad about a COMMAND_BAD */
};

/*
 * Parse one message; fallback is the type of one that gives none (NULL: that
 * is bad).  Returns 0, also for COMMAND_BAD; or -1 if it is not JSON, or not
 * an object.  Free with command_free in either case.
 */
int	 proto_parse(struct command *cmd, const char *p, size_t len,
	    const char *fallback) __attribute__((warn_unused_result));
void	 command_free(struct command *cmd);

/*
 * Fill a room template such as order:{orderId} from the command's data into
 * out[size].  Returns -1 if a value is not a string or an integer, or empty,
 * or has a colon, or if what comes out is no room's name.
 */
int	 command_expand(const struct command *cmd, const char *template,
	    char *out, size_t size) __attribute__((warn_unused_result));

/* The dialect: frames of WebSocket text messages. */
extern const struct dialect proto_dialect;

/* An ephemeral event from the channel. */
struct signal {
	char		**rooms;	/* owned, and each of them */
	size_t		 nrooms;
	char		*event;
	char		*data;		/* JSON text */
	char		*origin;	/* a session's id, or NULL */
};

/* Parse a payload.  Returns -1 if it is not a signal. */
int	 signal_parse(struct signal *sig, const char *payload)
    __attribute__((warn_unused_result));
void	 signal_free(struct signal *sig);

struct emit {
	char		*event;
	char		*data;		/* JSON text */
};

/* What a handler answered; see pgpush.on in pgpush(7). */
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

/* Parse an answer.  Returns -1 if it is not of that form. */
int	 answer_parse(struct answer *a, const char *json)
    __attribute__((warn_unused_result));
void	 answer_free(struct answer *a);

/*
 * Append to a growing string of JSON: the text as it is, or a string in quotes
 * with what must be escaped escaped.  len is kept; the caller frees buf.
 */
struct text {
	char		*buf;
	size_t		 len;
	size_t		 cap;
};

void	 text_add(struct text *t, const char *s);
void	 text_add_string(struct text *t, const char *s);
void	 text_add_number(struct text *t, int64_t n);

#endif
