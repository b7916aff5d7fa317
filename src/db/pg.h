/* SPDX-License-Identifier: ISC */
#ifndef PG_H
#define PG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A connection to PostgreSQL that never stays down: it comes back by itself,
 * with a doubling, capped and jittered delay.  Statements are sent in pipeline
 * mode with a Sync after each, so each is a transaction of its own and one
 * that fails takes no other with it.  An answer is handed over only after
 * ReadyForQuery, that is, after the commit (PostgreSQL manual, "Pipeline
 * Mode" and "Message Flow").
 */

struct event_base;
struct pg;
struct pg_result;

/* A statement.  Prepared on first use on each connection if it has a name. */
struct pg_stmt {
	const char	*name;		/* NULL: not prepared */
	const char	*sql;
	int		 nparams;	/* at most PG_PARAMS_MAX */
};
#define PG_PARAMS_MAX	8

/*
 * The answer to a statement: called exactly once.  NULL means that the
 * connection was lost, and whether the statement took effect is unknown; a
 * result that is not pg_ok means that it failed (logged) and had no effect.
 * The result is valid only in the callback.
 */
typedef void	 (*pg_done)(void *arg, const struct pg_result *res);

struct pg_ops {
	/* The connection is there; nothing has been sent on it yet. */
	void	(*up)(void *arg);
	/* It is gone; every outstanding statement has been answered.  May be
	 * NULL. */
	void	(*down)(void *arg);
	/* A notification; may be NULL.  pid is the notifying backend's. */
	void	(*notify)(void *arg, const char *channel, const char *payload,
		    int pid);
};

struct pg_settings {
	const char	*name;			/* for the log */
	const char	*conninfo;		/* libpq connection string */
	int64_t		 reconnect_min_ms;
	int64_t		 reconnect_max_ms;
	int64_t		 stall_ms;	/* no answer for so long: reconnect */
};

/* Begin to connect.  settings are copied, its strings outlive it; arg is for
 * ops. */
struct pg	*pg_new(struct event_base *base,
		    const struct pg_settings *settings,
		    const struct pg_ops *ops, void *arg);
/* Close; outstanding statements are answered with NULL. */
void		 pg_free(struct pg *pg);

/*
 * Send a statement; the parameters are text, NULL is SQL's NULL, and are
 * copied.  done may be NULL.  Returns -1, and will not call done, if there is
 * no connection.
 */
int		 pg_send(struct pg *pg, const struct pg_stmt *stmt,
		    const char *const *params, pg_done done, void *arg);

/* A number as a parameter; out is returned. */
#define PG_NUMBER_MAX	24		/* bytes, with its NUL */
const char	*pg_param(char out[PG_NUMBER_MAX], int64_t n);

bool		 pg_is_up(const struct pg *pg);
/* Statements sent and not answered. */
size_t		 pg_outstanding(const struct pg *pg);
/* The server process's id, 0 if there is no connection. */
int		 pg_backend(const struct pg *pg);
/* Give the connection up and make a new one. */
void		 pg_reset(struct pg *pg, const char *why);
/* The same, and of several hosts begin with the next. */
void		 pg_refuse(struct pg *pg, const char *why);
/* If it is down, try again now. */
void		 pg_hurry(struct pg *pg);

/* Results.  A missing value or SQL NULL is NULL, 0 or false. */
bool		 pg_ok(const struct pg_result *res);
/* The SQLSTATE of one that failed, or "". */
const char	*pg_code(const struct pg_result *res);
int		 pg_rows(const struct pg_result *res);
const char	*pg_value(const struct pg_result *res, int row, int column);
int64_t		 pg_number(const struct pg_result *res, int row, int column);
bool		 pg_true(const struct pg_result *res, int row, int column);

/*
 * Run a script, blocking, on a connection of its own: for migrate, not for the
 * daemon.  Returns 0, or -1 with the server's words in err.  If value is not
 * NULL, the first column of the last result's rows goes there, each followed
 * by a newline; the caller frees it.
 */
int		 pg_run(const char *conninfo, const char *sql, char **value,
		    char *err, size_t errlen);
/*
 * Run n scripts in one transaction, blocking.  Returns n, or the index of the
 * one that failed, with the server's words in err: then nothing is changed.
 */
int		 pg_run_together(const char *conninfo, char *const *sql, int n,
		    char *err, size_t errlen);

#endif
