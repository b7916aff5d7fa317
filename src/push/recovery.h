/* SPDX-License-Identifier: ISC */
#ifndef RECOVERY_H
#define RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Sockets that may come back: rows of pgpush.sockets, written in batches.
 */

struct config;
struct event_base;
struct pg;
struct recovery_ask;

#define RECOVERY_PID_LEN	22	/* 128 random bits, base64url */

/* What is kept of a socket. */
struct recovery {
	char		 pid[RECOVERY_PID_LEN + 1];
	int64_t		 life;
	const char	*session;
	const char	*user;
	const char	*nsp;
	const char	*rooms;		/* a JSON array */
	const char	*epoch;
	int64_t		 at;
};

/* All outlive the module. */
void	 recovery_init(struct event_base *base, const struct config *cfg,
	    struct pg *query, const char *node);
void	 recovery_exit(void);
/* The connection to the database is there. */
void	 recovery_up(void);

/* Whether new sockets may come back. */
bool	 recovery_is_on(void);
/* Nothing is to be written. */
bool	 recovery_is_idle(void);
/* A new secret. */
void	 recovery_make_pid(char pid[RECOVERY_PID_LEN + 1]);

/*
 * Write a socket as it is.  done is called when it is in the database, or with
 * ok false if it may not be; NULL: nobody waits for it.
 */
void	 recovery_keep(const struct recovery *r,
	    void (*done)(void *arg, bool ok), void *arg);
/* Nobody waits any more with this argument. */
void	 recovery_forget(const void *arg);
/* The socket has ended; for good: it will not come back. */
void	 recovery_end(const char *pid, int64_t life, bool for_good);

/*
 * Take over the socket of that pid, user and namespace.  done is called with
 * it, or with NULL if there is none; what it holds is valid only in there.
 * Returns what recovery_cancel takes; or NULL if there is no database, in
 * which case done is not called.
 */
typedef void	 recovery_found(void *arg, const struct recovery *r);
struct recovery_ask *
	 recovery_take(const char *pid, const char *user, const char *nsp,
	    recovery_found *done, void *arg);
/* done will not be called. */
void	 recovery_cancel(struct recovery_ask *ask);

#endif
