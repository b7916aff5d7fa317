/* SPDX-License-Identifier: ISC */

/*
 * The one file that knows both directions, and no dialect by name.
 */

#include <sys/queue.h>
#include <sys/resource.h>
#include <event2/event.h>
#include <event2/util.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/notify.h"
#include "base/text.h"
#include "base/table.h"
#include "base/xmalloc.h"
#include "db/feed.h"
#include "db/pg.h"
#include "db/reader.h"
#include "dialect/endpoint.h"
#include "gauges.h"
#include "net/conn.h"
#include "net/http.h"
#include "net/listener.h"
#include "net/request.h"
#include "net/route.h"
#include "net/sock.h"
#include "net/tls.h"
#include "push/admit.h"
#include "push/arrival.h"
#include "push/client.h"
#include "push/handler.h"
#include "push/hub.h"
#include "push/member.h"
#include "push/presence.h"
#include "push/recovery.h"
#include "push/rule.h"
#include "push/session.h"
#include "server.h"

#define TABLES_MAX	16
#define CLOSE_MS	5000		/* for a close handshake */
#define QUERY_STALL_MS	30000
#define SPARE_FDS	64		/* for what is no session */
#define OWN_FDS		24		/* for what is no client at all */
#define DRAIN_STEP_MS	50
#define START_STEP_MS	20		/* looks whether all is ready */
#define WATCH_MS	1000		/* and later on */
#define WHERE_MAX	512
#define PATIENCE_MS	10000		/* then it listens, ready or not */
#define LEAVE_MS	30000		/* then siblings get the clients */
#define RETURN_MS	1		/* for the return of each client */
#define RETRY_MIN_MS	500		/* until a restart may be over */
#define SPREAD_MIN_MS	500
#define SPREAD_MAX_MS	60000

static const struct config	*cfg;
static struct event_base	*loop;
static struct conn_limits	 limits;
static struct feed		*feed;
static struct pg		*query;
static struct tls		*tls;		/* NULL: no tls_listen */
static struct event		*drain_timer;
static struct event		*watch_timer;
static int64_t			 unready_ms;	/* since when */
static bool			 listening;
static char			*node;
static const struct route	*tables[TABLES_MAX];	/* of routes */
static size_t			 ntables;
static int64_t			 drain_start_ms;
static bool			 leaving;	/* and not ready any more */
static bool			 draining;
static int			 status;	/* of the exit */

/* Requests */

static bool
is_ready(void)
{
	return !leaving && feed_is_ready(feed) && pg_is_up(query) &&
	    reader_is_up() && rule_is_up() && handler_is_up();
}

static void
open_healthz(struct conn *c, const struct http_request *req)
{
	(void)req;
	conn_hush(c);
	conn_respond(c, 200, NULL, "text/plain", "ok");
}

static void
open_readyz(struct conn *c, const struct http_request *req)
{
	(void)req;
	conn_hush(c);
	if (is_ready())
		conn_respond(c, 200, NULL, "text/plain", "ready");
	else
		conn_respond(c, 503, NULL, "text/plain", "not ready");
}

static const struct route status_routes[] = {
	{ "GET", "/healthz", open_healthz, false },
	{ "HEAD", "/healthz", open_healthz, false },
	{ "GET", "/readyz", open_readyz, false },
	{ "HEAD", "/readyz", open_readyz, false },
	{ NULL, NULL, NULL, false },
};

static void
open_metrics(struct conn *c, const struct http_request *req)
{
	const struct http_slice	*h = http_header_find(req, "Accept");
	char			*accept = h == NULL ? NULL : xmemdup(h->p,
				    h->len), *text;
	enum metrics_format	 format = metrics_choose(accept);

	gauges_update(is_ready(), feed_position(feed));
	text = metrics_print(format);
	conn_answer(c, 200, NULL, metrics_type(format), text, strlen(text));
	free(text);
	free(accept);
}

static const struct route metrics_routes[] = {
	{ "GET", "/metrics", open_metrics, false },
	{ NULL, NULL, NULL, false },
};

static const struct route *const status_tables[] = { status_routes,
	metrics_routes };
#define NSTATUS	(sizeof(status_tables) / sizeof(status_tables[0]))

static void
on_request(struct conn *c, const struct http_request *req)
{
	log_debug("conn=%" PRIu64 " method=%s path=%s", conn_id(c),
	    log_quote(req->method.p, req->method.len),
	    log_quote(req->path.p, req->path.len));
	route_serve(tables, ntables, c, req);
}

