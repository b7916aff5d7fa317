/* SPDX-License-Identifier: ISC */

/*
 * curve: one point of the curve of latency over rate.  Writers, each a process
 * with a connection of its own, commit one row at a time at a given rate; a
 * reader takes the events from a WebSocket of pgpushd, or from LISTEN.  What is
 * measured is the time from the commit, as its writer hears of it, to the
 * event.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <libpq-fe.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WRITERS_MAX	64
#define EACH_MAX	200000	/* commits of one writer */
#define N_OF(w, i)	((uint64_t)(w) * EACH_MAX + (uint64_t)(i))

static struct {
	const char	*to, *table, *room, *listen, *token;
	int		 port, writers;
	double		 rate, seconds;
} opt = { .room = "room:0", .writers = 12, .seconds = 5 };

/* Shared by all processes; microseconds, 0: not yet. */
struct times {
	uint64_t	acked[WRITERS_MAX * EACH_MAX];
	uint64_t	heard[WRITERS_MAX * EACH_MAX];
	volatile int	ready;
	volatile int	over;
};
static struct times	*times;

static uint64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static PGconn *
db_open(void)
{
	PGconn *db = PQconnectdb(opt.to);

	if (PQstatus(db) != CONNECTION_OK)
		errx(2, "%s", PQerrorMessage(db));
	return db;
}

static void
db_check(PGconn *db, PGresult *r)
{
	if (PQresultStatus(r) != PGRES_COMMAND_OK)
		errx(2, "%s", PQerrorMessage(db));
	PQclear(r);
}

/* --- a writer -------------------------------------------------------------- */

static void
sleep_until(uint64_t at)
{
	uint64_t now = now_us();
	struct timespec ts;

	if (at <= now)
		return;
	ts.tv_sec = (time_t)((at - now) / 1000000);
	ts.tv_nsec = (long)((at - now) % 1000000) * 1000;
	nanosleep(&ts, NULL);
}

static void
writer(int w)
{
	PGconn *db = db_open();
	char sql[256], n[24], pad[201];
	const char *params[] = { opt.room, n, pad };
	double each = opt.rate / opt.writers;
	uint64_t began, i;

	prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
	memset(pad, 'x', 200);
	pad[200] = '\0';
	snprintf(sql, sizeof(sql), "INSERT INTO %s (room, t, n, pad) "
	    "VALUES ($1, 0, $2, $3)", opt.table);
	db_check(db, PQprepare(db, "put", sql, 3, NULL));
	while (!times->ready)
		usleep(1000);
	/* Apart from each other, each at its own even pace. */
	began = now_us() + (uint64_t)(1e6 * w / opt.rate);
	for (i = 0; i < EACH_MAX && (double)i < each * opt.seconds; i++) {
		sleep_until(began + (uint64_t)((double)i * 1e6 / each));
		snprintf(n, sizeof(n), "%lu", N_OF(w, i));
		db_check(db, PQexecPrepared(db, "put", 3, params, NULL, NULL,
		    0));
		times->acked[N_OF(w, i)] = now_us();
	}
	PQfinish(db);
}

/* --- the reader ------------------------------------------------------------ */

/* Note each "n":NUMBER of a text; returns how many bytes are done with. */
static size_t
take(char *text, size_t len, const char *key)
{
	uint64_t now = now_us(), n;
	char *p = text, *end = text + len, *at;
	size_t klen = strlen(key);

	while ((at = memmem(p, (size_t)(end - p), key, klen)) != NULL) {
		if (end - at < 40)
			return (size_t)(at - text);
		n = strtoull(at + klen, NULL, 10);
		if (n < WRITERS_MAX * EACH_MAX)
			times->heard[n] = now;
		p = at + klen;
	}
	return len > 40 && end - p > 40 ? len - 40 : (size_t)(p - text);
}

static void
read_listen(void)
{
	PGconn *db = db_open();
	struct pollfd fd = { .fd = PQsocket(db), .events = POLLIN };
	char sql[128];
	PGnotify *n;

	snprintf(sql, sizeof(sql), "LISTEN %s", opt.listen);
	db_check(db, PQexec(db, sql));
	times->ready = 1;
	while (!times->over) {
		poll(&fd, 1, 100);
		if (PQconsumeInput(db) == 0)
			errx(2, "%s", PQerrorMessage(db));
		while ((n = PQnotifies(db)) != NULL) {
			char *at = strstr(n->extra, "\"n\":");
			uint64_t k = at == NULL ? 0 : strtoull(at + 4, NULL, 10);

			if (at != NULL && k < WRITERS_MAX * EACH_MAX)
				times->heard[k] = now_us();
			PQfreemem(n);
		}
	}
	PQfinish(db);
}

