/* SPDX-License-Identifier: ISC */

/*
 * Sessions.  Reference-counted, because an answer from the database may come
 * after the end of the session that it is for.
 *
 * Output goes to the connection, which has a queue and a bound of its own; or
 * waits here, within the same bound: past it the session is full, so that its
 * members fall behind and the log is their buffer.
 */

#include <sys/queue.h>
#include <event2/event.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "net/conn.h"
#include "net/frame.h"
#include "base/log.h"
#include "push/session.h"
#include "base/stats.h"
#include "base/table.h"
#include "base/xmalloc.h"

#define SEEN_MIN	16		/* happenings remembered */

/* A happening of which the session was given a row. */
struct seen {
	uint64_t	hash;
	int64_t		id;		/* of that row; 0: a free place */
};

/* Output that waits for a carrier. */
struct piece {
	STAILQ_ENTRY(piece)	 entry;
	struct frame		*frame;		/* a reference */
};

struct session {
	TAILQ_ENTRY(session)	 entry;		/* on sessions if listed */
	TAILQ_ENTRY(session)	 by_change;	/* on changes if changed */
	struct link		 by_id;		/* the same */
	struct link		 by_user;
	struct session_members	 members;
	const struct dialect	*dialect;
	struct conn		*conn;		/* NULL: nobody carries it */
	struct event		*timer;		/* owned; NULL until set */
	STAILQ_HEAD(, piece)	 waiting;
	size_t			 waiting_bytes;
	size_t			 nwaiting;
	int64_t			 heard_ms;	/* while nobody carries it */
	char			*address;	/* owned */
	char			*user;		/* owned */
	char			*claims;	/* owned */
	void			*data;		/* the command layer's */
	void			*owner;		/* the dialect's */
	struct catchup		*catchup;	/* member.c's */
	struct seen		*seen;		/* owned; in no order */
	int64_t			 exp;
	int64_t			 since;
	uint64_t		 mark;
	unsigned int		 refs;
	unsigned int		 seen_size;
	bool			 held;
	bool			 listed;
	bool			 ended;
	bool			 full;		/* of output that waits */
	bool			 changed;	/* its row is out of date */
	bool			 stored;	/* it has a row */
	char			 id[SESSION_ID_LEN + 1];
};

struct session_list	sessions = TAILQ_HEAD_INITIALIZER(sessions);
static struct session_list	changes = TAILQ_HEAD_INITIALIZER(changes);
static void		(*on_changed)(void);
static struct table	ids;
static struct table	users;
static struct event_base		*loop;
static const struct session_ops		*ops;
static size_t				 high_bytes;

static void
make_id(char id[SESSION_ID_LEN + 1])
{
	static const char	alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char		random[SESSION_ID_LEN];
	size_t			i;

	if (RAND_bytes(random, sizeof(random)) != 1)
		fatal("msg=\"no random numbers\"");
	for (i = 0; i < SESSION_ID_LEN; i++)
		id[i] = alphabet[random[i] & 63];
	id[SESSION_ID_LEN] = '\0';
}

struct session *
session_new(struct conn *c, const struct dialect *d)
{
	struct session	*s = xcalloc(1, sizeof(*s));
	char		 peer[ADDR_MAX] = "";

	s->refs = 1;
	s->conn = c;
	s->dialect = d;
	LIST_INIT(&s->members);
	STAILQ_INIT(&s->waiting);
	s->since = (int64_t)time(NULL);
	s->heard_ms = clock_ms();
	if (c != NULL)
		conn_peer(c, peer);
	s->address = xstrdup(peer);
	make_id(s->id);
	return s;
}

struct session *
session_ref(struct session *s)
{
	s->refs++;
	return s;
}

void
session_unref(struct session *s)
{
	if (s == NULL || --s->refs > 0)
		return;
	free(s->address);
	free(s->user);
	free(s->claims);
	free(s->seen);
	free(s);
}

