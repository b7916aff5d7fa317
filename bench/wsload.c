/* SPDX-License-Identifier: ISC */

/*
 * wsload: opens many WebSocket connections, then counts and times what they
 * receive.
 *
 * Once all connections are ready it says so and takes commands, one a line, on
 * standard input: "measure seconds=4 fanout=1000 window=32" receives for so
 * long. Each answer is a line "key value" per figure and a line "." at its end.
 * The end of the input ends it.
 *
 * A message that holds the marker ("t":) is a delivery: the digits behind it
 * are the sender's clock in microseconds, those behind "n": grow by one for
 * each event of a room, so that what is missing or doubled is seen.
 *
 * It is the clock of a run, too: for each event that the feeder is to send it
 * writes one byte into a FIFO, at a pace or when earlier ones have arrived.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RBUF_SIZE	(1 << 20)	/* the longest message, and one read */
#define MAX_READY	1024		/* of one epoll_wait */
#define MAX_TEXT	16384		/* of what is sent */
#define MAX_PIDS	16
#define MAX_SENDS	8
#define SETTLE_S	30		/* for what was asked for to arrive */

/* With a fixed key the answer is a constant, RFC 6455 section 1.3. */
#define WS_KEY		"dGhlIHNhbXBsZSBub25jZQ=="
#define WS_ACCEPT	"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum { OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };
enum state { ST_CONNECTING, ST_HTTP, ST_OPEN, ST_CLOSED };

struct conn {
	int		 fd;
	enum state	 state;
	int		 ready;
	int		 replies;	/* expected ones, up to now */
	char		*carry;		/* the part of a message; owned */
	size_t		 carry_len, carry_cap;
	uint64_t	 seq_last;	/* highest number seen, 0: none */
	uint64_t	 seq_seen;	/* bit i: seq_last - i was seen */
};

/* What to look for in a message; most have it at the same place. */
struct key {
	const char	*text;
	size_t		 len;
	size_t		 hint;
};

/* A process whose CPU time is told; several may have one label. */
struct watched {
	const char	*label;
	clockid_t	 clock;
	double		 us[2];
};

static struct {
	const char	*host, *path, *protocol, *sio, *expect, *credit_to;
	const char	*sends[MAX_SENDS], *header;
	size_t		 nsends;
	char	       **tokens;
	size_t		 ntokens;
	uint32_t	 conns, group, parallel, expect_count;
	int		 multi;
	double		 setup_s;
	struct watched	 pids[MAX_PIDS];
	size_t		 npids;
} opt = { .conns = 1, .group = 1, .parallel = 128, .expect_count = 1,
    .setup_s = 60 };

/* One command. */
struct phase {
	double		 seconds, warmup_s, pace;
	uint64_t	 fanout, window, deliveries;
};

static struct {
	uint32_t	 launched, pending, ready, failed, closed;
	uint64_t	 early;		/* deliveries outside a measure */
	uint64_t	 deliveries, bytes, frames, reads;
	uint64_t	 missing, dup, late;
	uint64_t	 first_us, last_us;
	uint64_t	 asked, got, asking_since;
	uint64_t	 lat_max, lat_sum;
} st;

#define HIST_SUB	64
#define HIST_SIZE	(HIST_SUB * 42)
static uint64_t	 hist[HIST_SIZE];

static struct key key_time = { "\"t\":", 4, 0 };
static struct key key_number = { "\"n\":", 4, 0 };
static char	 rbuf[RBUF_SIZE];
static struct conn *conns;
static struct sockaddr_in server = { .sin_family = AF_INET };
static int	 ep, credit_fd = -1, measuring, commanded;
static uint64_t	 now_mono, now_real;	/* microseconds, set once per read */
static volatile sig_atomic_t stopped;

static double
clock_us_fine(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) != 0)
		return 0;
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static uint64_t
clock_us(clockid_t id)
{
	return (uint64_t)clock_us_fine(id);
}

