/* SPDX-License-Identifier: ISC */
#ifndef LOGIN_H
#define LOGIN_H

#include <stddef.h>

/*
 * Commands that show a token: the first one, which lets the session in, and
 * later ones, which renew it.
 */

struct command;
struct config;
struct request;
struct session;

/* tick is what the timer of a session does, and to be called when its time
 * has changed; named is called when a session has a user. */
void	 login_init(const struct config *cfg, void (*tick)(struct session *),
	    void (*named)(struct session *));

/* The first token; takes the command's contents.  May end the session. */
void	 login_authenticate(struct session *s, const char *token, size_t len,
	    struct command *cmd);
/* The turn of a command with a later one. */
void	 login_refresh(struct request *q);

#endif
