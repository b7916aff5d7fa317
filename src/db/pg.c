/* SPDX-License-Identifier: ISC */

/*
 * libpq in a libevent loop.  The queue of statements that have been sent and
 * not answered mirrors libpq's own; a statement that must be prepared first
 * has its preparation as an element in front of it.  Whatever goes wrong with
 * the connection ends in pg_lost, which answers all of them and starts over.
 *
 * libpq resolves names synchronously, which would stop the loop; hosts.c does
 * so before, and what it finds is passed as hostaddr.
 */

#include <sys/queue.h>
#include <event2/event.h>
#include <event2/util.h>
#include <libpq-fe.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "db/conninfo.h"
#include "db/hosts.h"
#include "db/pg.h"
#include "db/vet.h"
#include "base/xmalloc.h"

#define CONNECT_TIMEOUT_MS	10000
#define SETTLED_MS		5000	/* up so long: the trouble is over */
#define FLAPS			2	/* so often is again and again */
#define HOSTS_TURN		60	/* any small number of hosts divides */

struct query {
	TAILQ_ENTRY(query)	 entry;
	const struct pg_stmt	*stmt;
	pg_done			 done;
	void			*arg;
	PGresult		*res;		/* until its sync comes */
};

struct prepared {
	LIST_ENTRY(prepared)	 entry;
	const struct pg_stmt	*stmt;
};

enum pg_state {
	PG_WAITING,		/* for the time to try again */
	PG_RESOLVING,
	PG_CONNECTING,
	PG_UP,
};

struct pg {
	struct pg_settings	 set;
	const struct pg_ops	*ops;
	void			*arg;
	struct event_base	*base;
	PGconn			*conn;
	struct event		*io;		/* the socket, as asked for */
	struct event		*timer;		/* by state: retry, limit */
	TAILQ_HEAD(, query)	 queue;
	LIST_HEAD(, prepared)	 prepared;
	size_t			 outstanding;
	uint64_t		 answers;	/* ever */
	enum pg_state		 state;
	int64_t			 delay_ms;
	int64_t			 up_ms;		/* when it came up */
	bool			 complained;	/* the log knows */
	bool			 vetted;	/* ops->up was called */
	unsigned int		 flaps;		/* came up and went at once */
	bool			 freeing;
	int			 fd;		/* what io watches */
	short			 want;		/* what io asks for */
	struct hosts		*hosts;		/* owned */
	unsigned int		 turn;		/* hosts to begin behind */
	unsigned int		 attempts;	/* again, ever */
};

struct pg_result {
	const PGresult	*res;
};

static void	pg_connect(struct pg *pg);
static void	pg_on_io(evutil_socket_t fd, short what, void *arg);

/* The first line of a message says what matters. */
static const char *
words(const char *message)
{
	return log_quote(message, strcspn(message, "\n"));
}

/* Ask the loop for what libpq wants of its socket, which may be a new one. */
static void
pg_watch(struct pg *pg, short want)
{
	int	fd = PQsocket(pg->conn);

	/* While connecting, the same number may be another socket. */
	if (pg->state == PG_UP && fd == pg->fd && want == pg->want)
		return;
	if (pg->io != NULL)
		event_free(pg->io);
	pg->io = event_new(pg->base, fd, (short)(want | EV_PERSIST), pg_on_io,
	    pg);
	if (pg->io == NULL)
		fatal("msg=\"event_new failed\"");
	pg->fd = fd;
	pg->want = want;
	/* libpq has closed it after an error, say: the timer gives it up. */
	if (fd < 0 || event_add(pg->io, NULL) == -1)
		clock_start(pg->timer, 0);
}

/* Losing and retrying */

static void
pg_answer(struct pg *pg, struct query *q, const PGresult *res)
{
	struct pg_result	 r = { res };

	TAILQ_REMOVE(&pg->queue, q, entry);
	pg->outstanding--;
	pg->answers++;
	if (q->done != NULL)
		q->done(q->arg, res == NULL ? NULL : &r);
	PQclear(q->res);
	free(q);
}