/* The kernel's count of user and system time, all threads, in nanoseconds. */
static void
sample_pids(int when)
{
	for (size_t i = 0; i < opt.npids; i++)
		opt.pids[i].us[when] = clock_us_fine(opt.pids[i].clock);
}

/* What the processes of the label of the i-th have used; -1: told before. */
static double
pids_used(size_t i)
{
	double us = 0;

	for (size_t k = 0; k < opt.npids; k++) {
		if (strcmp(opt.pids[k].label, opt.pids[i].label) != 0)
			continue;
		if (k < i)
			return -1;
		us += opt.pids[k].us[1] - opt.pids[k].us[0];
	}
	return us;
}

/* --- latency: 64 steps for each power of two ------------------------------ */

static void
hist_add(uint64_t v)
{
	unsigned e;
	uint64_t i;

	e = v < 2 * HIST_SUB ? 0 : 57 - (unsigned)__builtin_clzll(v);
	i = e * HIST_SUB + (v >> e);
	hist[i < HIST_SIZE ? i : HIST_SIZE - 1]++;
	st.lat_sum += v;
	if (v > st.lat_max)
		st.lat_max = v;
}

static uint64_t
hist_at(double q)
{
	uint64_t want = (uint64_t)(q * (double)st.deliveries + 0.5), sum = 0;

	for (unsigned i = 0; i < HIST_SIZE; i++) {
		sum += hist[i];
		if (sum == 0 || sum < want)
			continue;
		if (i < HIST_SUB)
			return i;
		return (uint64_t)(i % HIST_SUB + HIST_SUB) <<
		    (i / HIST_SUB - 1);
	}
	return st.lat_max;
}

/* --- one connection ------------------------------------------------------- */

/*
 * %d: the connection's number, %g: that through --group, %t: its token, %%: %.
 * Valid until the next call.
 */
static const char *
expand(const char *s, const struct conn *c)
{
	static char out[MAX_TEXT];
	uint32_t id = (uint32_t)(c - conns);
	size_t n = 0;
	int w;

	for (; *s != '\0' && n < sizeof(out) - 1; s++) {
		if (s[0] != '%' || s[1] == '\0') {
			out[n++] = *s;
			continue;
		}
		w = 0;
		switch (*++s) {
		case 'd':
			w = snprintf(out + n, sizeof(out) - n, "%u", id);
			break;
		case 'g':
			w = snprintf(out + n, sizeof(out) - n, "%u",
			    id / opt.group);
			break;
		case 't':
			w = snprintf(out + n, sizeof(out) - n, "%s",
			    opt.ntokens > 0 ?
			    opt.tokens[id % opt.ntokens] : "");
			break;
		default:
			out[n] = *s;
			w = 1;
			break;
		}
		n += (size_t)w;
		if (n >= sizeof(out))
			errx(2, "too long: %s", s);
	}
	out[n] = '\0';
	return out;
}

static void
watch(int op, int fd, uint32_t events, struct conn *c)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (epoll_ctl(ep, op, fd, &ev) < 0)
		err(2, "epoll_ctl");
}

/* One that ends before it was ready has failed. */
static void
conn_close(struct conn *c)
{
	if (c->state == ST_CLOSED)
		return;
	if (c->ready) {
		st.ready--;
		st.closed++;
	} else {
		st.pending--;
		st.failed++;
	}
	close(c->fd);
	free(c->carry);
	*c = (struct conn){ .fd = -1, .state = ST_CLOSED };
}

/* What we send is short; should the socket be full all the same, wait. */
static void
conn_write(struct conn *c, const char *p, size_t n)
{
	struct pollfd pf = { .fd = c->fd, .events = POLLOUT };
	ssize_t w;

	while (n > 0) {
		w = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (w < 0 && (errno != EAGAIN || poll(&pf, 1, 2000) <= 0)) {
			conn_close(c);
			return;
		}
		if (w > 0) {
			p += w;
			n -= (size_t)w;
		}
	}
}

