/* SPDX-License-Identifier: ISC */

/*
 * A socket, that is one namespace of one client, is a session.  The session
 * begins with CONNECT and ends with the socket: its transport is the engine's
 * matter.  Whatever the daemon does to a session it does to its engine, but for
 * what ends a socket for good.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/config.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "dialect/blobs.h"
#include "dialect/endpoint.h"
#include "dialect/peer.h"
#include "dialect/sio.h"
#include "dialect/siotext.h"
#include "dialect/socketio.h"
#include "net/request.h"
#include "push/admit.h"
#include "push/client.h"
#include "push/command.h"
#include "push/recovery.h"
#include "push/session.h"

#define TOKEN_MAX	8192		/* bytes */
#define EVENT_MAX	200		/* bytes, as pgpush.on allows */
#define KEY_MAX		100
#define KEY_NAME	"$key"		/* of an argument */
#define VARIANTS_MAX	34
#define OFFSET_MAX	96		/* bytes, with the NUL */

/* What is kept of a handshake, for the sockets that come of it. */
struct request {
	char	*token;			/* owned, or NULL */
	bool	 recovers;		/* it does not say no */
	char	*peer;			/* owned; its address */
};

static const struct config	*cfg;
static struct engine_settings	 engine_settings;
static struct sio_settings	 sio_settings;
static struct variant		 variants[VARIANTS_MAX];
static size_t			 nvariants;

/* Connecting */

static void *
on_request(struct conn *c, const struct http_request *req)
{
	struct request	*r = xcalloc(1, sizeof(*r));
	char		 text[8], peer[ADDR_MAX];

	r->token = request_token(req, false);
	r->recovers = http_query_get(req, "recovery", text,
	    sizeof(text)) <= 0 || strcmp(text, "no") != 0;
	conn_peer(c, peer);
	r->peer = xstrdup(peer);
	admit_enter();
	return r;
}

static void
on_forget(void *arg)
{
	struct request	*r = arg;

	admit_leave();
	free(r->token);
	free(r->peer);
	free(r);
}

static const struct variant *
find_variant(const char *nsp, bool recovers)
{
	size_t	i;

	for (i = 0; i < nvariants; i++)
		if (strcmp(variants[i].nsp, nsp) == 0 &&
		    variants[i].recovers == recovers)
			return &variants[i];
	return NULL;
}

/* The token of CONNECT, else that of the handshake; the caller frees. */
static char *
find_token(const struct sio *sio, const struct span *auth)
{
	const struct request	*r = sio_request(sio);
	struct span		 v = span_member(auth, "token");
	char			 text[TOKEN_MAX];

	if (span_string(&v, text, sizeof(text)) > 0)
		return xstrdup(text);
	return r->token == NULL ? NULL : xstrdup(r->token);
}

/* What the client says of its past; -1 if nothing, or nothing legible. */
static int
read_past(struct peer_past *past, const struct span *auth)
{
	struct span	pid = span_member(auth, "pid"),
			offset = span_member(auth, "offset");
	char		text[OFFSET_MAX];

	if (span_string(&pid, past->pid, sizeof(past->pid)) !=
	    RECOVERY_PID_LEN)
		return -1;
	past->at = -1;
	if (offset.kind == SPAN_NONE)
		return 0;
	if (span_string(&offset, text, sizeof(text)) <= 0)
		return -1;
	past->at = request_parse_position(text, past->epoch,
	    sizeof(past->epoch));
	return past->at == -1 ? -1 : 0;
}

/* Some clients' handlers cannot take the argument that positions are. */
static bool
wants_recovery(const struct sio *sio, const struct span *auth)
{
	const struct request	*r = sio_request(sio);

	return recovery_is_on() && r->recovers &&
	    span_member(auth, "recovery").kind != SPAN_FALSE;
}

static void
on_connect(struct sio *sio, const struct http_slice *auth)
{
	const struct request	*r = sio_request(sio);
	struct span		 v = span_parse(auth->p, auth->len);
	struct peer_past	 past;
	char			*token;

	if (auth->len > 0 && v.kind != SPAN_OBJECT)
		sio_close(sio, CLOSE_BAD_FRAME, "auth is no object");
	else if ((token = find_token(sio, &v)) == NULL)
		peer_refuse(sio, "Authentication error: No token provided",
		    "unauthorized");
	else
		peer_new(sio, find_variant(sio_nsp(sio), wants_recovery(sio,
		    &v)), r->peer, token, read_past(&past, &v) == 0 ? &past :
		    NULL);
}

/* Events */

