/* SPDX-License-Identifier: ISC */

/*
 * feed: sends events, each with the time and a number that grows by one for
 * each event of a room: as rows of a table, or to nchan or NATS.
 *
 * One event for each byte read from a FIFO (wsload's --credit-to), or so many
 * a second. Those that are due together go together: in one transaction, or in
 * one write.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libpq-fe.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_BATCH	256

static struct {
	const char	*to, *table, *from, *prefix;
	int		 rooms, pad, batch;
	double		 rate, seconds;
} opt = { .prefix = "r", .rooms = 1, .pad = 200, .batch = 1, .seconds = 60 };

static PGconn	*db;		/* either this one */
static int	 sock = -1;	/* or this one */
static int	 nchan;
static char	*pad;
static uint64_t	*seq;		/* of each room */
static uint64_t	 sent, batches;
static volatile sig_atomic_t stopped;

static uint64_t
clock_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* --- PostgreSQL ----------------------------------------------------------- */

static void
pg_check(PGresult *r, ExecStatusType want)
{
	if (PQresultStatus(r) != want)
		errx(2, "%s", PQerrorMessage(db));
	PQclear(r);
}

static void
pg_open(const char *conninfo)
{
	char sql[256];

	db = PQconnectdb(conninfo);
	if (PQstatus(db) != CONNECTION_OK)
		errx(2, "%s", PQerrorMessage(db));
	snprintf(sql, sizeof(sql),
	    "INSERT INTO %s (room, t, n, pad) VALUES ($1, $2, $3, $4)",
	    opt.table);
	pg_check(PQprepare(db, "put", sql, 4, NULL), PGRES_COMMAND_OK);
	if (PQenterPipelineMode(db) != 1)
		errx(2, "no pipeline");
}

static void
pg_put(const char *room, uint64_t n)
{
	char t_text[24], n_text[24];
	const char *params[4] = { room, t_text, n_text, pad };

	snprintf(t_text, sizeof(t_text), "%lu", clock_us(CLOCK_REALTIME));
	snprintf(n_text, sizeof(n_text), "%lu", n);
	if (PQsendQueryPrepared(db, "put", 4, params, NULL, NULL, 0) != 1)
		errx(2, "%s", PQerrorMessage(db));
}

/* Statements up to a sync are one transaction. */
static void
pg_end(int n)
{
	PGresult *r;

	if (PQpipelineSync(db) != 1)
		errx(2, "%s", PQerrorMessage(db));
	for (int i = 0; i < n; i++) {
		pg_check(PQgetResult(db), PGRES_COMMAND_OK);
		if ((r = PQgetResult(db)) != NULL)
			errx(2, "one result too many");
	}
	pg_check(PQgetResult(db), PGRES_PIPELINE_SYNC);
}

/* --- nchan and NATS ------------------------------------------------------- */

static char	*out;
static size_t	 out_len, out_cap;

static void
out_add(const char *p, size_t n)
{
	if (n > out_cap - out_len) {
		out_cap = out_len + n + 65536;
		out = realloc(out, out_cap);
		if (out == NULL)
			err(2, "realloc");
	}
	memcpy(out + out_len, p, n);
	out_len += n;
}

static void
out_send(void)
{
	size_t done = 0;
	ssize_t w;

	for (; done < out_len; done += (size_t)w) {
		w = send(sock, out + done, out_len - done, MSG_NOSIGNAL);
		if (w <= 0)
			err(2, "send");
	}
	out_len = 0;
}

static void
sock_open(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1;

	sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0 ||
	    connect(sock, (struct sockaddr *)&to, sizeof(to)) < 0)
		err(2, "connect");
	setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void
sock_put(const char *room, uint64_t n)
{
	char head[256], body[128];
	int b, h;
	size_t len;

	b = snprintf(body, sizeof(body), "{\"room\":\"%s\",\"n\":%lu,"
	    "\"t\":%lu,\"pad\":\"", room, n, clock_us(CLOCK_REALTIME));
	len = (size_t)b + (size_t)opt.pad + 2;
	if (nchan)
		h = snprintf(head, sizeof(head), "POST /pub?id=%s HTTP/1.1\r\n"
		    "Host: x\r\nContent-Type: application/json\r\n"
		    "Content-Length: %zu\r\n\r\n", room, len);
	else
		h = snprintf(head, sizeof(head), "PUB %s %zu\r\n", room, len);
	out_add(head, (size_t)h);
	out_add(body, (size_t)b);
	out_add(pad, (size_t)opt.pad);
	out_add("\"}", 2);
	if (!nchan)
		out_add("\r\n", 2);
}

/* How often the text begins in p..p+n. */
static int
count(const char *p, size_t n, const char *text)
{
	const char *end = p + n;
	int k = 0;

	while ((p = memmem(p, (size_t)(end - p), text, strlen(text))) != NULL) {
		p += strlen(text);
		k++;
	}
	return k;
}

/* Until each of n requests has its answer; a header may come in two reads. */
static void
nchan_end(int n)
{
	static char in[65536 + 16];
	static const char head[] = "HTTP/1.1 20";
	size_t kept = 0, have;
	ssize_t r;

	while (n > 0) {
		r = recv(sock, in + kept, sizeof(in) - kept, 0);
		if (r <= 0)
			err(2, "recv");
		have = kept + (size_t)r;
		n -= count(in, have, head);
		kept = have < sizeof(head) - 2 ? have : sizeof(head) - 2;
		memmove(in, in + have - kept, kept);
	}
}