static void
send_frame(struct conn *c, int op, const char *p, size_t n)
{
	static unsigned char f[MAX_TEXT + 8];
	static uint32_t mask = 2463534242u;
	size_t h = n < 126 ? 2 : 4;

	if (c->state != ST_OPEN || n > MAX_TEXT)
		return;
	mask = mask * 1664525 + 1013904223;
	f[0] = (unsigned char)(0x80 | op);
	f[1] = (unsigned char)(0x80 | (h == 2 ? n : 126));
	if (h == 4) {
		f[2] = (unsigned char)(n >> 8);
		f[3] = (unsigned char)n;
	}
	memcpy(f + h, &mask, 4);
	for (size_t i = 0; i < n; i++)
		f[h + 4 + i] = (unsigned char)p[i] ^ f[h + (i & 3)];
	conn_write(c, (const char *)f, h + 4 + n);
}

static void
send_text(struct conn *c, const char *s)
{
	send_frame(c, OP_TEXT, s, strlen(s));
}

static void
conn_ready(struct conn *c)
{
	if (c->ready || c->state != ST_OPEN)
		return;
	c->ready = 1;
	st.ready++;
	st.pending--;
}

/* It may talk: after the handshake, or after that of Socket.IO. */
static void
conn_greeted(struct conn *c)
{
	for (size_t i = 0; i < opt.nsends; i++)
		send_text(c, expand(opt.sends[i], c));
	if (opt.expect == NULL)
		conn_ready(c);
}

static const char *
find(struct key *k, const char *from, const char *end)
{
	const char *p = from + k->hint;

	if (k->hint + k->len <= (size_t)(end - from) &&
	    memcmp(p, k->text, k->len) == 0)
		return p + k->len;
	p = memmem(from, (size_t)(end - from), k->text, k->len);
	if (p == NULL)
		return NULL;
	k->hint = (size_t)(p - from);
	return p + k->len;
}

static uint64_t
digits(const char *p, const char *end)
{
	uint64_t v = 0;

	while (p < end && (*p == ' ' || *p == '"'))
		p++;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	return v;
}

static void
check_seq(struct conn *c, uint64_t n)
{
	uint64_t d;

	if (n > c->seq_last) {
		d = n - c->seq_last;
		if (c->seq_last > 0)
			st.missing += d - 1;
		c->seq_seen = d < 64 ? c->seq_seen << d | 1 : 1;
		c->seq_last = n;
		return;
	}
	d = c->seq_last - n;
	if (d >= 64 || (c->seq_seen & 1ull << d) != 0) {
		st.dup++;
		return;
	}
	st.late++;
	if (st.missing > 0)
		st.missing--;
	c->seq_seen |= 1ull << d;
}

static void
on_delivery(struct conn *c, const char *t, const char *from, const char *end)
{
	const char *s = find(&key_number, from, end);
	uint64_t sent, n = s != NULL ? digits(s, end) : 0;

	if (n > 0)
		check_seq(c, n);
	st.got++;
	st.last_us = now_mono;
	if (!measuring) {
		st.early++;
		return;
	}
	sent = digits(t, end);
	hist_add(now_real > sent ? now_real - sent : 0);
	st.deliveries++;
	if (st.first_us == 0)
		st.first_us = now_mono;
}

/* Engine.IO: 0 open, 2 ping. Socket.IO in it: 40 and 44, let in or not. */
static void
on_socketio(struct conn *c, const char *p, size_t n)
{
	if (n >= 1 && p[0] == '2')
		send_text(c, "3");
	else if (n >= 1 && p[0] == '0')
		send_text(c, expand(opt.sio, c));
	else if (n >= 2 && p[0] == '4' && p[1] == '0')
		conn_greeted(c);
	else if (n >= 2 && p[0] == '4' && p[1] == '4')
		conn_close(c);
}