/* The one argument of an event into cmd, and what a repeat is known by. */
static void
read_argument(struct command *cmd, const struct span *all, size_t at)
{
	struct span	 arg = span_next(all, &at), key;
	char		 text[KEY_MAX + 1];

	if (span_next(all, &at).kind != SPAN_NONE)
		cmd->wrong = "data: more than one argument";
	else if (arg.kind != SPAN_NONE && !span_is_jsonb(&arg,
	    (size_t)cfg->max_message))
		cmd->wrong = "data";
	cmd->data = arg.kind == SPAN_NONE ? xstrdup("null") :
	    xmemdup(arg.p, arg.len);
	key = span_member(&arg, KEY_NAME);
	if (span_string(&key, text, sizeof(text)) > 0)
		cmd->key = xstrdup(text);
}

/* Returns -1 if it is not an event at all. */
static int
read_event(struct command *cmd, const struct packet *pkt, const char *p,
    size_t len)
{
	struct span	all = span_parse(p, len), name;
	char		text[EVENT_MAX + 1];
	size_t		at = 0;

	memset(cmd, 0, sizeof(*cmd));
	cmd->type = COMMAND_SEND;
	cmd->since = -1;
	if (all.kind != SPAN_ARRAY)
		return -1;
	name = span_next(&all, &at);
	if (name.kind != SPAN_STRING && name.kind != SPAN_NUMBER)
		return -1;
	if (span_string(&name, text, sizeof(text)) > 0)
		cmd->event = xstrdup(text);
	else
		cmd->wrong = "event";
	if (cmd->event != NULL && packet_is_reserved(cmd->event))
		return -1;
	read_argument(cmd, &all, at);
	if (cmd->wrong != NULL)
		cmd->type = COMMAND_BAD;
	if (pkt->ack >= 0)
		cmd->to.ref = xasprintf("%" PRId64, pkt->ack);
	return 0;
}

static void
on_event(struct sio *sio, const struct packet *pkt,
    const struct sio_blob *blobs)
{
	struct session	*s = peer_session(sio);
	struct command	 cmd;
	char		*filled = NULL;
	int		 r;

	/* We ask for no acks: an answer is to nothing. */
	if (s == NULL || pkt->type == PACKET_ACK ||
	    pkt->type == PACKET_BINARY_ACK)
		return;
	if (blobs != NULL && (filled = blobs_fill(pkt->data.p, pkt->data.len,
	    blobs, pkt->attachments)) == NULL) {
		sio_close(sio, CLOSE_BAD_FRAME, "bad attachments");
		return;
	}
	r = filled == NULL ? read_event(&cmd, pkt, pkt->data.p,
	    pkt->data.len) : read_event(&cmd, pkt, filled, strlen(filled));
	if (r == 0)
		client_command(s, &cmd);
	else
		sio_close(sio, CLOSE_BAD_FRAME, "no event");
	command_free(&cmd);
	free(filled);
}

static const struct sio_ops sio_ops = { on_request, on_forget, admit_nameless,
	on_connect, on_event, peer_take, peer_carried, peer_heard, peer_drained,
	peer_closed };

/* The beginning and the end */

static void
open_socketio(struct conn *c, const struct http_request *req)
{
	engine_serve(c, req, admit_refusal(c));
}

struct route socketio_routes[] = {
	{ NULL, "", open_socketio, false },
	{ NULL, NULL, NULL, false },
};

static void
add_variant(const char *nsp, bool recovers)
{
	struct variant	*v = &variants[nvariants++];

	v->dialect = peer_dialect;
	v->nsp = nsp;
	v->recovers = recovers;
}

static void
add_variants(void)
{
	const char	*pos = cfg->socketio_namespaces;
	char		 name[PACKET_NAMESPACE_MAX + 1];

	nvariants = 0;
	add_variant("/", false);
	add_variant("/", true);
	while (nvariants + 2 <= VARIANTS_MAX &&
	    config_list_next(&pos, name, sizeof(name))) {
		/* For the life of the process. */
		add_variant(xstrdup(name), false);
		add_variant(variants[nvariants - 1].nsp, true);
	}
}

void
socketio_init(const struct endpoint_env *env)
{
	cfg = env->cfg;
	engine_settings.ping_interval_ms = cfg->socketio_ping_interval_ms;
	engine_settings.ping_timeout_ms = cfg->socketio_ping_timeout_ms;
	engine_settings.upgrade_timeout_ms = cfg->socketio_upgrade_timeout_ms;
	engine_settings.payload_bytes = (size_t)cfg->max_message;
	engine_settings.answer_bytes = (size_t)cfg->output_high;
	engine_settings.node = "";
	sio_settings.namespaces = cfg->socketio_namespaces;
	sio_settings.bare_max = cfg->max_unauthenticated;
	sio_settings.connect_timeout_ms = cfg->socketio_connect_timeout_ms;
	socketio_routes[0].path = cfg->socketio_path;
	add_variants();
	peer_init(env->base, cfg, env->keys);
	siotext_init(env->feed);
	sio_init(env->base, &engine_settings, &sio_settings, &sio_ops);
}

void
socketio_exit(void)
{
	sio_exit();
	peer_exit();
}