static void
pg_disconnect(struct pg *pg)
{
	struct prepared	*p;

	hosts_cancel(pg->hosts);
	if (pg->io != NULL)
		event_free(pg->io);
	pg->io = NULL;
	PQfinish(pg->conn);
	pg->conn = NULL;
	while ((p = LIST_FIRST(&pg->prepared)) != NULL) {
		LIST_REMOVE(p, entry);
		free(p);
	}
}

static void
pg_wait(struct pg *pg)
{
	uint32_t	random;
	int64_t		ms = pg->delay_ms / 2;

	evutil_secure_rng_get_bytes(&random, sizeof(random));
	ms += random % (ms + 1);
	pg->state = PG_WAITING;
	pg->attempts++;
	pg->delay_ms *= 2;
	if (pg->delay_ms > pg->set.reconnect_max_ms)
		pg->delay_ms = pg->set.reconnect_max_ms;
	clock_start(pg->timer, ms);
}

static void
pg_lost(struct pg *pg, const char *why)
{
	bool		 was_up = pg->state == PG_UP;
	bool		 settled = was_up &&
			    clock_ms() - pg->up_ms >= SETTLED_MS;
	struct query	*q;

	if (settled)
		pg->complained = false;
	if (was_up)
		pg->flaps = settled ? 0 : pg->flaps + 1;
	was_up = was_up && pg->vetted;
	pg->vetted = false;
	if (!pg->complained && !pg->freeing)
		log_warn("db=%s msg=\"connection lost\" why=%s", pg->set.name,
		    words(why));
	pg->complained = true;
	stats_add(STAT_DB_LOST, was_up);
	if (settled)
		pg->delay_ms = pg->set.reconnect_min_ms;
	pg->state = PG_WAITING;
	pg_disconnect(pg);
	while ((q = TAILQ_FIRST(&pg->queue)) != NULL)
		pg_answer(pg, q, NULL);
	if (was_up && pg->ops->down != NULL)
		pg->ops->down(pg->arg);
	if (!pg->freeing)
		pg_wait(pg);
}

void
pg_reset(struct pg *pg, const char *why)
{
	if (pg->state == PG_UP || pg->state == PG_CONNECTING)
		pg_lost(pg, why);
}

void
pg_refuse(struct pg *pg, const char *why)
{
	pg->turn = (pg->turn + 1) % HOSTS_TURN;
	pg_reset(pg, why);
}

void
pg_hurry(struct pg *pg)
{
	if (pg->state != PG_WAITING)
		return;
	pg->delay_ms = pg->set.reconnect_min_ms;
	clock_start(pg->timer, 0);
}

/* Answers */

/* The statement's own failure: its words are for the log, not for a client. */
static void
pg_log_failure(const struct pg *pg, const struct query *q)
{
	const char	*code = PQresultErrorField(q->res, PG_DIAG_SQLSTATE);

	stats_add(STAT_DB_FAILED, 1);
	/* One that fails again and again on new connections is known. */
	log_limited(LOG_STATEMENT, pg->flaps >= FLAPS ? LOG_LEVEL_DEBUG :
	    LOG_LEVEL_WARNING, "db=%s msg=\"statement failed\" stmt=%s sqlstate=%s error=%s",
	    pg->set.name, q->stmt->name == NULL ? "-" : q->stmt->name,
	    code == NULL ? "-" : code, words(PQresultErrorMessage(q->res)));
}