void
session_identify(struct session *s, const char *user, const char *claims,
    int64_t exp)
{
	free(s->user);
	free(s->claims);
	s->user = xstrdup(user);
	s->claims = xstrdup(claims);
	s->exp = exp;
}

void
session_restore(struct session *s, const char *id)
{
	if (strlen(id) == SESSION_ID_LEN)
		memcpy(s->id, id, SESSION_ID_LEN);
}

void
session_begin(struct session *s)
{
	TAILQ_INSERT_TAIL(&sessions, s, entry);
	table_add(&ids, &s->by_id, table_hash(s->id));
	table_add(&users, &s->by_user, table_hash(s->user));
	s->listed = true;
}

/* Output that waits */

/* Takes the reference. */
static void
session_wait(struct session *s, struct frame *f)
{
	struct piece	*p = xcalloc(1, sizeof(*p));
	bool		 first = STAILQ_EMPTY(&s->waiting);

	p->frame = f;
	STAILQ_INSERT_TAIL(&s->waiting, p, entry);
	s->waiting_bytes += f->len;
	s->nwaiting++;
	if (s->waiting_bytes > high_bytes)
		s->full = true;
	if (first && !s->held && s->dialect->wake != NULL)
		s->dialect->wake(s);
}

static struct frame *
session_next_piece(struct session *s)
{
	struct piece	*p = STAILQ_FIRST(&s->waiting);
	struct frame	*f;

	if (p == NULL)
		return NULL;
	STAILQ_REMOVE_HEAD(&s->waiting, entry);
	f = p->frame;
	free(p);
	s->waiting_bytes -= f->len;
	s->nwaiting--;
	if (s->waiting_bytes <= high_bytes / 2)
		s->full = false;
	return f;
}

struct frame *
session_take(struct session *s)
{
	return s->held ? NULL : session_next_piece(s);
}

static void
session_drop_waiting(struct session *s)
{
	struct frame	*f;

	while ((f = session_next_piece(s)) != NULL)
		frame_unref(f);
}

/* Takes the reference. */
static void
session_put(struct session *s, struct frame *f, bool is_late)
{
	if (!s->ended && (s->held || (s->conn == NULL &&
	    s->dialect->outlives))) {
		session_wait(s, f);
		return;
	}
	if (s->conn != NULL)
		conn_send(s->conn, f, is_late);
	frame_unref(f);
}

void
session_detach(struct session *s)
{
	s->conn = NULL;
	s->heard_ms = clock_ms();
}

void
session_attach(struct session *s, struct conn *c)
{
	struct frame	*f;

	s->conn = c;
	while ((f = session_take(s)) != NULL)
		session_put(s, f, false);
}

void
session_hold(struct session *s)
{
	s->held = true;
}

void
session_release(struct session *s)
{
	s->held = false;
	if (s->conn != NULL)
		session_attach(s, s->conn);
	else if (!STAILQ_EMPTY(&s->waiting) && s->dialect->wake != NULL)
		s->dialect->wake(s);
}

bool
session_is_held(const struct session *s)
{
	return s->held;
}

size_t
session_waiting(const struct session *s)
{
	return s->nwaiting;
}

void
session_heard(struct session *s)
{
	s->heard_ms = clock_ms();
}

int64_t
session_silent_ms(const struct session *s)
{
	return s->conn != NULL ? conn_silent_ms(s->conn) :
	    clock_ms() - s->heard_ms;
}

void
session_end(struct session *s)
{
	if (s->changed)
		TAILQ_REMOVE(&changes, s, by_change);
	s->changed = false;
	if (s->listed) {
		TAILQ_REMOVE(&sessions, s, entry);
		table_remove(&ids, &s->by_id);
		table_remove(&users, &s->by_user);
	}
	s->listed = false;
	s->ended = true;
	s->conn = NULL;
	session_drop_waiting(s);
	if (s->timer != NULL)
		event_free(s->timer);
	s->timer = NULL;
}

/* Its row in the database */

