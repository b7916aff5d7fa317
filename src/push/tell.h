/* SPDX-License-Identifier: ISC */
#ifndef TELL_H
#define TELL_H

#include <stdint.h>

/*
 * What a command is answered, in the session's dialect.
 */

struct command;
struct session;

/* The words of code and message go to the client as they are; cmd is NULL if
 * nothing was asked. */
void	 tell_error(struct session *s, struct command *cmd,
	    const char *code, const char *message);
/* cmd is NULL if a handler put the session into the room. */
void	 tell_joined(struct session *s, struct command *cmd,
	    const char *room, int64_t id);
void	 tell_left(struct session *s, struct command *cmd);
/* data is JSON text. */
void	 tell_sent(struct session *s, struct command *cmd,
	    const char *data);
void	 tell_ping(struct session *s, struct command *cmd, int64_t id);
void	 tell_auth(struct session *s, struct command *cmd,
	    int64_t exp);

#endif
