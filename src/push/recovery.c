/* SPDX-License-Identifier: ISC */

/*
 * What is to be written is gathered as JSON for a few milliseconds; the next
 * batch goes when the last one has been answered, or at once if it has not
 * been sent yet.  A batch that fails is not sent again: its
 * waiters are told.
 */

#include <sys/queue.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/text.h"
#include "base/xmalloc.h"
#include "db/pg.h"
#include "push/recovery.h"

#define BATCH_MS	5
#define TIDY_MS		60000

/* A waiter for a batch. */
struct waiter {
	TAILQ_ENTRY(waiter)	 entry;
	void			(*done)(void *arg, bool ok);
	void			*arg;
};
TAILQ_HEAD(waiters, waiter);

struct recovery_ask {
	recovery_found		*done;		/* NULL: cancelled */
	void			*arg;
};

static const struct config	*cfg;
static struct pg		*query;
static const char		*node;
static struct event		*batch_timer;
static struct event		*tidy_timer;
static struct text		 kept;		/* for the next batch */
static struct text		 ended;
static struct waiters		 next = TAILQ_HEAD_INITIALIZER(next);
static struct waiters		 sent = TAILQ_HEAD_INITIALIZER(sent);
static bool			 writing;
static bool			 tidied;	/* since the start */

static const struct pg_stmt write_stmt = { "sockets_write",
	"SELECT pgpush.sockets_write($1, $2::jsonb, $3::jsonb)", 3 };
static const struct pg_stmt take_stmt = { "socket_take",
	"SELECT session, life, epoch, at, rooms FROM pgpush.socket_take($1,"
	" $2, $3, $4, $5::bigint * interval '1 ms')", 5 };
static const struct pg_stmt tidy_stmt = { "sockets_tidy",
	"SELECT pgpush.sockets_tidy($1, $2::boolean,"
	" $3::bigint * interval '1 ms')", 3 };

static void	batch_start(void);

/* Writing */

static void
clear(struct text *t)
{
	free(t->buf);
	memset(t, 0, sizeof(*t));
}

/* Tell all of a list. */
static void
tell(struct waiters *list, bool ok)
{
	struct waiter	*w;

	while ((w = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, w, entry);
		w->done(w->arg, ok);
		free(w);
	}
}

static void
on_written(void *arg, const struct pg_result *res)
{
	(void)arg;
	writing = false;
	tell(&sent, pg_ok(res));
	if (kept.len > 0 || ended.len > 0)
		batch_start();
}

static void
on_batch(evutil_socket_t fd, short what, void *arg)
{
	char		*k, *e;
	const char	*params[3];

	(void)fd;
	(void)what;
	(void)arg;
	if (writing)
		return;		/* on_written calls again */
	k = xasprintf("[%s]", kept.len == 0 ? "" : kept.buf);
	e = xasprintf("[%s]", ended.len == 0 ? "" : ended.buf);
	params[0] = node;
	params[1] = k;
	params[2] = e;
	TAILQ_CONCAT(&sent, &next, entry);
	writing = pg_send(query, &write_stmt, params, on_written, NULL) == 0;
	clear(&kept);
	clear(&ended);
	free(k);
	free(e);
	if (!writing)
		tell(&sent, false);
}

static void
batch_start(void)
{
	if (!evtimer_pending(batch_timer, NULL))
		clock_start(batch_timer, BATCH_MS);
}

static void
add_field(struct text *t, const char *name, const char *value)
{
	text_add(t, name);
	text_add_string(t, value);
}

void
recovery_keep(const struct recovery *r, void (*done)(void *arg, bool ok),
    void *arg)
{
	struct waiter	*w;

	add_field(&kept, kept.len == 0 ? "{\"pid\":" : ",{\"pid\":", r->pid);
	text_add(&kept, ",\"life\":");
	text_add_number(&kept, r->life);
	add_field(&kept, ",\"session\":", r->session);
	add_field(&kept, ",\"user\":", r->user);
	add_field(&kept, ",\"nsp\":", r->nsp);
	text_add(&kept, ",\"rooms\":");
	text_add(&kept, r->rooms);
	add_field(&kept, ",\"epoch\":", r->epoch);
	text_add(&kept, ",\"at\":");
	text_add_number(&kept, r->at);
	text_add(&kept, "}");
	if (done != NULL) {
		w = xcalloc(1, sizeof(*w));
		w->done = done;
		w->arg = arg;
		TAILQ_INSERT_TAIL(&next, w, entry);
	}
	batch_start();
}