static bool
result_ok(const PGresult *res)
{
	ExecStatusType	status = PQresultStatus(res);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* One result for the statement at the head: its own, or the sync after it. */
static void
pg_take(struct pg *pg, PGresult *res)
{
	struct query	*q = TAILQ_FIRST(&pg->queue);

	if (q == NULL) {
		PQclear(res);
		return;
	}
	if (PQresultStatus(res) != PGRES_PIPELINE_SYNC) {
		PQclear(q->res);
		q->res = res;
		return;
	}
	PQclear(res);
	if (!result_ok(q->res))
		pg_log_failure(pg, q);
	pg_answer(pg, q, q->res);
}

/* Take what has come; a callback may end the connection meanwhile. */
static void
pg_drain(struct pg *pg)
{
	const PGconn	*conn = pg->conn;
	PGnotify	*n;
	PGresult	*res;

	while (pg->conn == conn && !TAILQ_EMPTY(&pg->queue) &&
	    PQisBusy(pg->conn) == 0) {
		if ((res = PQgetResult(pg->conn)) != NULL)
			pg_take(pg, res);
		else if (PQstatus(pg->conn) == CONNECTION_BAD)
			break;
	}
	while (pg->conn == conn && conn != NULL &&
	    (n = PQnotifies(pg->conn)) != NULL) {
		if (pg->ops->notify != NULL)
			pg->ops->notify(pg->arg, n->relname, n->extra,
			    n->be_pid);
		PQfreemem(n);
	}
}

static void
pg_flush(struct pg *pg)
{
	int	r = PQflush(pg->conn);

	if (r == -1)
		pg_lost(pg, PQerrorMessage(pg->conn));
	else
		pg_watch(pg, r == 1 ? EV_READ | EV_WRITE : EV_READ);
}

/* While statements wait for answers, each answer restarts the limit. */
static void
pg_arm_stall(struct pg *pg)
{
	if (pg->state != PG_UP)
		return;
	if (pg->outstanding > 0)
		clock_start(pg->timer, pg->set.stall_ms);
	else
		(void)evtimer_del(pg->timer);
}

static void
pg_on_ready(struct pg *pg, short what)
{
	uint64_t	before = pg->answers;

	if ((what & EV_READ) && PQconsumeInput(pg->conn) == 0) {
		/* What came before the end is still worth having. */
		pg_drain(pg);
		if (pg->state == PG_UP)
			pg_lost(pg, PQerrorMessage(pg->conn));
		return;
	}
	pg_drain(pg);
	if (pg->state == PG_UP)
		pg_flush(pg);
	if (pg->answers != before)
		pg_arm_stall(pg);
}

/* Connecting */

/*
 * A database or role may end sessions that rest; ours rest as a rule.  The
 * owner of the connection may set another limit after this.
 */
static const struct pg_stmt session_stmt = { NULL,
	"SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings"
	" WHERE name IN ('idle_session_timeout',"
	" 'idle_in_transaction_session_timeout', 'transaction_timeout')", 0 };

/* A NOTICE or WARNING: one line of the log, without a newline of its own. */
static void
pg_on_notice(void *arg, const PGresult *res)
{
	const struct pg	*pg = arg;
	const char	*severity, *text;

	severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
	text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	if (severity != NULL && text != NULL)
		log_limited(LOG_STATEMENT, LOG_LEVEL_INFO,
		    "db=%s severity=%s msg=%s", pg->set.name, severity,
		    words(text));
}

/*
 * One line for all connections, since all find the same.  Each verdict has its
 * own memory: while the schema changes, connections find one and the other.
 */
static void
pg_say_verdict(enum vet_verdict verdict, const char *why)
{
	static char	 bad[300], dubious[300];
	char		*said = verdict == VET_BAD ? bad : dubious;

	if (verdict == VET_GOOD)
		bad[0] = '\0';
	if (strcmp(said, why) == 0)
		return;
	(void)snprintf(said, sizeof(bad), "%s", why);
	if (verdict == VET_BAD)
		log_error("msg=\"cannot use the database\" why=%s",
		    words(why));
	else if (verdict == VET_DUBIOUS)
		log_warn("msg=\"dubious database\" why=%s", words(why));
}

static void
pg_on_vetted(void *arg, const struct pg_result *res)
{
	struct pg	*pg = arg;
	struct vet	 v;
	char		 why[300];
	enum vet_verdict verdict;

	if (res == NULL)
		return;
	if (!pg_ok(res)) {
		pg_lost(pg, "cannot ask about the schema");
		return;
	}
	v.client_pid = PQbackendPID(pg->conn);
	v.server_pid = (int)pg_number(res, 0, 0);
	v.has_schema = pg_true(res, 0, 1);
	v.schema = (int)pg_number(res, 0, 2);
	verdict = vet_judge(&v, vet_known(), why, sizeof(why));
	pg_say_verdict(verdict, why);
	if (verdict == VET_BAD) {
		pg->complained = true;
		pg_lost(pg, why);
		return;
	}
	pg->vetted = true;
	if (pg->flaps >= FLAPS)
		log_debug("db=%s msg=connected backend=%d", pg->set.name,
		    v.server_pid);
	else {
		pg->complained = false;
		log_info("db=%s msg=connected backend=%d", pg->set.name,
		    v.server_pid);
	}
	(void)pg_send(pg, &session_stmt, NULL, NULL, NULL);
	pg->ops->up(pg->arg);
}

static void
pg_up(struct pg *pg)
{
	if (PQsetnonblocking(pg->conn, 1) == -1 ||
	    PQenterPipelineMode(pg->conn) == 0) {
		pg_lost(pg, PQerrorMessage(pg->conn));
		return;
	}
	(void)evtimer_del(pg->timer);
	stats_add(STAT_DB_CONNECTS, 1);
	pg->state = PG_UP;
	pg->up_ms = clock_ms();
	pg_watch(pg, EV_READ);
	(void)pg_send(pg, &vet_stmt, NULL, pg_on_vetted, pg);
}

static void
pg_poll(struct pg *pg)
{
	switch (PQconnectPoll(pg->conn)) {
	case PGRES_POLLING_READING:
		pg_watch(pg, EV_READ);
		break;
	case PGRES_POLLING_WRITING:
		pg_watch(pg, EV_WRITE);
		break;
	case PGRES_POLLING_OK:
		pg_up(pg);
		break;
	case PGRES_POLLING_ACTIVE:
	case PGRES_POLLING_FAILED:
		pg_lost(pg, PQerrorMessage(pg->conn));
		break;
	}
}

static void
pg_on_io(evutil_socket_t fd, short what, void *arg)
{
	struct pg	*pg = arg;

	(void)fd;
	if (pg->state == PG_CONNECTING)
		pg_poll(pg);
	else if (pg->state == PG_UP)
		pg_on_ready(pg, what);
}

static void
pg_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct pg	*pg = arg;

	(void)fd;
	(void)what;
	switch (pg->state) {
	case PG_WAITING:
		pg_connect(pg);
		break;
	case PG_CONNECTING:
		pg->turn = (pg->turn + 1) % HOSTS_TURN;
		pg_lost(pg, "no connection in time");
		break;
	case PG_RESOLVING:
		pg_lost(pg, "no connection in time");
		break;
	case PG_UP:
		pg_lost(pg, "no answer in time, or no connection");
		break;
	}
}

