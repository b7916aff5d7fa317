/* SPDX-License-Identifier: ISC */

/*
 * Sessions.  Reference-counted, because answers from the database come when
 * they come: an answer for a session that has ended finds it not live.
 */

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conn.h"
#include "frame.h"
#include "log.h"
#include "session.h"
#include "xmalloc.h"

#define SEEN_MIN	16		/* happenings remembered */


struct session {
	TAILQ_ENTRY(session)	 entry;		/* on sessions if listed */
	struct session_members	 members;
	const struct dialect	*dialect;
	struct conn		*conn;		/* NULL after the end */
	char			*user;		/* owned */
	char			*claims;	/* owned */
	void			*data;		/* the command layer's */
	struct catchup		*catchup;	/* the hub's */
	uint64_t		*seen;		/* owned; a ring of hashes, 0:
						 * a free place */
	int64_t			 exp;
	int64_t			 since;
	uint64_t		 mark;
	unsigned int		 refs;
	unsigned int		 seen_next;	/* the oldest, or free */
	unsigned int		 seen_size;
	bool			 listed;
	char			 id[SESSION_ID_LEN + 1];
};

struct session_list	sessions = TAILQ_HEAD_INITIALIZER(sessions);

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

	s->refs = 1;
	s->conn = c;
	s->dialect = d;
	LIST_INIT(&s->members);
	s->since = (int64_t)time(NULL);
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
session_begin(struct session *s)
{
	TAILQ_INSERT_TAIL(&sessions, s, entry);
	s->listed = true;
}

void
session_end(struct session *s)
{
	if (s->listed)
		TAILQ_REMOVE(&sessions, s, entry);
	s->listed = false;
	s->conn = NULL;
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
	if (s->conn != NULL)
		s->dialect->end(s->conn, code, reason);
}

void
session_send(struct session *s, struct frame *f)
{
	if (f == NULL)
		return;
	if (s->conn != NULL)
		conn_send(s->conn, f);
	frame_unref(f);
}

void
session_send_entry(struct session *s, struct entry *e)
{
	struct frame	**f = &e->frames[s->dialect->id];

	if (*f == NULL)
		*f = s->dialect->event(e);
	if (s->conn != NULL)
		conn_send(s->conn, *f);
}

bool
session_is_full(const struct session *s)
{
	return s->conn != NULL && conn_is_full(s->conn);
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

/* Twice the places; the ring was full, so that the next is the oldest. */
static void
session_seen_grow(struct session *s)
{
	unsigned int	 size = s->seen_size == 0 ? SEEN_MIN :
			    s->seen_size * 2, i;
	uint64_t	*seen = xcalloc(size, sizeof(*seen));

	for (i = 0; i < s->seen_size; i++)
		seen[i] = s->seen[(s->seen_next + i) % s->seen_size];
	free(s->seen);
	s->seen = seen;
	s->seen_next = s->seen_size;
	s->seen_size = size;
}

bool
session_seen(struct session *s, const char *dup)
{
	uint64_t	h = hash(dup);
	unsigned int	i;

	for (i = 0; i < s->seen_size; i++)
		if (s->seen[i] == h)
			return true;
	if (s->seen_size < SESSION_SEEN &&
	    (s->seen_size == 0 || s->seen[s->seen_next] != 0))
		session_seen_grow(s);
	s->seen[s->seen_next] = h;
	s->seen_next = (s->seen_next + 1) % s->seen_size;
	return false;
}

void
session_forget_seen(struct session *s)
{
	free(s->seen);
	s->seen = NULL;
	s->seen_next = s->seen_size = 0;
}

bool
session_mark(struct session *s, uint64_t number)
{
	if (s->mark == number)
		return false;
	s->mark = number;
	return true;
}