void
session_on_changed(void (*hook)(void))
{
	on_changed = hook;
}

void
session_changed(struct session *s)
{
	bool	first = TAILQ_EMPTY(&changes);

	if (s->changed || !s->listed)
		return;
	s->changed = true;
	TAILQ_INSERT_TAIL(&changes, s, by_change);
	if (first && on_changed != NULL)
		on_changed();
}

struct session *
session_take_changed(void)
{
	struct session	*s = TAILQ_FIRST(&changes);

	if (s != NULL) {
		TAILQ_REMOVE(&changes, s, by_change);
		s->changed = false;
	}
	return s;
}

bool
session_is_stored(const struct session *s)
{
	return s->stored;
}

void
session_set_stored(struct session *s, bool stored)
{
	s->stored = stored;
}

bool
session_has_ended(const struct session *s)
{
	return s->ended;
}

/* The timer */

static void
session_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct session	*s = session_ref(arg);

	(void)fd;
	(void)what;
	ops->timer(s);
	session_unref(s);
}

void
session_set_timer(struct session *s, int64_t timeout_ms)
{
	if (s->ended)
		return;
	if (s->timer == NULL)
		s->timer = clock_new(loop, session_on_timer, s);
	clock_start(s->timer, timeout_ms);
}

struct session *
session_find(const char *id)
{
	struct link	*l;
	struct session	*s;

	for (l = table_first(&ids, table_hash(id)); l != NULL;
	    l = table_next(l)) {
		s = table_object(l, struct session, by_id);
		if (strcmp(s->id, id) == 0)
			return s;
	}
	return NULL;
}

/* From a link on, the first that is of that user. */
static struct session *
session_of_link(struct link *l, const char *user)
{
	struct session	*s;

	for (; l != NULL; l = table_next(l)) {
		s = table_object(l, struct session, by_user);
		if (strcmp(s->user, user) == 0)
			return s;
	}
	return NULL;
}

struct session *
session_of(const char *user)
{
	return session_of_link(table_first(&users, table_hash(user)), user);
}

struct session *
session_of_next(const struct session *s)
{
	return session_of_link(table_next(&s->by_user), s->user);
}

const char *
session_id(const struct session *s)
{
	return s->id;
}

const char *
session_user(const struct session *s)
{
	return s->user;
}

bool
session_is_user(const struct session *s, const char *user)
{
	return user[0] == '\0' ||
	    (s->user != NULL && strcmp(s->user, user) == 0);
}

const char *
session_claims(const struct session *s)
{
	return s->claims;
}

int64_t
session_exp(const struct session *s)
{
	return s->exp;
}

int64_t
session_since(const struct session *s)
{
	return s->since;
}

char *
session_ctx(const struct session *s)
{
	return xasprintf("{\"session\":\"%s\",\"claims\":%s}", s->id,
	    s->claims);
}

const struct dialect *
session_dialect(const struct session *s)
{
	return s->dialect;
}

struct conn *
session_conn(const struct session *s)
{
	return s->conn;
}

const char *
session_address(const struct session *s)
{
	return s->address;
}

void
session_set_address(struct session *s, const char *address)
{
	free(s->address);
	s->address = xstrdup(address);
}

struct session *
session_next(const struct session *s)
{
	return TAILQ_NEXT(s, entry);
}

void *
session_data(const struct session *s)
{
	return s->data;
}

void
session_set_data(struct session *s, void *data)
{
	s->data = data;
}

void *
session_owner(const struct session *s)
{
	return s->owner;
}

void
session_set_owner(struct session *s, void *owner)
{
	s->owner = owner;
}

struct catchup *
session_catchup(const struct session *s)
{
	return s->catchup;
}

void
session_set_catchup(struct session *s, struct catchup *c)
{
	s->catchup = c;
}

struct session_members *
session_members(struct session *s)
{
	return &s->members;
}