static void
on_message(struct conn *c, const char *p, size_t n)
{
	const char *end = p + n, *from = p, *t;

	if (opt.sio != NULL)
		on_socketio(c, p, n);
	if (c->state == ST_OPEN && opt.expect != NULL && !c->ready &&
	    memmem(p, n, opt.expect, strlen(opt.expect)) != NULL &&
	    (uint32_t)++c->replies >= opt.expect_count)
		conn_ready(c);
	if (measuring)
		st.bytes += n;
	while ((t = find(&key_time, from, end)) != NULL) {
		on_delivery(c, t, from, end);
		if (!opt.multi)
			break;
		from = t;
	}
}

/* Every whole frame in p..p+n; returns how many bytes that was. */
static size_t
parse_frames(struct conn *c, char *p, size_t n)
{
	size_t done = 0, len, ext;
	unsigned char *f;
	int op;

	while (c->state == ST_OPEN && n - done >= 2) {
		f = (unsigned char *)p + done;
		len = f[1] & 0x7f;
		ext = len == 126 ? 2 : len == 127 ? 8 : 0;
		if (n - done < 2 + ext)
			break;
		for (size_t i = 0; i < ext; i++)
			len = (i > 0 ? len << 8 : 0) | f[2 + i];
		if ((f[0] & 0xf0) != 0x80 || (f[1] & 0x80) != 0 ||
		    len > RBUF_SIZE - 10) {
			warnx("a frame that is none: %02x %02x", f[0], f[1]);
			conn_close(c);
			break;
		}
		if (n - done < 2 + ext + len)
			break;
		done += 2 + ext + len;
		st.frames++;
		op = f[0] & 0x0f;
		if (op == OP_TEXT || op == OP_BINARY)
			on_message(c, (char *)f + 2 + ext, len);
		else if (op == OP_PING)
			send_frame(c, OP_PONG, (char *)f + 2 + ext, len);
		else if (op == OP_CLOSE)
			conn_close(c);
	}
	return done;
}

static size_t
parse_http(struct conn *c, char *p, size_t n)
{
	char *end = memmem(p, n, "\r\n\r\n", 4);
	size_t len;

	if (end == NULL)
		return 0;
	len = (size_t)(end + 4 - p);
	if (len < 12 || memcmp(p + 8, " 101", 4) != 0 ||
	    memmem(p, len, WS_ACCEPT, strlen(WS_ACCEPT)) == NULL) {
		if (st.failed == 0)
			warnx("refused: %.*s", (int)(n < 300 ? n : 300), p);
		conn_close(c);
		return n;
	}
	c->state = ST_OPEN;
	if (opt.sio == NULL)
		conn_greeted(c);
	return len;
}

/* What is left of a message waits for the next read. */
static void
conn_keep(struct conn *c, const char *p, size_t n)
{
	c->carry_len = n;
	if (n == 0)
		return;
	if (n > c->carry_cap) {
		c->carry_cap = n + 512;
		c->carry = realloc(c->carry, c->carry_cap);
		if (c->carry == NULL)
			err(2, "realloc");
	}
	memcpy(c->carry, p, n);
}

static void
conn_read(struct conn *c)
{
	size_t have = c->carry_len, used = 0;
	ssize_t r;

	if (have > 0)
		memcpy(rbuf, c->carry, have);
	r = recv(c->fd, rbuf + have, RBUF_SIZE - have, MSG_DONTWAIT);
	if (r <= 0) {
		if (r == 0 || errno != EAGAIN)
			conn_close(c);
		return;
	}
	st.reads++;
	now_real = clock_us(CLOCK_REALTIME);
	now_mono = clock_us(CLOCK_MONOTONIC);
	have += (size_t)r;
	if (c->state == ST_HTTP)
		used = parse_http(c, rbuf, have);
	if (c->state == ST_OPEN)
		used += parse_frames(c, rbuf + used, have - used);
	if (c->state != ST_CLOSED)
		conn_keep(c, rbuf + used, have - used);
}