/* It asks now and then whether one is alive. */
static void
nats_end(void)
{
	char in[4096];
	ssize_t r = recv(sock, in, sizeof(in), MSG_DONTWAIT);

	if (r == 0 || (r < 0 && errno != EAGAIN))
		err(2, "recv");
	if (r > 0 && memmem(in, (size_t)r, "-ERR", 4) != NULL)
		errx(2, "NATS: %.*s", (int)r, in);
	if (r > 0 && memmem(in, (size_t)r, "PING", 4) != NULL) {
		out_add("PONG\r\n", 6);
		out_send();
	}
}

/* --- any of them ---------------------------------------------------------- */

static void
open_target(void)
{
	static const char hello[] =
	    "CONNECT {\"verbose\":false,\"auth_token\":\"bench\"}\r\n";
	int port;

	if (sscanf(opt.to, "nats:%d", &port) == 1) {
		sock_open(port);
		out_add(hello, sizeof(hello) - 1);
		out_send();
	} else if (sscanf(opt.to, "nchan:%d", &port) == 1) {
		sock_open(port);
		nchan = 1;
	} else
		pg_open(opt.to);
}

static void
put(int n)
{
	char room[64];
	int k;

	for (int i = 0; i < n; i++) {
		k = opt.rooms > 1 ? (int)(random() % opt.rooms) : 0;
		snprintf(room, sizeof(room), "%s%d", opt.prefix, k);
		seq[k]++;
		if (db != NULL)
			pg_put(room, seq[k]);
		else
			sock_put(room, seq[k]);
	}
	if (db != NULL)
		pg_end(n);
	else
		out_send();
	if (nchan)
		nchan_end(n);
	else if (db == NULL)
		nats_end();
	sent += (uint64_t)n;
	batches++;
}

/* How many are asked for, after waiting a moment for one. */
static int
asked(int fd)
{
	static char b[MAX_BATCH];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, 100) <= 0)
		return 0;
	n = read(fd, b, (size_t)opt.batch);
	return n > 0 ? (int)n : 0;
}

static int
due(uint64_t began)
{
	uint64_t want = (uint64_t)((double)(clock_us(CLOCK_MONOTONIC) - began) *
	    opt.rate / 1e6) + 1;

	if (want <= sent) {
		usleep(200);
		return 0;
	}
	return want - sent < (uint64_t)opt.batch ? (int)(want - sent) :
	    opt.batch;
}

static void
run(void)
{
	uint64_t began = clock_us(CLOCK_MONOTONIC);
	uint64_t end = began + (uint64_t)(opt.seconds * 1e6);
	int fd = -1, n;

	if (opt.from != NULL) {
		fd = open(opt.from, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			err(2, "%s", opt.from);
	}
	puts("ready");
	fflush(stdout);
	while (!stopped && clock_us(CLOCK_MONOTONIC) < end) {
		n = fd >= 0 ? asked(fd) : due(began);
		if (n > 0)
			put(n);
	}
	printf("sent %lu\nbatches %lu\n", sent, batches);
}

static void
on_signal(int sig)
{
	stopped = sig;
}

static void
usage(void)
{
	fputs("usage: feed --to CONNINFO|nats:PORT|nchan:PORT [options]\n"
	    "  --table T    where rows go: (room, t, n, pad)\n"
	    "  --from FIFO  an event for each byte there\n"
	    "  --rate R     or so many a second\n"
	    "  --seconds S  at most so long (60)\n"
	    "  --rooms N    a random one of r0 to r<N-1> each (1)\n"
	    "  --prefix P   in place of r\n"
	    "  --pad B      bytes beside room, time and number (200)\n"
	    "  --batch K    up to K together (1)\n", stderr);
	exit(2);
}

int
main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "to", 1, NULL, 'd' }, { "table", 1, NULL, 't' },
		{ "from", 1, NULL, 'f' }, { "rate", 1, NULL, 'r' },
		{ "seconds", 1, NULL, 's' }, { "rooms", 1, NULL, 'n' },
		{ "prefix", 1, NULL, 'x' }, { "pad", 1, NULL, 'p' },
		{ "batch", 1, NULL, 'b' }, { NULL, 0, NULL, 0 }
	};
	int o;

	while ((o = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (o) {
		case 'd': opt.to = optarg; break;
		case 't': opt.table = optarg; break;
		case 'f': opt.from = optarg; break;
		case 'r': opt.rate = atof(optarg); break;
		case 's': opt.seconds = atof(optarg); break;
		case 'n': opt.rooms = atoi(optarg); break;
		case 'x': opt.prefix = optarg; break;
		case 'p': opt.pad = atoi(optarg); break;
		case 'b': opt.batch = atoi(optarg); break;
		default: usage();
		}
	}
	if (optind != argc || opt.to == NULL || opt.rooms < 1 || opt.pad < 0 ||
	    opt.batch < 1 || opt.batch > MAX_BATCH ||
	    (opt.from == NULL && opt.rate <= 0))
		usage();
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	seq = calloc((size_t)opt.rooms, sizeof(*seq));
	pad = malloc((size_t)opt.pad + 1);
	if (seq == NULL || pad == NULL)
		err(2, "malloc");
	memset(pad, 'x', (size_t)opt.pad);
	pad[opt.pad] = '\0';
	open_target();
	run();
	return 0;
}