void
session_close(struct session *s, int code, const char *reason)
{
	if (s->conn != NULL) {
		s->dialect->end(s, code, reason);
		return;
	}
	if (s->ended)
		return;
	if (s->dialect->gone != NULL)
		s->dialect->gone(s, code, reason);
	ops->closed(s, code, reason);
}

void
session_send(struct session *s, struct frame *f)
{
	if (f != NULL)
		session_put(s, f, false);
}

/* The entry as the dialect has it; the entry's reference. */
static struct frame *
entry_frame(struct entry *e, const struct dialect *d)
{
	struct frame	*f = frame_find(e->frames, d);

	if (f == NULL) {
		f = d->event(d, e);
		frame_keep(&e->frames, f, d);
	}
	return f;
}

void
session_send_entry(struct session *s, struct entry *e, bool is_late)
{
	stats_add_to(STAT_DELIVERED, s->dialect->label, 1);
	session_put(s, frame_ref(entry_frame(e, s->dialect)), is_late);
}

/* The run as one piece for that kind of carrier; the run's reference. */
static struct frame *
run_frame(struct run *run, const struct dialect *d, bool is_stream)
{
	struct frame	*f = frame_find(run->frames[is_stream], d),
			*each[RUN_MAX];
	size_t		 i;

	if (f == NULL) {
		for (i = 0; i < run->n; i++)
			each[i] = entry_frame(run->entries[i], d);
		f = frame_join(each, run->n, !is_stream);
		frame_keep(&run->frames[is_stream], f, d);
	}
	return f;
}

void
session_send_run(struct session *s, struct run *run, bool is_late)
{
	size_t	i;

	if (s->conn == NULL || s->held) {
		for (i = 0; i < run->n; i++)
			session_send_entry(s, run->entries[i], is_late);
		return;
	}
	stats_add_to(STAT_DELIVERED, s->dialect->label, (int64_t)run->n);
	session_put(s, frame_ref(run_frame(run, s->dialect,
	    conn_is_stream(s->conn))), is_late);
}

bool
session_is_full(const struct session *s)
{
	return s->full || (s->conn != NULL && conn_is_full(s->conn));
}

/* FNV-1a: no secret needed, the text is the database's own. */
static uint64_t
hash(const char *p)
{
	uint64_t	h = 14695981039346656037ULL;

	for (; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * 1099511628211ULL;
	return h;
}

/* Twice the places; the first of the new ones. */
static struct seen *
session_seen_grow(struct session *s)
{
	unsigned int	 old = s->seen_size,
			 size = old == 0 ? SEEN_MIN : old * 2;

	s->seen = xrealloc(s->seen, size * sizeof(*s->seen));
	memset(s->seen + old, 0, (size - old) * sizeof(*s->seen));
	s->seen_size = size;
	return &s->seen[old];
}

bool
session_seen(struct session *s, const char *dup, int64_t id)
{
	struct seen	*v, *least = NULL;
	uint64_t	 h = hash(dup);
	unsigned int	 i;

	for (i = 0; i < s->seen_size; i++) {
		v = &s->seen[i];
		if (v->hash == h && v->id != 0)
			return true;
		if (least == NULL || v->id < least->id)
			least = v;
	}
	if (s->seen_size < SESSION_SEEN && (least == NULL || least->id != 0))
		least = session_seen_grow(s);
	least->hash = h;
	least->id = id;
	return false;
}

size_t
session_seen_after(const struct session *s, int64_t id)
{
	unsigned int	i;
	size_t		n = 0;

	for (i = 0; i < s->seen_size; i++)
		if (s->seen[i].id > id)
			n++;
	return n;
}

void
session_forget_seen(struct session *s)
{
	free(s->seen);
	s->seen = NULL;
	s->seen_size = 0;
}

bool
session_mark(struct session *s, uint64_t number)
{
	if (s->mark == number)
		return false;
	s->mark = number;
	return true;
}

void
session_init(struct event_base *base, size_t high,
    const struct session_ops *session_ops)
{
	loop = base;
	high_bytes = high;
	ops = session_ops;
}