/* Source addresses 127.0.0.2 to 127.0.0.9, so that no ports run out. */
static void
conn_start(struct conn *c)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		err(2, "socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one,
	    sizeof(one));
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 +
	    (uint32_t)(c - conns) % 8);
	if (bind(c->fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		err(2, "bind");
	c->state = ST_CONNECTING;
	st.launched++;
	st.pending++;
	if (connect(c->fd, (struct sockaddr *)&server, sizeof(server)) < 0 &&
	    errno != EINPROGRESS)
		conn_close(c);
	else
		watch(EPOLL_CTL_ADD, c->fd, EPOLLIN | EPOLLOUT, c);
}

static void
conn_connected(struct conn *c)
{
	static char req[4 * MAX_TEXT], path[MAX_TEXT];
	socklen_t len = sizeof(int);
	int error = 0, n;

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		if (st.failed == 0)
			warnx("connect: %s", strerror(error));
		conn_close(c);
		return;
	}
	snprintf(path, sizeof(path), "%s", expand(opt.path, c));
	n = snprintf(req, sizeof(req), "GET %s HTTP/1.1\r\nHost: %s\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " WS_KEY "\r\n"
	    "%s%s%s%s%s\r\n", path, opt.host,
	    opt.protocol != NULL ? "Sec-WebSocket-Protocol: " : "",
	    opt.protocol != NULL ? opt.protocol : "",
	    opt.protocol != NULL ? "\r\n" : "",
	    opt.header != NULL ? expand(opt.header, c) : "",
	    opt.header != NULL ? "\r\n" : "");
	c->state = ST_HTTP;
	watch(EPOLL_CTL_MOD, c->fd, EPOLLIN, c);
	conn_write(c, req, (size_t)n);
}

/* --- the loop ------------------------------------------------------------- */

/* A null event is standard input. */
static void
poll_once(int64_t timeout_us)
{
	static struct epoll_event ev[MAX_READY];
	struct timespec ts = { timeout_us / 1000000,
	    timeout_us % 1000000 * 1000 };
	struct conn *c;
	int n;

	n = epoll_pwait2(ep, ev, MAX_READY, &ts, NULL);
	if (n < 0 && errno != EINTR)
		err(2, "epoll_wait");
	for (int i = 0; i < n; i++) {
		c = ev[i].data.ptr;
		if (c == NULL)
			commanded = 1;
		else if (c->state == ST_CONNECTING)
			conn_connected(c);
		else if (c->state != ST_CLOSED)
			conn_read(c);
	}
}

static void
connect_all(void)
{
	uint64_t end = clock_us(CLOCK_MONOTONIC) +
	    (uint64_t)(opt.setup_s * 1e6);

	while (!stopped && st.ready + st.failed + st.closed < opt.conns &&
	    clock_us(CLOCK_MONOTONIC) < end) {
		while (st.launched < opt.conns && st.pending < opt.parallel)
			conn_start(&conns[st.launched]);
		poll_once(1000);
	}
}

/* Asks the feeder for what is due, by the clock or by what has come in. */
static void
ask_due(const struct phase *p, uint64_t now)
{
	static char b[512];
	uint64_t n, want;
	ssize_t w;

	if (p->pace > 0)
		want = (uint64_t)((double)(now - st.asking_since) * p->pace /
		    1e6);
	else if (p->fanout > 0)
		want = st.got / p->fanout + p->window;
	else
		return;
	while (credit_fd >= 0 && st.asked < want) {
		n = want - st.asked;
		w = write(credit_fd, b, n < sizeof(b) ? n : sizeof(b));
		if (w <= 0)
			break;
		st.asked += (uint64_t)w;
	}
}