static void
on_accept(struct sock *s, const struct sockaddr *peer)
{
	(void)conn_new(s, peer, on_request, &limits);
}

static void
on_status_request(struct conn *c, const struct http_request *req)
{
	conn_hush(c);
	route_serve(status_tables, NSTATUS, c, req);
}

/* Of addresses that clients do not know. */
static void
on_status_accept(struct sock *s, const struct sockaddr *peer)
{
	(void)conn_new(s, peer, on_status_request, &limits);
}

/* Whom to listen to */

static void
start_listening(void)
{
	if (listener_open() == 0) {
		listening = true;
		notify_send("READY=1\nSTATUS=serving clients");
		return;
	}
	/* The address was free, and another daemon was faster. */
	log_error("msg=\"cannot listen\" why=%s", log_quote(strerror(errno),
	    strlen(strerror(errno))));
	status = 1;
	(void)event_base_loopbreak(loop);
}

/*
 * Clients find a daemon that can serve them: it listens when it is ready.  One
 * that stays without its database for long leaves new clients to others on its
 * address; without others it tells them itself.
 */
static void
on_watch_timer(evutil_socket_t fd, short what, void *arg)
{
	int64_t	unready;

	(void)fd;
	(void)what;
	(void)arg;
	clock_start(watch_timer, listening ? WATCH_MS : START_STEP_MS);
	if (is_ready())
		unready_ms = clock_ms();
	unready = clock_ms() - unready_ms;
	if (!listening && !draining && (is_ready() ||
	    (cfg->reuse_port == 0 && unready >= PATIENCE_MS)))
		start_listening();
	else if (listening && cfg->reuse_port != 0 && unready >= LEAVE_MS) {
		log_warn("msg=\"no database for long, not listening\"");
		listener_close(on_accept);
		listening = false;
	}
}

/* What the modules tell one another */

static void
on_entry(void *arg, struct entry *e)
{
	(void)arg;
	hub_entry(e);
}

static void
on_complete(void *arg)
{
	(void)arg;
	hub_complete();
}

static void
on_notify(void *arg, const char *payload)
{
	(void)arg;
	hub_notify(payload);
}

/* The time over which so many clients should come back. */
static int64_t
spread_ms(int64_t clients)
{
	int64_t	ms = clients * RETURN_MS;

	if (ms < SPREAD_MIN_MS)
		return SPREAD_MIN_MS;
	return ms > SPREAD_MAX_MS ? SPREAD_MAX_MS : ms;
}

/* Send one of so many clients away, to come back at a time of his own. */
static void
send_away(struct session *s, int64_t clients)
{
	char		reason[32];
	uint32_t	random;

	evutil_secure_rng_get_bytes(&random, sizeof(random));
	(void)snprintf(reason, sizeof(reason), "retry=%" PRId64,
	    RETRY_MIN_MS + random % spread_ms(clients));
	session_close(s, CLOSE_RESTART, reason);
}

/* Who comes again is asked for his rights, and told what he has missed. */
static void
on_missed(void *arg)
{
	struct session	*s;
	int64_t		 clients = admit_count();

	(void)arg;
	log_warn("msg=\"the log does not go on from here\" connections=%"
	    PRId64, clients);
	client_config();
	while ((s = TAILQ_FIRST(&sessions)) != NULL)
		send_away(s, clients);
}

static void
on_ready(void *arg, bool ready)
{
	(void)arg;
	log_info("msg=%s position=%" PRId64, ready ? "ready" : "\"not ready\"",
	    feed_position(feed));
}

static void
on_stamp(void *arg, struct feed_stamp *stamp)
{
	struct text	pids = { NULL, 0, 0 };

	(void)arg;
	stamp->connections = admit_count();
	text_add(&pids, "{");
	text_add_number(&pids, feed_backend(feed));
	text_add(&pids, ",");
	text_add_number(&pids, pg_backend(query));
	text_add(&pids, ",");
	text_add_number(&pids, reader_backend());
	rule_backends(&pids);
	arrival_backends(&pids);
	handler_backends(&pids);
	text_add(&pids, "}");
	(void)snprintf(stamp->backends, sizeof(stamp->backends), "%s",
	    pids.buf);
	free(pids.buf);
}

static void
on_present(void *arg)
{
	(void)arg;
	arrival_look();
}

static void
on_unknown(void *arg)
{
	(void)arg;
	presence_renew();
}

static void
on_term(void *arg, int64_t first)
{
	(void)arg;
	hub_term(first);
}

