/* SPDX-License-Identifier: ISC */

/*
 * The one file that knows both directions.  Routes: /ws, /events, /send,
 * /healthz, /readyz.
 */

#include <sys/queue.h>
#include <sys/resource.h>
#include <netdb.h>
#include <event2/event.h>
#include <event2/util.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "push/client.h"
#include "base/clock.h"
#include "base/config.h"
#include "net/conn.h"
#include "db/feed.h"
#include "push/handler.h"
#include "push/hub.h"
#include "base/log.h"
#include "push/member.h"
#include "db/pg.h"
#include "push/presence.h"
#include "push/command.h"
#include "dialect/proto.h"
#include "server.h"
#include "push/session.h"
#include "net/sock.h"
#include "dialect/sse.h"
#include "base/table.h"
#include "dialect/web.h"
#include "net/ws.h"
#include "base/xmalloc.h"

#define ACCEPT_MAX	64		/* connections accepted in one turn */
#define ACCEPT_PAUSE_MS	1000		/* after running out of descriptors */
#define CLOSE_MS	5000		/* for a close handshake */
#define QUERY_STALL_MS	30000
#define SPARE_FDS	64		/* for what is no session */
#define OWN_FDS		20		/* for what is no client at all */
#define DRAIN_STEP_MS	50
#define RETURN_MS	1		/* for the return of each client */
#define RETRY_MIN_MS	500		/* until a restart may be over */
#define SPREAD_MIN_MS	500
#define SPREAD_MAX_MS	60000
#define PROTOCOL	"pgpush.v1"
#define BEARER		"bearer."

struct listener {
	LIST_ENTRY(listener)	 entry;
	struct event		*ev;
	int			 fd;
};

static const struct config	*cfg;
static struct event_base	*loop;
static LIST_HEAD(, listener)	 listeners = LIST_HEAD_INITIALIZER(listeners);
static struct conn_limits	 limits;
static struct feed		*feed;
static struct pg		*query;
static struct event		*accept_timer;
static struct event		*drain_timer;
static char			*node;
static int64_t			 nconns;	/* with a session */
static int64_t			 max_conns;
static size_t			 max_socks;	/* the rest is for us */
static int64_t			 drain_start_ms;
static bool			 draining;
static bool			 out_of_fds;

/* Connections */

static void
on_message(struct conn *c, bool binary, const uint8_t *p, size_t len)
{
	struct session	*s = conn_owner(c);
	struct command	 cmd;

	if (binary) {
		conn_close(c, CLOSE_BAD_FRAME, "binary message");
		return;
	}
	if (proto_parse(&cmd, (const char *)p, len, NULL) == -1)
		conn_close(c, CLOSE_BAD_FRAME, "not a JSON object");
	else
		client_command(s, &cmd);
	command_free(&cmd);
}

static void
on_drained(struct conn *c)
{
	member_drained(conn_owner(c));
}

static void
on_conn_timer(struct conn *c)
{
	struct session	*s = conn_owner(c);

	if (s == NULL)
		web_timeout(c);
	else
		client_tick(s);
}

static void
on_closed(struct conn *c, int code)
{
	struct session	*s = conn_owner(c);

	log_debug("conn=%" PRIu64 " msg=closed code=%d", conn_id(c), code);
	if (s == NULL) {
		web_closed(c);
		return;
	}
	nconns--;
	sse_ended(s);
	conn_set_owner(c, NULL);
	client_close(s);
}

/* Requests */

/* The token of the request: Authorization, else the subprotocol list. */
static void
find_token(const struct http_request *req, struct http_slice *token)
{
	web_bearer(req, token);
	if (token->len > 0)
		return;
	ws_subprotocol_find(token, req, BEARER);
	if (token->len > 0) {
		token->p += sizeof(BEARER) - 1;
		token->len -= sizeof(BEARER) - 1;
	}
}

/* A position from the query: -1 if there is none, -2 if it is none. */
static int64_t
find_since(const struct http_request *req)
{
	char	 text[24], *end;
	int64_t	 since;

	if (http_query_get(req, "since", text, sizeof(text)) <= 0)
		return -1;
	errno = 0;
	since = strtoll(text, &end, 10);
	return errno != 0 || *end != '\0' || since < 0 ? -2 : since;
}

static void
open_session(struct conn *c, const struct http_request *req)
{
	struct http_slice	 token = { NULL, 0 };
	struct session		*s;
	char			 epoch[64];
	int64_t			 since = find_since(req);

	find_token(req, &token);
	s = session_new(c, &proto_dialect);
	conn_set_owner(c, s);
	client_open(s);
	if (since == -2)
		conn_close(c, CLOSE_BAD_FRAME, "bad since");
	else if (token.len > 0)
		client_token(s, token.p, token.len, since,
		    http_query_get(req, "epoch", epoch, sizeof(epoch)) > 0 ?
		    epoch : NULL, NULL);
}

