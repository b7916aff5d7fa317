/* SPDX-License-Identifier: ISC */
#ifndef REFUSAL_H
#define REFUSAL_H

/*
 * What becomes of a session, for the log and the counts: a command that is
 * refused, and a welcome.
 */

struct session;

/* A command was answered by this error code.  The message is not logged: it
 * may be the application's. */
void	 refusal_log(const struct session *s, const char *code);
/* A session is welcome, in so many rooms. */
void	 refusal_welcome(const struct session *s, unsigned int rooms);

#endif