static void
on_newest(void *arg, int64_t id, uint64_t asked)
{
	(void)arg;
	member_newest(id, asked);
}

static const struct feed_ops feed_ops = { on_entry, on_complete, on_notify,
	on_missed, on_term, on_newest, on_ready, on_stamp, on_present,
	on_unknown };
static const struct hub_ops hub_ops = { client_revoked, client_kicked,
	client_config };

static void
on_query_up(void *arg)
{
	(void)arg;
	feed_vet(feed, query);
	handler_reload();
	presence_renew();
	recovery_up();
}

static const struct pg_ops query_ops = { on_query_up, NULL, NULL };

/* The end */

/*
 * Send away as many sessions as should be gone by now: evenly, no faster than
 * they should come back, but all within half of the time.  One that waits for
 * an answer gets it first; a connection that never showed a token goes last.
 */
static void
drain_some(int64_t passed_ms)
{
	static int64_t	 total;
	struct session	*s, *next;
	int64_t		 keep = 0, window;

	if (total == 0)
		total = admit_count();
	window = cfg->drain_timeout_ms / 2;
	if (window > total * RETURN_MS)
		window = total * RETURN_MS;
	if (passed_ms < window)
		keep = total - total * passed_ms / window;
	for (s = TAILQ_FIRST(&sessions); s != NULL && admit_count() > keep;
	    s = next) {
		next = session_next(s);
		if (!client_is_busy(s))
			send_away(s, total);
	}
	if (keep > 0)
		return;
	admit_stop();
	if (TAILQ_EMPTY(&sessions))
		conn_close_all(CLOSE_RESTART, "restarting");
}

static bool
drained(void)
{
	return TAILQ_EMPTY(&sessions) && handler_is_idle() &&
	    recovery_is_idle() && rule_is_idle() &&
	    pg_outstanding(query) == 0;
}

static void
begin_drain(void)
{
	log_info("msg=draining connections=%" PRId64, admit_count());
	draining = true;
	drain_start_ms = clock_ms();
	listener_close(on_accept);
	listener_stop(on_accept);
	clock_start(drain_timer, 0);
}

static void
on_drain_timer(evutil_socket_t fd, short what, void *arg)
{
	int64_t		passed = clock_ms() - drain_start_ms;
	static bool	saying_goodbye;

	(void)fd;
	(void)what;
	(void)arg;
	if (!draining) {
		begin_drain();
		return;
	}
	drain_some(passed);
	if (!saying_goodbye && drained()) {
		saying_goodbye = true;
		feed_goodbye(feed);
	}
	if ((saying_goodbye && feed_is_gone(feed) && conn_count() == 0) ||
	    passed >= cfg->drain_timeout_ms) {
		(void)event_base_loopbreak(loop);
		return;
	}
	clock_start(drain_timer, DRAIN_STEP_MS);
}

/*
 * At first only /readyz says it, so that what spreads the clients looks
 * elsewhere; a second call does not wait for that.
 */
void
server_drain(void)
{
	if (draining)
		return;
	if (leaving || cfg->shutdown_delay_ms == 0 || !listening) {
		leaving = true;
		begin_drain();
		return;
	}
	leaving = true;
	log_info("msg=leaving shutdown_delay_ms=%" PRId64,
	    cfg->shutdown_delay_ms);
	clock_start(drain_timer, cfg->shutdown_delay_ms);
}

int
server_exit(void)
{
	const struct endpoint	*e;

	listener_stop(NULL);
	for (e = endpoints; e->routes != NULL; e++)
		if (e->exit != NULL)
			e->exit();
	conn_exit();
	sock_exit();
	tls_free(tls);
	client_exit();
	arrival_exit();
	feed_free(feed);
	pg_free(query);
	handler_exit();
	rule_exit();
	presence_exit();
	recovery_exit();
	member_exit();
	event_free(drain_timer);
	event_free(watch_timer);
	free(node);
	return status;
}

/* The beginning */

/* How many descriptors there are beside so many, and beside those of the
 * connections to the database on which users take turns. */
static size_t
descriptors_but(size_t reserved)
{
	struct rlimit	rl;

	reserved += (size_t)(cfg->handler_connections +
	    cfg->rule_connections);
	if (getrlimit(RLIMIT_NOFILE, &rl) == -1 || rl.rlim_cur <= reserved)
		return 1;
	return (size_t)rl.rlim_cur - reserved;
}