/* Receives for so many seconds, or until so many deliveries are here. */
static void
receive(const struct phase *p, double seconds, uint64_t wanted, int asking)
{
	uint64_t now = clock_us(CLOCK_MONOTONIC);
	uint64_t end = now + (uint64_t)(seconds * 1e6);

	for (; !stopped && st.ready > 0 && now < end && st.got < wanted;
	    now = clock_us(CLOCK_MONOTONIC)) {
		if (asking)
			ask_due(p, now);
		poll_once(asking && p->pace > 0 ? 500 : 5000);
	}
}

/* Asks for so long, then waits for all that was asked for. */
static void
ask(const struct phase *p, double seconds)
{
	st.asked = st.got = 0;
	st.asking_since = clock_us(CLOCK_MONOTONIC);
	receive(p, seconds, UINT64_MAX, 1);
	receive(p, SETTLE_S, st.asked * p->fanout, 0);
}

static void
report_pids(const char *what, double n)
{
	double us;

	for (size_t i = 0; i < opt.npids; i++) {
		us = pids_used(i);
		if (us < 0)
			continue;
		printf("%s_cpu_s %.6f\n%s_cpu_us_per_%s %.4f\n",
		    opt.pids[i].label, us / 1e6, opt.pids[i].label, what,
		    us / n);
	}
}

static void
report(uint64_t fanout, double cpu_us)
{
	double span_s = st.deliveries > 0 ?
	    (double)(st.last_us - st.first_us) / 1e6 : 0;
	double n = st.deliveries > 0 ? (double)st.deliveries : 1;

	printf("deliveries %lu\nspan_s %.3f\ndeliveries_per_s %.0f\n",
	    st.deliveries, span_s,
	    span_s > 0 ? (double)st.deliveries / span_s : 0);
	printf("last_us %lu\nearly %lu\nundelivered %ld\n", st.last_us,
	    st.early, (long)(st.asked * fanout - st.got));
	printf("bytes_avg %.0f\nframes_per_read %.2f\n",
	    (double)st.bytes / n, (double)st.frames /
	    (st.reads > 0 ? (double)st.reads : 1));
	printf("lat_us_mean %.0f\nlat_us_p50 %lu\nlat_us_p90 %lu\n"
	    "lat_us_p99 %lu\nlat_us_max %lu\n", (double)st.lat_sum / n,
	    hist_at(.5), hist_at(.9), hist_at(.99), st.lat_max);
	printf("missing %lu\ndup %lu\nlate %lu\nopen %u\nclosed %u\n",
	    st.missing, st.dup, st.late, st.ready, st.closed);
	printf("own_cpu_us_per_delivery %.4f\n", cpu_us / n);
	report_pids("delivery", n);
}

static void
answer_end(void)
{
	puts(".");
	fflush(stdout);
}

static void
measure(const struct phase *p)
{
	double cpu_us;

	/* Another feeder counts from one again. */
	for (uint32_t i = 0; i < opt.conns; i++)
		conns[i].seq_last = conns[i].seq_seen = 0;
	st.missing = st.dup = st.late = 0;
	if (p->warmup_s > 0)
		ask(p, p->warmup_s);
	st.deliveries = st.bytes = st.frames = st.reads = 0;
	st.first_us = st.lat_max = st.lat_sum = 0;
	memset(hist, 0, sizeof(hist));
	measuring = 1;
	sample_pids(0);
	cpu_us = clock_us_fine(CLOCK_PROCESS_CPUTIME_ID);
	if (p->deliveries > 0) {
		st.got = st.early;
		receive(p, p->seconds, p->deliveries, 0);
	} else
		ask(p, p->seconds);
	cpu_us = clock_us_fine(CLOCK_PROCESS_CPUTIME_ID) - cpu_us;
	sample_pids(1);
	measuring = 0;
	report(p->fanout, cpu_us);
	answer_end();
}

