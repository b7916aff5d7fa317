/* SPDX-License-Identifier: ISC */
#ifndef SESSION_H
#define SESSION_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/stats.h"
#include "db/entry.h"

/*
 * A session: its user, the rooms that it hears, and how far it has heard each.
 * It speaks a dialect.  A connection carries it; rooms, rights, positions and
 * its timer belong to the session.  If its dialect says so, a session outlives
 * its connection: it goes on with none, its output waits, and another may
 * carry it later.
 */

struct conn;
struct event_base;
struct frame;
struct member;
struct reply_to;
struct session;

#define SESSION_ID_LEN	22		/* 128 random bits, base64url */

/* What a session is told once it is in. */
struct welcome {
	const char	*session;
	const char	*user;
	char *const	*rooms;
	size_t		 nrooms;
	int64_t		 id;		/* position that the rooms start at */
	const char	*epoch;
	int64_t		 ping_s;	/* seconds between our pings */
	bool		 resets;	/* it will be told resets */
};

/*
 * A dialect turns what a session is told into text, as a frame of which the
 * caller owns one reference; whatever carries the session sends it as a
 * WebSocket message, as it is, or in the answer to a poll.  NULL means that
 * the dialect has no such text.  An event is made into text once for all
 * sessions of one struct dialect: variants of a dialect (another namespace,
 * say) are structs of their own, with the same functions.
 */
struct dialect {
	enum stat_dialect label;	/* in what is counted */
	bool		 merged;	/* one position for all rooms, which
					 * are served in one order */
	bool		 has_pongs;	/* the client answers pings */
	bool		 outlives;	/* a session lives on without a
					 * connection */
	/* The answer on its connection begins; NULL: there is nothing to do.
	 */
	void		(*begin)(struct session *s);
	/* Close its connection with a close code, or what stands for one. */
	void		(*end)(struct session *s, int code,
			    const char *reason);
	/* All its rooms are complete: called after the welcome, and when a
	 * merged session that was behind has arrived; again is no harm.  May
	 * be NULL. */
	void		(*live)(struct session *s);
	/* Output begins to wait, and nobody carries the session; NULL: it
	 * waits for a carrier. */
	void		(*wake)(struct session *s);
	/* The session ends while nobody carries it; NULL: say nothing. */
	void		(*gone)(struct session *s, int code,
			    const char *reason);
	struct frame	*(*event)(const struct dialect *d,
			    const struct entry *e);
	/* An event for this session alone; data is JSON text. */
	struct frame	*(*emit)(struct session *s, const char *event,
			    const char *data);
	struct frame	*(*welcome)(struct session *s,
			    const struct welcome *w);
	/* The reply to a join: in the room, now or before; complete up to id.
	 */
	struct frame	*(*joined)(struct session *s,
			    const struct reply_to *to, const char *room,
			    int64_t id);
	/* The same without having been asked: by a handler. */
	struct frame	*(*put_in)(struct session *s, const char *room,
			    int64_t id);
	struct frame	*(*left)(struct session *s, const char *room,
			    const char *reason);
	/* Replies; see struct reply_to. */
	struct frame	*(*reply_leave)(struct session *s,
			    const struct reply_to *to, const char *room);
	struct frame	*(*reply_send)(struct session *s,
			    const struct reply_to *to, const char *data);
	struct frame	*(*reply_ping)(struct session *s,
			    const struct reply_to *to, int64_t id);
	struct frame	*(*reply_auth)(struct session *s,
			    const struct reply_to *to, int64_t exp);
	/* The reply is an error; to is NULL if nothing was asked. */
	struct frame	*(*error)(struct session *s,
			    const struct reply_to *to, const char *code,
			    const char *message);
	struct frame	*(*reset)(struct session *s, const char *room,
			    int64_t id, const char *epoch);
	struct frame	*(*at)(struct session *s, int64_t id,
			    const char *epoch);
	struct frame	*(*expiring)(struct session *s, int64_t seconds);
};

LIST_HEAD(session_members, member);
TAILQ_HEAD(session_list, session);

/* All sessions that have been welcomed and have not ended. */
extern struct session_list sessions;

/* The welcomed session of that id, or NULL. */
struct session	*session_find(const char *id);
/* The first of that user's, and the next one. */
struct session	*session_of(const char *user);
struct session	*session_of_next(const struct session *s);

/* What the owner of all sessions hears. */
struct session_ops {
	/* The timer of session_set_timer. */
	void	(*timer)(struct session *s);
	/* It was closed while nobody carried it: end it. */
	void	(*closed)(struct session *s, int code, const char *reason);
};

/* ops outlive the module; high is the bound of output that waits. */
void		 session_init(struct event_base *base, size_t high_bytes,
		    const struct session_ops *ops);

/*
 * A session that a connection carries (NULL: none yet), with one reference:
 * its owner's, until session_end.  The id is made here.  A request that waits
 * for an answer on its behalf holds another.
 */