static char *
node_name(void)
{
	char	host[256] = "localhost";

	if (cfg->node[0] != '\0')
		return xstrdup(cfg->node);
	(void)gethostname(host, sizeof(host) - 1);
	return xasprintf("%s:%d", host, (int)getpid());
}

static void
start_endpoints(const struct token_keys *keys)
{
	struct endpoint_env	 env = { loop, cfg, keys, feed };
	const struct endpoint	*e;

	ntables = 0;
	tables[ntables++] = status_routes;
	for (e = endpoints; e->routes != NULL; e++) {
		if (ntables == TABLES_MAX)
			fatal("msg=\"too many endpoints\"");
		if (e->init != NULL)
			e->init(&env);
		tables[ntables++] = e->routes;
	}
}

static void
start_modules(const struct token_keys *keys)
{
	struct pg_settings	set = { "query", cfg->database,
	    cfg->reconnect_min_ms, cfg->reconnect_max_ms, QUERY_STALL_MS };

	table_init();
	conn_init(loop);
	feed = feed_new(loop, cfg, node, &feed_ops, NULL);
	query = pg_new(loop, &set, &query_ops, NULL);
	member_init(loop, cfg, feed);
	hub_init(cfg, &hub_ops);
	rule_init(loop, cfg, feed, query);
	arrival_init(loop, cfg, feed, query);
	handler_init(loop, cfg, feed, query, client_loaded);
	presence_init(loop, query, node);
	recovery_init(loop, cfg, query, node);
	client_init(loop, cfg, feed, keys);
	request_init(cfg);
	start_endpoints(keys);
}

/* Returns 0, or -1 with where and why in err. */
static int
take_addresses(const char *key, const char *list, bool reuse_port,
    const struct tls *with, listener_accept *accept, char *err, size_t errlen)
{
	char		 address[ADDR_MAX], where[WHERE_MAX];
	const char	*why;

	while (config_list_next(&list, address, sizeof(address))) {
		if (listener_add(address, reuse_port, with, accept) == 0)
			continue;
		why = strerror(errno);
		config_where(cfg, key, where, sizeof(where));
		(void)snprintf(err, errlen, "%s: %s: %s", where, address, why);
		return -1;
	}
	return 0;
}

static int
load_tls(const struct config *from, char *err, size_t errlen)
{
	struct tls_files	files = { from->tls_certificate_file,
				    from->tls_key_file,
				    from->tls_ticket_secret_file };

	if (tls == NULL)
		tls = tls_new();
	return tls_load(tls, &files, err, errlen);
}

static int64_t
max_clients(void)
{
	return cfg->max_connections > 0 ? cfg->max_connections :
	    (int64_t)descriptors_but(SPARE_FDS);
}

static void
set_limits(void)
{
	limits.message_bytes = (size_t)cfg->max_message;
	limits.output_high_bytes = (size_t)cfg->output_high;
	limits.request_timeout_ms = cfg->auth_timeout_ms;
	limits.close_timeout_ms = CLOSE_MS;
}

int
server_start(struct event_base *base, const struct config *config,
    const struct token_keys *keys, char *err, size_t errlen)
{
	cfg = config;
	loop = base;
	listener_init(loop, conn_count, descriptors_but(OWN_FDS));
	admit_init(max_clients(), cfg->max_per_address);
	set_limits();
	drain_timer = clock_new(loop, on_drain_timer, NULL);
	watch_timer = clock_new(loop, on_watch_timer, NULL);
	gauges_init();
	unready_ms = clock_ms();
	node = node_name();
	start_modules(keys);
	if (take_addresses("status_listen", cfg->status_listen, false, NULL,
	    on_status_accept, err, errlen) == -1)
		return -1;
	if (listener_open() == -1) {
		(void)snprintf(err, errlen, "status_listen: %s",
		    strerror(errno));
		return -1;
	}
	if (take_addresses("listen", cfg->listen, cfg->reuse_port != 0,
	    NULL, on_accept, err, errlen) == -1)
		return -1;
	if (cfg->tls_listen[0] != '\0' &&
	    (load_tls(cfg, err, errlen) == -1 || take_addresses("tls_listen",
	    cfg->tls_listen, cfg->reuse_port != 0, tls, on_accept, err,
	    errlen) == -1))
		return -1;
	clock_start(watch_timer, START_STEP_MS);
	return 0;
}

int
server_reload(const struct config *fresh, char *err, size_t errlen)
{
	return tls == NULL ? 0 : load_tls(fresh, err, errlen);
}

void
server_reloaded(void)
{
	set_limits();
	admit_set_max(max_clients(), cfg->max_per_address);
}