/* "measure name=number ..." */
static void
command(char *line)
{
	struct phase p = { .seconds = 4, .window = 1 };
	char *word, *value, *save = NULL;
	double v;

	word = strtok_r(line, " \n", &save);
	if (word == NULL || strcmp(word, "measure") != 0)
		errx(2, "not a command: %s", line);
	while ((word = strtok_r(NULL, " \n", &save)) != NULL) {
		value = strchr(word, '=');
		if (value == NULL)
			errx(2, "no number: %s", word);
		*value++ = '\0';
		v = atof(value);
		if (strcmp(word, "seconds") == 0)
			p.seconds = v;
		else if (strcmp(word, "warmup") == 0)
			p.warmup_s = v;
		else if (strcmp(word, "pace") == 0)
			p.pace = v;
		else if (strcmp(word, "fanout") == 0)
			p.fanout = (uint64_t)v;
		else if (strcmp(word, "window") == 0)
			p.window = (uint64_t)v;
		else if (strcmp(word, "deliveries") == 0)
			p.deliveries = (uint64_t)v;
		else
			errx(2, "not known: %s", word);
	}
	measure(&p);
}

/* Takes commands, and answers pings meanwhile, until the input ends. */
static void
serve(void)
{
	static char line[1024];
	ssize_t n;

	watch(EPOLL_CTL_ADD, 0, EPOLLIN, NULL);
	while (!stopped) {
		poll_once(200000);
		if (!commanded)
			continue;
		commanded = 0;
		n = read(0, line, sizeof(line) - 1);
		if (n <= 0)
			return;
		line[n] = '\0';
		command(line);
	}
}

static void
report_setup(double seconds, double cpu_us)
{
	double n = st.ready > 0 ? st.ready : 1;

	printf("connections %u\nfailed %u\nsetup_s %.4f\nready_per_s %.0f\n",
	    st.ready, opt.conns - st.ready, seconds, n / seconds);
	printf("early %lu\nmissing %lu\ndup %lu\n", st.early, st.missing,
	    st.dup);
	printf("own_cpu_us_per_handshake %.2f\n", cpu_us / n);
	report_pids("handshake", n);
	answer_end();
}

/* --- options -------------------------------------------------------------- */

static void
add_pid(char *s)
{
	char *eq = strchr(s, '=');
	struct watched *w = &opt.pids[opt.npids];

	if (eq == NULL || opt.npids == MAX_PIDS)
		errx(2, "--pid wants LABEL=PID, at most %d times", MAX_PIDS);
	*eq = '\0';
	w->label = s;
	if (clock_getcpuclockid((pid_t)atoi(eq + 1), &w->clock) != 0)
		errx(2, "no process %s", eq + 1);
	opt.npids++;
}

static void
read_tokens(const char *name)
{
	FILE *f = fopen(name, "r");
	static char line[8192];

	if (f == NULL)
		err(2, "%s", name);
	opt.tokens = calloc(opt.conns, sizeof(*opt.tokens));
	while (opt.tokens != NULL && opt.ntokens < opt.conns &&
	    fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		opt.tokens[opt.ntokens] = strdup(line);
		if (opt.tokens[opt.ntokens++] == NULL)
			err(2, "strdup");
	}
	fclose(f);
}

static void
set_url(char *url)
{
	char addr[64];
	unsigned port;
	char *slash;

	if (strncmp(url, "ws://", 5) != 0 ||
	    sscanf(url + 5, "%63[0-9.]:%u", addr, &port) != 2 ||
	    inet_pton(AF_INET, addr, &server.sin_addr) != 1)
		errx(2, "not ws://address:port/path: %s", url);
	server.sin_port = htons((uint16_t)port);
	slash = strchr(url + 5, '/');
	opt.path = slash != NULL ? strdup(slash) : "/";
	if (slash != NULL)
		*slash = '\0';
	opt.host = url + 5;
}