/*
 * Our defaults stand before the user's words, what we rely on after them.  Of
 * several hosts libpq goes on to the next only when one has failed: one that
 * is mute uses up our time, and so the next attempt begins behind it.
 */
static void
pg_start(struct pg *pg, const char *hostaddr)
{
	const char	*info = pg->set.conninfo;
	char		*host = conninfo_turn(conninfo_get(info, "host",
			    "PGHOST"), pg->turn);
	char		*port = conninfo_turn(conninfo_get(info, "port",
			    "PGPORT"), pg->turn);
	char		*addr = conninfo_turn(hostaddr != NULL ?
			    xstrdup(hostaddr) : conninfo_get(info, "hostaddr",
			    "PGHOSTADDR"), pg->turn);
	const char	*keys[] = { "fallback_application_name", "keepalives",
	    "keepalives_idle", "keepalives_interval", "keepalives_count",
	    "tcp_user_timeout", "dbname", "client_encoding", "host", "port",
	    "hostaddr", NULL };
	const char	*values[] = { "pgpushd", "1", "10", "5", "3", "20000",
	    info, "UTF8", host, port, addr, NULL };

	pg->conn = PQconnectStartParams(keys, values, 1);
	free(host);
	free(port);
	free(addr);
	if (pg->conn == NULL)
		fatal("msg=\"out of memory\"");
	(void)PQsetNoticeReceiver(pg->conn, pg_on_notice, pg);
	pg->state = PG_CONNECTING;
	if (PQstatus(pg->conn) == CONNECTION_BAD) {
		pg_lost(pg, PQerrorMessage(pg->conn));
		return;
	}
	clock_start(pg->timer, CONNECT_TIMEOUT_MS);
	pg_watch(pg, EV_WRITE);
}

