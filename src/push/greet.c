/* SPDX-License-Identifier: ISC */

/*
 * A greeting lives from its question to the end of what its answer brings.
 */

#include <jansson.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/stats.h"
#include "base/token.h"
#include "base/xmalloc.h"
#include "db/feed.h"
#include "net/conn.h"
#include "push/greet.h"
#include "push/member.h"
#include "push/pool.h"
#include "push/refusal.h"
#include "push/room.h"
#include "push/rule.h"
#include "push/session.h"

static const struct config	*cfg;
static struct feed		*feed;
static const struct token_keys	*keys;

void
greet_init(const struct config *config, struct feed *f,
    const struct token_keys *token_keys)
{
	cfg = config;
	feed = f;
	keys = token_keys;
}

/* Tokens */

static json_t *
greet_load_claims(const char *text)
{
	static const char *const	 dates[] = { "exp", "iat", "nbf",
	    "jti" };
	json_t				*j = json_loads(text, 0, NULL);
	size_t				 i;

	for (i = 0; i < sizeof(dates) / sizeof(dates[0]); i++)
		(void)json_object_del(j, dates[i]);
	return j;
}

static bool
greet_same_claims(const char *a, const char *b)
{
	json_t	*x = greet_load_claims(a), *y = greet_load_claims(b);
	bool	 same = x != NULL && y != NULL && json_equal(x, y) == 1;

	json_decref(x);
	json_decref(y);
	return same;
}

static void
greet_log_bad(const struct session *s, const char *reason)
{
	stats_add_to(STAT_REFUSED, REFUSED_TOKEN, 1);
	log_limited(LOG_TOKEN, LOG_LEVEL_INFO,
	    "conn=%" PRIu64 " address=%s msg=\"token refused\" reason=%s",
	    session_conn(s) == NULL ? 0 : conn_id(session_conn(s)),
	    session_address(s), log_quote(reason, strlen(reason)));
}

enum greet_token
greet_identify(struct session *s, const char *token, size_t len)
{
	enum greet_token	 found = GREET_OTHER;
	struct token		 t;
	const char		*reason;

	if (token_verify(keys, token, len, (int64_t)time(NULL), &t,
	    &reason) == -1) {
		greet_log_bad(s, reason);
		return GREET_BAD;
	}
	if (session_user(s) != NULL) {
		if (strcmp(t.user, session_user(s)) != 0)
			found = GREET_STRANGER;
		else if (greet_same_claims(t.claims, session_claims(s)))
			found = GREET_SAME;
	}
	if (found != GREET_STRANGER)
		session_identify(s, t.user, t.claims, t.exp);
	token_free(&t);
	return found;
}

/* Greetings */

static void
greet_free_names(char ***names, size_t *n)
{
	while (*n > 0)
		free((*names)[--*n]);
	free(*names);
	*names = NULL;
}

void
greet_free(struct greeting *g)
{
	if (g == NULL)
		return;
	if (g->ask != NULL)
		pool_withdraw(g->ask);
	rights_end(&g->rights);
	greet_free_names(&g->rooms, &g->nrooms);
	greet_free_names(&g->denied, &g->ndenied);
	free(g->asked);
	free(g);
}

static bool
greet_has(char *const *names, size_t n, const char *name)
{
	size_t	i;

	for (i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* The rows of the answer: rooms of the greeting, and those refused. */
static void
greet_take(struct greeting *g, const struct pg_result *res)
{
	const char	*name;
	int		 i;

	greet_free_names(&g->rooms, &g->nrooms);
	greet_free_names(&g->denied, &g->ndenied);
	g->rooms = xcalloc((size_t)pg_rows(res) + 1, sizeof(*g->rooms));
	g->denied = xcalloc((size_t)pg_rows(res) + 1, sizeof(*g->denied));
	for (i = 0; i < pg_rows(res); i++) {
		name = pg_value(res, i, 1);
		if (name == NULL || !room_name_ok(name))
			continue;
		if (pg_value(res, i, 2) != NULL && !pg_true(res, i, 2))
			g->denied[g->ndenied++] = xstrdup(name);
		else if (g->nrooms < (size_t)cfg->max_rooms &&
		    !greet_has(g->rooms, g->nrooms, name))
			g->rooms[g->nrooms++] = xstrdup(name);
	}
}

static void	greet_on_answer(void *arg, const struct pg_result *res);

static int
greet_send(struct greeting *g)
{
	rights_ask(&g->rights, g->session);
	g->ask = !feed_is_ready(feed) ? NULL : rule_greet(g->session,
	    g->asked, greet_on_answer, g);
	return g->ask == NULL ? -1 : 0;
}

/* Whether something passed that touches the answer. */
static bool
greet_is_overtaken(const struct greeting *g)
{
	return rights_is_void(&g->rights) ||
	    rights_is_revoked_any(&g->rights, g->rooms, g->nrooms);
}

static void
greet_on_answer(void *arg, const struct pg_result *res)
{
	struct greeting	*g = arg;

	stats_time(STAT_GREET_TIME, (clock_ms() - g->asked_ms) * 1000);
	g->ask = NULL;
	g->outcome = GREET_UNAVAILABLE;
	if (pg_ok(res)) {
		g->outcome = pg_true(res, 0, 0) ? GREET_UNKNOWN : GREET_KNOWN;
		greet_take(g, res);
	}
	if (res != NULL && greet_is_overtaken(g)) {
		if (greet_send(g) == 0)
			return;
		g->outcome = GREET_UNAVAILABLE;
	}
	g->done(g);
}

struct greeting *
greet_ask(struct session *s, const char *rooms, void (*done)(struct greeting *))
{
	struct greeting	*g = xcalloc(1, sizeof(*g));

	g->session = s;
	g->asked_ms = clock_ms();
	g->asked = rooms == NULL ? NULL : xstrdup(rooms);
	g->done = done;
	if (greet_send(g) == 0)
		return g;
	greet_free(g);
	return NULL;
}

void
greet_welcome(struct session *s, const struct greeting *g, int64_t since,
    const char *epoch)
{
	const struct dialect	 *d = session_dialect(s);
	struct member		**members = xcalloc(g->nrooms + 1,
				    sizeof(*members));
	struct welcome		  w = { session_id(s), session_user(s),
	    g->rooms, g->nrooms, feed_position(feed), feed_epoch(feed),
	    cfg->ping_interval_ms / 1000, false };
	size_t			  i;

	for (i = 0; i < g->nrooms; i++) {
		members[i] = member_join(s, g->rooms[i], since, epoch);
		w.resets = w.resets || members[i]->reset;
	}
	if (g->nrooms > 0)
		w.id = members[0]->last;
	session_begin(s);
	if (d->begin != NULL && session_conn(s) != NULL)
		d->begin(s);
	session_send(s, d->welcome(s, &w));
	for (i = 0; i < g->nrooms; i++)
		member_start(members[i]);
	if (w.resets && d->merged)
		member_tell_at(s);
	if (d->live != NULL && !member_is_behind(s))
		d->live(s);
	free(members);
	refusal_welcome(s, (unsigned int)g->nrooms);
	session_changed(s);
}