static void
usage(void)
{
	fputs("usage: wsload [options] ws://address:port/path\n"
	    "  --connections N    how many (1)\n"
	    "  --group K          for %g (1)\n"
	    "  --parallel P       at most so many being set up at once (128)\n"
	    "  --setup-timeout S  for all of them (60)\n"
	    "  --tokens FILE      one a line, for %t\n"
	    "  --header H         a header of the request\n"
	    "  --subprotocol P    Sec-WebSocket-Protocol\n"
	    "  --socketio J       speak Socket.IO, J is its first packet\n"
	    "  --send M           send it first, may be repeated\n"
	    "  --expect X         ready after a message that holds X\n"
	    "  --expect-count N   ... after N of them (1)\n"
	    "  --multi            a message may hold several deliveries\n"
	    "  --credit-to FIFO   a byte there asks for an event\n"
	    "  --pid L=PID        tell the CPU time of PID as L\n"
	    "In the path, header and messages %d is the connection's number,\n"
	    "%g that number through K, %t its token.\n", stderr);
	exit(2);
}

static void
parse_options(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "connections", 1, NULL, 'c' }, { "group", 1, NULL, 'g' },
		{ "parallel", 1, NULL, 'p' }, { "setup-timeout", 1, NULL, 's' },
		{ "tokens", 1, NULL, 't' }, { "header", 1, NULL, 'h' },
		{ "subprotocol", 1, NULL, 'P' }, { "socketio", 1, NULL, 'S' },
		{ "send", 1, NULL, 'm' }, { "expect", 1, NULL, 'x' },
		{ "expect-count", 1, NULL, 'X' }, { "multi", 0, NULL, 'M' },
		{ "credit-to", 1, NULL, 'f' }, { "pid", 1, NULL, 'i' },
		{ NULL, 0, NULL, 0 }
	};
	const char *tokens = NULL;
	int o;

	while ((o = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (o) {
		case 'c': opt.conns = (uint32_t)atoi(optarg); break;
		case 'g': opt.group = (uint32_t)atoi(optarg); break;
		case 'p': opt.parallel = (uint32_t)atoi(optarg); break;
		case 's': opt.setup_s = atof(optarg); break;
		case 't': tokens = optarg; break;
		case 'h': opt.header = optarg; break;
		case 'P': opt.protocol = optarg; break;
		case 'S': opt.sio = optarg; break;
		case 'x': opt.expect = optarg; break;
		case 'X': opt.expect_count = (uint32_t)atoi(optarg); break;
		case 'M': opt.multi = 1; break;
		case 'f': opt.credit_to = optarg; break;
		case 'i': add_pid(optarg); break;
		case 'm':
			if (opt.nsends == MAX_SENDS)
				usage();
			opt.sends[opt.nsends++] = optarg;
			break;
		default: usage();
		}
	}
	if (optind + 1 != argc || opt.group < 1 || opt.parallel < 1 ||
	    opt.conns < 1)
		usage();
	set_url(argv[optind]);
	if (tokens != NULL)
		read_tokens(tokens);
	if (opt.credit_to != NULL) {
		credit_fd = open(opt.credit_to, O_RDWR | O_NONBLOCK |
		    O_CLOEXEC);
		if (credit_fd < 0)
			err(2, "%s", opt.credit_to);
	}
}

static void
on_signal(int sig)
{
	stopped = sig;
}

int
main(int argc, char **argv)
{
	struct rlimit rl;
	uint64_t t0;
	double cpu_us;

	parse_options(argc, argv);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	ep = epoll_create1(EPOLL_CLOEXEC);
	conns = calloc(opt.conns, sizeof(*conns));
	if (ep < 0 || conns == NULL)
		err(2, "cannot set up");

	sample_pids(0);
	cpu_us = clock_us_fine(CLOCK_PROCESS_CPUTIME_ID);
	t0 = clock_us(CLOCK_MONOTONIC);
	connect_all();
	t0 = clock_us(CLOCK_MONOTONIC) - t0;
	sample_pids(1);
	report_setup((double)t0 / 1e6,
	    clock_us_fine(CLOCK_PROCESS_CPUTIME_ID) - cpu_us);
	serve();
	return 0;
}