static void
pg_on_hosts(void *arg, const char *list, const char *why)
{
	struct pg	*pg = arg;

	if (list == NULL) {
		log_warn("db=%s msg=\"cannot resolve\" host=%s",
		    pg->set.name, words(why));
		pg_lost(pg, "name resolution failed");
	} else
		pg_start(pg, list);
}

static void
pg_connect(struct pg *pg)
{
	pg->state = PG_RESOLVING;
	clock_start(pg->timer, CONNECT_TIMEOUT_MS);
	if (hosts_resolve(pg->hosts, pg->set.conninfo, pg->attempts) == 1)
		pg_start(pg, NULL);
}

/* For the owner */

struct pg *
pg_new(struct event_base *base, const struct pg_settings *settings,
    const struct pg_ops *ops, void *arg)
{
	struct pg	*pg = xcalloc(1, sizeof(*pg));

	pg->set = *settings;
	pg->ops = ops;
	pg->arg = arg;
	pg->base = base;
	pg->delay_ms = settings->reconnect_min_ms;
	TAILQ_INIT(&pg->queue);
	LIST_INIT(&pg->prepared);
	pg->hosts = hosts_new(base, pg_on_hosts, pg);
	pg->timer = clock_new(base, pg_on_timer, pg);
	pg->state = PG_WAITING;
	clock_start(pg->timer, 0);
	return pg;
}

void
pg_free(struct pg *pg)
{
	if (pg == NULL)
		return;
	pg->freeing = true;
	pg_lost(pg, "closing");
	hosts_free(pg->hosts);
	event_free(pg->timer);
	free(pg);
}

static void
pg_push(struct pg *pg, const struct pg_stmt *stmt, pg_done done, void *arg)
{
	struct query	*q = xcalloc(1, sizeof(*q));

	q->stmt = stmt;
	q->done = done;
	q->arg = arg;
	TAILQ_INSERT_TAIL(&pg->queue, q, entry);
	pg->outstanding++;
}

/* What could not be prepared (a missing right, say) is tried again. */
static void
on_prepared(void *arg, const struct pg_result *res)
{
	struct prepared	*p = arg;

	if (res == NULL || pg_ok(res))
		return;		/* without a connection, p is freed already */
	LIST_REMOVE(p, entry);
	free(p);
}

/* Returns -1 if libpq would not take it: the connection is as good as lost. */
static int
pg_prepare(struct pg *pg, const struct pg_stmt *stmt)
{
	struct prepared	*p;

	LIST_FOREACH(p, &pg->prepared, entry)
		if (p->stmt == stmt)
			return 0;
	if (PQsendPrepare(pg->conn, stmt->name, stmt->sql, 0, NULL) == 0 ||
	    PQpipelineSync(pg->conn) == 0)
		return -1;
	p = xcalloc(1, sizeof(*p));
	p->stmt = stmt;
	LIST_INSERT_HEAD(&pg->prepared, p, entry);
	pg_push(pg, stmt, on_prepared, p);
	return 0;
}

static int
pg_put(struct pg *pg, const struct pg_stmt *stmt, const char *const *params)
{
	int	r;

	if (stmt->name == NULL)
		r = PQsendQueryParams(pg->conn, stmt->sql, stmt->nparams, NULL,
		    params, NULL, NULL, 0);
	else if (pg_prepare(pg, stmt) == -1)
		return -1;
	else
		r = PQsendQueryPrepared(pg->conn, stmt->name, stmt->nparams,
		    params, NULL, NULL, 0);
	return r == 0 || PQpipelineSync(pg->conn) == 0 ? -1 : 0;
}

