/* SPDX-License-Identifier: ISC */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * The settings: one table in config.c gives each its name, kind, default and
 * range.  pgpushd.conf(5) describes them.
 */

struct config {
	/* network */
	char		*listen;		/* "address:port, address:port" */
	char		*tls_listen;		/* as listen; empty: none */
	char		*tls_certificate_file;
	char		*tls_key_file;
	char		*tls_ticket_secret_file;
	int64_t		 reuse_port;		/* 0 or 1 */
	char		*origins;		/* list, empty: any */
	int64_t		 max_connections;
	int64_t		 max_per_user;		/* connections, 0: any */
	int64_t		 max_per_address;	/* the same */
	int64_t		 max_unauthenticated;	/* connections */
	int64_t		 max_message;		/* bytes, one message in */
	int64_t		 output_high;		/* bytes, queued out */
	int64_t		 stall_timeout_ms;
	int64_t		 auth_timeout_ms;
	int64_t		 ping_interval_ms;
	int64_t		 drain_timeout_ms;
	int64_t		 shutdown_delay_ms;
	char		*status_listen;		/* as listen; empty: none */
	int64_t		 max_rooms;		/* of one session */
	int64_t		 message_rate;		/* of one user, a second */
	int64_t		 max_pending;		/* bytes, of one session */
	int64_t		 max_pending_user;	/* bytes, of one user */
	/* database */
	char		*database;		/* libpq conninfo */
	char		*follow_dsn;		/* of a replica; empty: none */
	char		*sql_dir;
	char		*node;			/* empty: host:pid */
	int64_t		 reconnect_min_ms;
	int64_t		 reconnect_max_ms;
	/* tokens */
	char		*jwt_secret;
	int64_t		 jwt_short_secret;	/* 0 or 1 */
	char		*jwt_secret_file;
	char		*jwt_public_key_file;
	char		*jwt_jwks_file;
	char		*jwt_algorithms;
	char		*jwt_user_claim;
	char		*jwt_cookie;
	char		*jwt_issuer;
	char		*jwt_audience;
	int64_t		 jwt_leeway_ms;
	/* events */
	int64_t		 max_event;		/* bytes of data */
	int64_t		 ring_events;
	int64_t		 ring_bytes;
	int64_t		 heartbeat_ms;
	int64_t		 move_interval_ms;
	int64_t		 move_interval_min_ms;
	int64_t		 move_limit;		/* rows */
	int64_t		 move_bytes;
	int64_t		 arm_below;		/* events a second */
	int64_t		 poll_bells;
	int64_t		 poll_window_ms;
	int64_t		 catchup_limit;		/* rows */
	int64_t		 catchup_concurrent;	/* queries */
	int64_t		 retain_ms;
	char		*notify_events;		/* list, empty: any */
	/* handlers and presence */
	int64_t		 handler_connections;
	int64_t		 handler_timeout_ms;
	int64_t		 handler_slow_ms;
	int64_t		 handler_interval_ms;
	int64_t		 handler_queue;		/* calls waiting */
	int64_t		 rule_connections;
	int64_t		 rule_timeout_ms;
	int64_t		 lock_timeout_ms;
	int64_t		 presence_grace_ms;
	/* Socket.IO */
	char		*socketio_path;
	char		*socketio_namespaces;	/* list, beside "/" */
	int64_t		 socketio_ping_interval_ms;
	int64_t		 socketio_ping_timeout_ms;
	int64_t		 socketio_connect_timeout_ms;
	int64_t		 socketio_upgrade_timeout_ms;
	int64_t		 recovery_window_ms;	/* 0: none */
	int64_t		 recovery_max;		/* events */
	/* log */
	int64_t		 log_level;		/* enum log_level */
	int64_t		 log_rate;		/* of a kind, a second */
};

/*
 * Defaults, then the file (NULL: none), then the environment (PGPUSH_<KEY>).
 * Returns NULL with err = "file:line: key: found …, allowed: …", or
 * "environment: PGPUSH_<KEY>: …".
 */
struct config *
	 config_load(const char *file, char *err, size_t errlen);
void	 config_free(struct config *);

/*
 * Take over from a configuration just loaded what can change while the daemon
 * runs; fresh gets the old values.  Returns the keys of the other settings that
 * differ, separated by blanks; the caller frees.
 */
char	*config_take(struct config *live, struct config *fresh);
bool	 config_is_reloadable(size_t i);

/* The i-th key, or NULL after the last.  For the test that the manual and the
 * sample name every key, and for printing. */
const char *config_key(size_t i);
/* Its value as it would stand in the file; the caller frees.  A secret that
 * has been set comes as "(not shown)". */
char	*config_value(const struct config *, size_t i);
/* Every setting that is not at its default, as " key=value key=value" for the
 * log; the caller frees. */
char	*config_summary(const struct config *);

/*
 * How to name a setting in a complaint: "file:line: key", "environment:
 * PGPUSH_KEY", or only the key if it is at its default.
 */
void	 config_where(const struct config *, const char *key, char *out,
	    size_t size);
/* All settings in force, as a file of settings; secrets are not shown. */
void	 config_print(const struct config *, FILE *);

/*
 * Walk a list value ("a, b c"): copies the next item into out[size] and
 * returns true, or false at the end.  *pos starts as the list.  An item that
 * does not fit is cut.
 */
bool	 config_list_next(const char **pos, char *out, size_t size);
bool	 config_list_has(const char *list, const char *item);

#endif