static int
ws_open(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)opt.port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char text[4096], frame[256];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, n;

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		err(2, "connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	n = snprintf(text, sizeof(text), "GET /ws HTTP/1.1\r\nHost: x\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	    "Sec-WebSocket-Version: 13\r\n"
	    "Authorization: Bearer %s\r\n\r\n", opt.token);
	if (send(fd, text, (size_t)n, 0) != n)
		err(2, "send");
	/* A mask of zeros leaves the text as it is. */
	n = snprintf(frame + 6, sizeof(frame) - 6,
	    "{\"type\":\"join\",\"room\":\"%s\",\"ref\":1}", opt.room);
	memcpy(frame, (char[]){ (char)0x81, (char)(0x80 | n), 0, 0, 0, 0 }, 6);
	if (n > 125 || send(fd, frame, (size_t)n + 6, 0) != n + 6)
		err(2, "send");
	return fd;
}

static void
read_ws(void)
{
	static char in[1 << 20];
	size_t have = 0, done;
	int fd = ws_open();
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	while (!times->over) {
		if (poll(&p, 1, 100) <= 0)
			continue;
		n = recv(fd, in + have, sizeof(in) - have - 1, 0);
		if (n <= 0)
			errx(2, "the connection ended");
		have += (size_t)n;
		in[have] = '\0';
		if (!times->ready && memmem(in, have, "\"ok\":true", 9) != NULL)
			times->ready = 1;
		done = take(in, have, "\"n\":");
		if (done == 0 && memmem(in, have, "\"n\" :", 5) != NULL)
			done = take(in, have, "\"n\" :");
		memmove(in, in + done, have - done);
		have -= done;
	}
	close(fd);
}

/* --- the figures ------------------------------------------------------------ */

static int
by_value(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void
report(void)
{
	int64_t *took = malloc(WRITERS_MAX * EACH_MAX * sizeof(*took));
	uint64_t first = UINT64_MAX, last = 0;
	size_t n = 0, lost = 0, k;

	if (took == NULL)
		err(2, "malloc");
	for (k = 0; k < WRITERS_MAX * EACH_MAX; k++) {
		if (times->acked[k] == 0)
			continue;
		first = times->acked[k] < first ? times->acked[k] : first;
		last = times->acked[k] > last ? times->acked[k] : last;
		if (times->heard[k] == 0)
			lost++;
		else
			took[n++] = (int64_t)(times->heard[k] -
			    times->acked[k]);
	}
	qsort(took, n, sizeof(*took), by_value);
	printf("commits %zu\n", n + lost);
	printf("rate %.0f\n", last > first ?
	    (double)(n + lost) * 1e6 / (double)(last - first) : 0);
	printf("lost %zu\n", lost);
	printf("p50_us %ld\n", n > 0 ? took[n / 2] : 0);
	printf("p99_us %ld\n", n > 0 ? took[n * 99 / 100] : 0);
}

static pid_t
start(void (*run)(void), int w)
{
	pid_t pid = fork();

	if (pid == -1)
		err(2, "fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (run != NULL)
			run();
		else
			writer(w);
		_exit(0);
	}
	return pid;
}

static void
usage(void)
{
	fputs("usage: curve --to CONNINFO --table T --rate R\n"
	    "  [--ws PORT --token TOKEN | --listen CHANNEL]  the reader\n"
	    "  --room R     room:0; --writers W  12; --seconds S  5\n", stderr);
	exit(2);
}

int
main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "to", 1, NULL, 'd' }, { "table", 1, NULL, 't' },
		{ "rate", 1, NULL, 'r' }, { "ws", 1, NULL, 'w' },
		{ "token", 1, NULL, 'k' }, { "listen", 1, NULL, 'l' },
		{ "room", 1, NULL, 'm' }, { "writers", 1, NULL, 'n' },
		{ "seconds", 1, NULL, 's' }, { NULL, 0, NULL, 0 }
	};
	pid_t pids[WRITERS_MAX], reader = 0;
	int o, status, bad = 0;

	while ((o = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (o) {
		case 'd': opt.to = optarg; break;
		case 't': opt.table = optarg; break;
		case 'r': opt.rate = atof(optarg); break;
		case 'w': opt.port = atoi(optarg); break;
		case 'k': opt.token = optarg; break;
		case 'l': opt.listen = optarg; break;
		case 'm': opt.room = optarg; break;
		case 'n': opt.writers = atoi(optarg); break;
		case 's': opt.seconds = atof(optarg); break;
		default: usage();
		}
	}
	if (optind != argc || opt.to == NULL || opt.table == NULL ||
	    opt.rate <= 0 || opt.writers < 1 || opt.writers > WRITERS_MAX)
		usage();
	times = mmap(NULL, sizeof(*times), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (times == MAP_FAILED)
		err(2, "mmap");
	if (opt.listen != NULL || opt.port != 0)
		reader = start(opt.listen != NULL ? read_listen : read_ws, 0);
	for (o = 0; o < opt.writers; o++)
		pids[o] = start(NULL, o);
	if (reader == 0)
		times->ready = 1;
	for (o = 0; o < opt.writers; o++)
		bad |= waitpid(pids[o], &status, 0) == -1 || status != 0;
	usleep(300000);			/* what is on its way arrives */
	times->over = 1;
	if (reader != 0)
		bad |= waitpid(reader, &status, 0) == -1 || status != 0;
	if (bad)
		errx(2, "a process failed");
	report();
	return 0;
}