static void
forget(struct waiters *list, const void *arg)
{
	struct waiter	*w, *after;

	for (w = TAILQ_FIRST(list); w != NULL; w = after) {
		after = TAILQ_NEXT(w, entry);
		if (w->arg != arg)
			continue;
		TAILQ_REMOVE(list, w, entry);
		free(w);
	}
}

void
recovery_forget(const void *arg)
{
	forget(&next, arg);
	forget(&sent, arg);
}

void
recovery_end(const char *pid, int64_t life, bool for_good)
{
	add_field(&ended, ended.len == 0 ? "{\"pid\":" : ",{\"pid\":", pid);
	text_add(&ended, ",\"life\":");
	text_add_number(&ended, life);
	text_add(&ended, for_good ? ",\"for_good\":true}" :
	    ",\"for_good\":false}");
	batch_start();
}

/* Taking over */

static void
on_taken(void *arg, const struct pg_result *res)
{
	struct recovery_ask	*ask = arg;
	struct recovery		 r;

	memset(&r, 0, sizeof(r));
	if (ask->done != NULL && pg_ok(res) && pg_rows(res) == 1) {
		r.session = pg_value(res, 0, 0);
		r.life = pg_number(res, 0, 1);
		r.epoch = pg_value(res, 0, 2);
		r.at = pg_number(res, 0, 3);
		r.rooms = pg_value(res, 0, 4);
		ask->done(ask->arg, &r);
	} else if (ask->done != NULL)
		ask->done(ask->arg, NULL);
	free(ask);
}

struct recovery_ask *
recovery_take(const char *pid, const char *user, const char *nsp,
    recovery_found *done, void *arg)
{
	char			 window[PG_NUMBER_MAX];
	const char		*params[] = { node, pid, user, nsp,
	    pg_param(window, cfg->recovery_window_ms) };
	struct recovery_ask	*ask = xcalloc(1, sizeof(*ask));

	ask->done = done;
	ask->arg = arg;
	if (pg_send(query, &take_stmt, params, on_taken, ask) == 0)
		return ask;
	free(ask);
	return NULL;
}

void
recovery_cancel(struct recovery_ask *ask)
{
	ask->done = NULL;
}

bool
recovery_is_on(void)
{
	return cfg->recovery_window_ms > 0;
}

bool
recovery_is_idle(void)
{
	return !writing && kept.len == 0 && ended.len == 0;
}

void
recovery_make_pid(char pid[RECOVERY_PID_LEN + 1])
{
	static const char	alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char		random[RECOVERY_PID_LEN];
	size_t			i;

	if (RAND_bytes(random, sizeof(random)) != 1)
		fatal("msg=\"no random numbers\"");
	for (i = 0; i < RECOVERY_PID_LEN; i++)
		pid[i] = alphabet[random[i] & 63];
	pid[RECOVERY_PID_LEN] = '\0';
}

/* Tidying */

static void
tidy(void)
{
	char		 window[PG_NUMBER_MAX];
	const char	*params[] = { node, tidied ? "false" : "true",
	    pg_param(window, cfg->recovery_window_ms) };

	if (pg_send(query, &tidy_stmt, params, NULL, NULL) == 0)
		tidied = true;
}

static void
on_tidy(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	tidy();
	clock_start(tidy_timer, TIDY_MS);
}

void
recovery_up(void)
{
	/* Before anybody comes back to us: what is ours is of the last run. */
	if (!tidied)
		tidy();
}

void
recovery_init(struct event_base *base, const struct config *config,
    struct pg *pg, const char *name)
{
	cfg = config;
	query = pg;
	node = name;
	batch_timer = clock_new(base, on_batch, NULL);
	tidy_timer = clock_new(base, on_tidy, NULL);
	clock_start(tidy_timer, TIDY_MS);
}

void
recovery_exit(void)
{
	tell(&sent, false);
	tell(&next, false);
	clear(&kept);
	clear(&ended);
	event_free(batch_timer);
	event_free(tidy_timer);
}