/* Why no new client is let in, or NULL. */
static const char *
refusal(void)
{
	if (draining)
		return "restarting";
	return nconns >= max_conns ? "too many connections" : NULL;
}

static void
route_websocket(struct conn *c, const struct http_request *req)
{
	int			 status = ws_handshake_check(req);

	if (status != 0) {
		conn_respond(c, status, status == 426 ?
		    "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n" :
		    NULL, "text/plain", http_reason(status));
		return;
	}
	if (refusal() != NULL) {
		conn_respond(c, 503, "Retry-After: 5\r\n", "text/plain",
		    refusal());
		return;
	}
	conn_upgrade(c, req, http_header_has(req, "Sec-WebSocket-Protocol",
	    PROTOCOL) ? PROTOCOL : NULL);
	if (web_origin_ok(req)) {
		nconns++;
		open_session(c, req);
	} else
		conn_close(c, CLOSE_FORBIDDEN, "origin not allowed");
}

static bool
is_ready(void)
{
	return !draining && feed_is_ready(feed) && pg_is_up(query) &&
	    member_is_up() && handler_is_up();
}

static void
route_status(struct conn *c, const struct http_request *req, bool ok,
    const char *yes, const char *no)
{
	if (!http_slice_is(&req->method, "GET") &&
	    !http_slice_is(&req->method, "HEAD"))
		conn_respond(c, 405, "Allow: GET, HEAD\r\n", "text/plain",
		    "GET only");
	else
		conn_respond(c, ok ? 200 : 503, NULL, "text/plain",
		    ok ? yes : no);
}

static void
on_request(struct conn *c, const struct http_request *req)
{
	log_debug("conn=%" PRIu64 " method=%s path=%s", conn_id(c),
	    log_quote(req->method.p, req->method.len),
	    log_quote(req->path.p, req->path.len));
	if (http_slice_is(&req->path, "/ws"))
		route_websocket(c, req);
	else if (web_has(req))
		nconns += web_request(c, req, refusal()) != NULL;
	else if (http_slice_is(&req->path, "/healthz"))
		route_status(c, req, true, "ok", "");
	else if (http_slice_is(&req->path, "/readyz"))
		route_status(c, req, is_ready(), "ready", "not ready");
	else
		conn_respond(c, 404, NULL, "text/plain", "not found");
}

static const struct conn_ops conn_ops = { on_request, on_message, on_drained,
	on_conn_timer, on_closed };

/* Listening */

static void
pause_accepting(const char *why)
{
	struct listener	*l;

	if (!out_of_fds)
		log_warn("msg=\"cannot accept\" why=%s",
		    log_quote(why, strlen(why)));
	out_of_fds = true;
	LIST_FOREACH(l, &listeners, entry)
		(void)event_del(l->ev);
	clock_start(accept_timer, ACCEPT_PAUSE_MS);
}

