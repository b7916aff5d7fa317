/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a client may ask, whatever its dialect: to be let in, to join and leave
 * rooms, to have a handler run.  Rights are asked of the database and void if
 * something changed them on the way.
 */

struct command;
struct config;
struct conn;
struct dialect;
struct event_base;
struct feed;
struct session;
struct token_keys;

/* All outlive the module. */
void	 client_init(struct event_base *base, const struct config *cfg,
	    struct feed *feed, const struct token_keys *keys);
/* End all sessions. */
void	 client_exit(void);

/* A session was made: its clock starts. */
void	 client_open(struct session *s);

/* Whether a command of it waits, or the database is asked something for it. */
bool	 client_is_busy(const struct session *s);

/*
 * A token that came with the request, before any message; since and epoch as
 * in an auth command (-1 and NULL: none); rooms to enter at once, of which
 * none may be forbidden, as a JSON array (NULL: none).
 */
void	 client_token(struct session *s, const char *token, size_t len,
	    int64_t since, const char *epoch, const char *rooms);

/* A command, of which everything is taken over. */
void	 client_command(struct session *s, struct command *cmd);

/* A WebSocket ping of its client, which counts as a message. */
void	 client_pinged(struct session *s);

/*
 * Do one send with the rights of a token, for a client without a session: its
 * user must exist, and be one who may enter the room that the send needs.  The
 * rooms of the answer are passed over.  The command's reply target hears of
 * the reply, or of the close code that stands for none.  c is the connection
 * that brought it, which need not last.
 */
void	 client_once(struct conn *c, const struct dialect *d,
	    const char *token, size_t len, struct command *cmd);

/*
 * Its connection has ended.  The session ends with it, unless its dialect lets
 * it go on without; then it ends when it shows no life for too long.
 */
void	 client_lost(struct session *s);
/* Another connection carries it from now on. */
void	 client_carry(struct session *s, struct conn *c);
/* Output that waited has gone, or some of it. */
void	 client_drained(struct session *s);

/* The session is over. */
void	 client_close(struct session *s);

/* handler_is_loading has ended: sends that wait for it go on. */
void	 client_loaded(void);

/* From the hub; see struct hub_ops. */
void	 client_revoked(const char *room, const char *user);
void	 client_kicked(struct session *s);
void	 client_config(void);

#endif