int
pg_send(struct pg *pg, const struct pg_stmt *stmt, const char *const *params,
    pg_done done, void *arg)
{
	if (pg->state != PG_UP || (!pg->vetted && done != pg_on_vetted))
		return -1;
	if (pg_put(pg, stmt, params) == -1) {
		/* The loop will find the connection broken and say so. */
		log_warn("db=%s msg=\"cannot send\" error=%s", pg->set.name,
		    words(PQerrorMessage(pg->conn)));
		clock_start(pg->timer, 0);
		return -1;
	}
	pg_push(pg, stmt, done, arg);
	if (!evtimer_pending(pg->timer, NULL))
		pg_arm_stall(pg);
	/* Written now, or when the loop says so: never answered from here. */
	pg_watch(pg, PQflush(pg->conn) == 0 ? EV_READ : EV_READ | EV_WRITE);
	return 0;
}

const char *
pg_param(char out[PG_NUMBER_MAX], int64_t n)
{
	(void)snprintf(out, PG_NUMBER_MAX, "%" PRId64, n);
	return out;
}

bool
pg_is_up(const struct pg *pg)
{
	return pg->state == PG_UP && pg->vetted;
}

size_t
pg_outstanding(const struct pg *pg)
{
	return pg->outstanding;
}

int
pg_backend(const struct pg *pg)
{
	return pg->state == PG_UP ? PQbackendPID(pg->conn) : 0;
}

bool
pg_ok(const struct pg_result *res)
{
	return res != NULL && result_ok(res->res);
}

const char *
pg_code(const struct pg_result *res)
{
	const char	*code = res == NULL ? NULL :
			    PQresultErrorField(res->res, PG_DIAG_SQLSTATE);

	return code == NULL ? "" : code;
}

int
pg_rows(const struct pg_result *res)
{
	return PQntuples(res->res);
}

const char *
pg_value(const struct pg_result *res, int row, int column)
{
	if (row >= PQntuples(res->res) || column >= PQnfields(res->res) ||
	    PQgetisnull(res->res, row, column))
		return NULL;
	return PQgetvalue(res->res, row, column);
}

int64_t
pg_number(const struct pg_result *res, int row, int column)
{
	const char	*v = pg_value(res, row, column);

	return v == NULL ? 0 : strtoll(v, NULL, 10);
}

bool
pg_true(const struct pg_result *res, int row, int column)
{
	const char	*v = pg_value(res, row, column);

	return v != NULL && v[0] == 't';
}

/* The first column of all rows, a line each; the caller frees. */
static char *
result_lines(const PGresult *res)
{
	char	*all = xstrdup(""), *more;
	int	 i;

	for (i = 0; i < PQntuples(res); i++) {
		more = xasprintf("%s%s\n", all, PQgetvalue(res, i, 0));
		free(all);
		all = more;
	}
	return all;
}

int
pg_run(const char *conninfo, const char *sql, char **value, char *err,
    size_t errlen)
{
	PGconn		*conn = PQconnectdb(conninfo);
	PGresult	*res = NULL;
	int		 r = -1;

	if (PQstatus(conn) != CONNECTION_OK) {
		(void)snprintf(err, errlen, "%s", PQerrorMessage(conn));
		goto out;
	}
	res = PQexec(conn, sql);
	if (!result_ok(res)) {
		(void)snprintf(err, errlen, "%s", PQerrorMessage(conn));
		goto out;
	}
	if (value != NULL)
		*value = result_lines(res);
	r = 0;
out:
	PQclear(res);
	PQfinish(conn);
	return r;
}

int
pg_run_together(const char *conninfo, char *const *sql, int n, char *err,
    size_t errlen)
{
	PGconn		*conn = PQconnectdb(conninfo);
	PGresult	*res = NULL;
	int		 i;

	for (i = -1; i <= n; i++) {
		PQclear(res);
		res = PQexec(conn, i == -1 ? "BEGIN" : i == n ? "COMMIT" :
		    sql[i]);
		if (!result_ok(res)) {
			(void)snprintf(err, errlen, "%s", PQerrorMessage(conn));
			break;
		}
	}
	PQclear(res);
	PQfinish(conn);
	if (i > n)
		return n;
	return i < 0 ? 0 : i == n ? n - 1 : i;
}