static void
on_accept_timer(evutil_socket_t fd, short what, void *arg)
{
	struct listener	*l;

	(void)fd;
	(void)what;
	(void)arg;
	LIST_FOREACH(l, &listeners, entry)
		(void)event_add(l->ev, NULL);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct sockaddr_storage	 ss;
	struct sock		 sock;
	int			 i;

	(void)what;
	(void)arg;
	for (i = 0; i < ACCEPT_MAX; i++) {
		if (conn_count() >= max_socks) {
			pause_accepting("descriptors are kept for the "
			    "database");
			return;
		}
		if (sock_accept(&sock, fd, &ss) == 0) {
			out_of_fds = false;
			conn_new(&sock, (struct sockaddr *)&ss, &conn_ops,
			    &limits);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM)
			pause_accepting(strerror(errno));
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

static int
listen_on(const char *address, char *err, size_t errlen)
{
	struct sockaddr_storage	 ss;
	struct listener		*l;
	socklen_t		 len;
	int			 fd;
	char			 name[SOCK_NAME_MAX];

	if (sock_parse(address, &ss, &len) == -1)
		fatal("msg=\"config let a bad address pass\"");
	fd = sock_listen((struct sockaddr *)&ss, len, cfg->reuse_port != 0);
	if (fd == -1) {
		(void)snprintf(err, errlen, "listen: %s: %s", address,
		    strerror(errno));
		return -1;
	}
	l = xcalloc(1, sizeof(*l));
	l->fd = fd;
	l->ev = event_new(loop, fd, EV_READ | EV_PERSIST, on_accept, l);
	if (l->ev == NULL || event_add(l->ev, NULL) == -1)
		fatal("msg=\"cannot watch a listening socket\"");
	LIST_INSERT_HEAD(&listeners, l, entry);
	sock_name((struct sockaddr *)&ss, name);
	log_info("msg=listening address=%s", name);
	return 0;
}

static void
stop_listening(void)
{
	struct listener	*l;

	(void)evtimer_del(accept_timer);
	while ((l = LIST_FIRST(&listeners)) != NULL) {
		LIST_REMOVE(l, entry);
		event_free(l->ev);
		close(l->fd);
		free(l);
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
	int64_t		 clients = nconns;

	(void)arg;
	log_warn("msg=\"the log does not go on from here\" connections=%"
	    PRId64, nconns);
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
	(void)arg;
	stamp->connections = nconns;
	(void)snprintf(stamp->backends, sizeof(stamp->backends),
	    "{%d,%d,%d,%d}", feed_backend(feed), pg_backend(query),
	    member_backend(), handler_backend());
}

static void
on_unknown(void *arg)
{
	(void)arg;
	presence_renew();
}

static const struct feed_ops feed_ops = { on_entry, on_complete, on_notify,
	on_missed, on_ready, on_stamp, on_unknown };
static const struct hub_ops hub_ops = { client_revoked, client_kicked,
	client_config };

static void
on_query_up(void *arg)
{
	(void)arg;
	feed_vet(feed, query);
	presence_renew();
}

static const struct pg_ops query_ops = { on_query_up, NULL, NULL };

/* The end */

/*
 * Send away as many sessions as should be gone by now: evenly, no faster than
 * they should come back, but all within half of the time.
 */
static void
drain_some(int64_t passed_ms)
{
	static int64_t	 total;
	struct session	*s;
	int64_t		 keep = 0, window;

	if (total == 0)
		total = nconns;
	window = cfg->drain_timeout_ms / 2;
	if (window > total * RETURN_MS)
		window = total * RETURN_MS;
	if (passed_ms < window)
		keep = total - total * passed_ms / window;
	while (nconns > keep && (s = TAILQ_FIRST(&sessions)) != NULL)
		send_away(s, total);
	if (keep <= 0)		/* who never showed a token, too */
		conn_close_all(CLOSE_RESTART, "restarting");
}

static bool
drained(void)
{
	return TAILQ_EMPTY(&sessions) && handler_is_idle() &&
	    pg_outstanding(query) == 0;
}

static void
on_drain_timer(evutil_socket_t fd, short what, void *arg)
{
	int64_t		passed = clock_ms() - drain_start_ms;
	static bool	saying_goodbye;

	(void)fd;
	(void)what;
	(void)arg;
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

void
server_drain(void)
{
	if (draining)
		return;
	log_info("msg=draining connections=%" PRId64, nconns);
	draining = true;
	drain_start_ms = clock_ms();
	stop_listening();
	clock_start(drain_timer, 0);
}

void
server_exit(void)
{
	stop_listening();
	conn_exit();
	feed_free(feed);
	pg_free(query);
	handler_exit();
	presence_exit();
	member_exit();
	event_free(accept_timer);
	event_free(drain_timer);
	free(node);
}

/* The beginning */

/* How many descriptors there are beside so many. */
static size_t
descriptors_but(size_t reserved)
{
	struct rlimit	rl;

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
	handler_init(loop, cfg, feed, client_loaded);
	presence_init(loop, query, node);
	client_init(cfg, feed, query, keys);
	sse_init(feed);
	web_init(cfg, keys);
}

int
server_start(struct event_base *base, const struct config *config,
    const struct token_keys *keys, char *err, size_t errlen)
{
	const char	*pos = config->listen;
	char		 address[SOCK_NAME_MAX];

	cfg = config;
	loop = base;
	max_socks = descriptors_but(OWN_FDS);
	max_conns = cfg->max_connections > 0 ? cfg->max_connections :
	    (int64_t)descriptors_but(SPARE_FDS);
	limits.message_bytes = (size_t)cfg->max_message;
	limits.output_high_bytes = (size_t)cfg->output_high;
	limits.request_timeout_ms = cfg->auth_timeout_ms;
	limits.close_timeout_ms = CLOSE_MS;
	accept_timer = clock_new(loop, on_accept_timer, NULL);
	drain_timer = clock_new(loop, on_drain_timer, NULL);
	node = node_name();
	start_modules(keys);
	while (config_list_next(&pos, address, sizeof(address)))
		if (listen_on(address, err, errlen) == -1)
			return -1;
	return 0;
}