struct session	*session_new(struct conn *c, const struct dialect *d);
struct session	*session_ref(struct session *s);
void		 session_unref(struct session *s);

/* Take the identity of a verified token; copies. */
void		 session_identify(struct session *s, const char *user,
		    const char *claims, int64_t exp);
/* It goes on under an id that it had before. */
void		 session_restore(struct session *s, const char *id);
/* It has been welcomed: put it on the list. */
void		 session_begin(struct session *s);
/* It is over: off the list, no connection.  Its members must be gone. */
void		 session_end(struct session *s);
bool		 session_has_ended(const struct session *s);

/* Nobody carries it any more: its output waits. */
void		 session_detach(struct session *s);
/* This connection carries it, and is sent first what has waited. */
void		 session_attach(struct session *s, struct conn *c);
/*
 * Output waits, whatever carries the session, until session_release: what is
 * told must not be known before something else has happened.
 */
void		 session_hold(struct session *s);
void		 session_release(struct session *s);
bool		 session_is_held(const struct session *s);
/* How many pieces of output wait. */
size_t		 session_waiting(const struct session *s);
/*
 * The next piece of output that waits, or NULL; the caller owns a reference.
 * For a carrier that is no connection: each poll takes what there is.
 */
struct frame	*session_take(struct session *s);
/* The client has shown that it is there, without a connection. */
void		 session_heard(struct session *s);

/* Call ops->timer once, so many milliseconds from now; replaces the last. */
void		 session_set_timer(struct session *s, int64_t timeout_ms);

const char	*session_id(const struct session *s);
const char	*session_user(const struct session *s);	/* NULL: not yet */
/* Whether it is this user's; "" is every user. */
bool		 session_is_user(const struct session *s, const char *user);
const char	*session_claims(const struct session *s);	/* JSON text */
int64_t		 session_exp(const struct session *s);	/* Unix time */
int64_t		 session_since(const struct session *s);	/* Unix time */
/* For SQL: {"session":…,"claims":…}.  The caller frees. */
char		*session_ctx(const struct session *s)
		    __attribute__((warn_unused_result));
const struct dialect *
		 session_dialect(const struct session *s);
/* NULL if nobody carries it, and after the end. */
struct conn	*session_conn(const struct session *s);
/* Of the connection that it began on, or "". */
const char	*session_address(const struct session *s);
void		 session_set_address(struct session *s, const char *address);
struct session	*session_next(const struct session *s);

/* What layers above keep with it: freed by them before session_end. */
void		*session_data(const struct session *s);
void		 session_set_data(struct session *s, void *data);

/* What the dialect keeps with it, NULL at first. */
void		*session_owner(const struct session *s);
void		 session_set_owner(struct session *s, void *owner);

/* Its read of the log, if it is of a merged dialect: member.c's. */
struct catchup;
struct catchup	*session_catchup(const struct session *s);
void		 session_set_catchup(struct session *s, struct catchup *c);

/* The rooms it is in: the list belongs to room.c. */
struct session_members *
		 session_members(struct session *s);

/*
 * What the database knows of it is out of date: its rooms have changed, say.
 * The hook is called when the first session is marked; session_take_changed
 * gives the marked ones, the oldest mark first, and unmarks each.  A session
 * that is not on the list of all is never marked.
 */
void		 session_changed(struct session *s);
void		 session_on_changed(void (*hook)(void));
struct session	*session_take_changed(void);
/* Whether it has a row in the database; the writer of the rows says so. */
bool		 session_is_stored(const struct session *s);
void		 session_set_stored(struct session *s, bool stored);

/* End it: its connection as its dialect does, or at once if it has none. */
void		 session_close(struct session *s, int code,
		    const char *reason);

/* Send a frame and drop the caller's reference; NULL is allowed. */
void		 session_send(struct session *s, struct frame *f);
/* Send the entry in the session's dialect; is_late as for conn_send. */
void		 session_send_entry(struct session *s, struct entry *e,
		    bool is_late);
/* Send all entries of the run as one piece. */
void		 session_send_run(struct session *s, struct run *run,
		    bool is_late);
/* Too much output is waiting to send more of what can wait. */
bool		 session_is_full(const struct session *s);
/* Milliseconds since the client's last sign of life; see conn_silent_ms. */
int64_t		 session_silent_ms(const struct session *s);

/*
 * Whether the session has been given a row of this happening already; notes
 * it if not, with the id of the row.  Remembered are SESSION_SEEN, those with
 * the largest ids; session_seen_after says how many of them are after id.
 */
#define SESSION_SEEN	2048
bool		 session_seen(struct session *s, const char *dup, int64_t id);
size_t		 session_seen_after(const struct session *s, int64_t id);
/* Forget them: they may come again, in another epoch. */
void		 session_forget_seen(struct session *s);

/* Whether this is the session's first time with this number, which only
 * grows: an ephemeral event for several rooms. */
bool		 session_mark(struct session *s, uint64_t number);

#endif
