/* SPDX-License-Identifier: ISC */

/*
 * limit: what the kernel asks for a WebSocket broadcast. It answers upgrade
 * requests with a constant (wsload always sends the same key), and for the
 * events asked for in a FIFO it does nothing but send() the frames to each
 * connection of the room, those of one burst in one send().
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_BATCH	256

static const char reply[] = "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static int	*fds;
static int	 conns, group, size;
static char	*buf;			/* MAX_BATCH frames */
static uint64_t	*seq;			/* of each room */
static volatile sig_atomic_t stopped;

static void
accept_one(int ls, int *fd)
{
	char req[8192];
	size_t got = 0;
	ssize_t r;
	int one = 1;

	*fd = accept4(ls, NULL, NULL, SOCK_CLOEXEC);
	if (*fd < 0)
		err(2, "accept");
	setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	do {
		r = read(*fd, req + got, sizeof(req) - got);
		if (r <= 0)
			err(2, "request");
		got += (size_t)r;
	} while (memmem(req, got, "\r\n\r\n", 4) == NULL && got < sizeof(req));
	if (write(*fd, reply, sizeof(reply) - 1) != sizeof(reply) - 1)
		err(2, "reply");
}

static void
accept_all(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1, ls = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ls < 0 || bind(ls, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(ls, 4096) < 0)
		err(2, "listen");
	puts("ready");
	fflush(stdout);
	for (int i = 0; i < conns && !stopped; i++)
		accept_one(ls, &fds[i]);
	close(ls);
}

/* Writes the next frame of a room; returns its length. */
static size_t
frame(char *p, uint64_t n)
{
	unsigned char head[10];
	char text[64];
	struct timespec ts;
	size_t h = size < 126 ? 2 : size < 65536 ? 4 : 10;
	int len;

	memset(head, 0, sizeof(head));
	head[0] = 0x81;
	head[1] = (unsigned char)(h == 2 ? size : h == 4 ? 126 : 127);
	for (size_t i = 2; i < h; i++)
		head[i] = h - 1 - i < 4 ?
		    (unsigned char)(size >> 8 * (h - 1 - i)) : 0;
	clock_gettime(CLOCK_REALTIME, &ts);
	len = snprintf(text, sizeof(text), "{\"n\":%lu,\"t\":%lu,\"pad\":\"", n,
	    (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
	memcpy(p, head, h);
	memset(p + h, 'x', (size_t)size);
	memcpy(p + h, text, (size_t)len);
	memcpy(p + h + size - 2, "\"}", 2);
	return h + (size_t)size;
}

/* To one reader, waiting for it when its socket is full. */
static void
send_all(int fd, const char *p, size_t n)
{
	struct pollfd pf = { .fd = fd, .events = POLLOUT };
	ssize_t w;

	while (n > 0 && !stopped) {
		w = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (w >= 0) {
			p += w;
			n -= (size_t)w;
		} else if (errno == EAGAIN)
			poll(&pf, 1, 1000);
		else
			exit(0);	/* the readers have gone */
	}
}

/* Some events of one room. */
static void
burst(int room, int n)
{
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += frame(buf + len, ++seq[room]);
	for (int i = room * group; i < (room + 1) * group && i < conns; i++)
		send_all(fds[i], buf, len);
}

static void
on_signal(int sig)
{
	stopped = sig;
}

/* Bursts of up to batch events; of one each if there are several rooms. */
int
main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	char b[MAX_BATCH];
	struct rlimit rl;
	struct pollfd p = { .events = POLLIN };
	int batch, rooms;
	ssize_t n;

	if (argc != 7)
		errx(2, "usage: limit port connections group bytes batch fifo");
	conns = atoi(argv[2]);
	group = atoi(argv[3]);
	size = atoi(argv[4]);
	batch = atoi(argv[5]);
	if (conns < 1 || group < 1 || size < 64 || batch < 1 ||
	    batch > MAX_BATCH)
		errx(2, "not such numbers");
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	rooms = (conns + group - 1) / group;
	fds = calloc((size_t)conns, sizeof(*fds));
	seq = calloc((size_t)rooms, sizeof(*seq));
	buf = malloc((size_t)MAX_BATCH * ((size_t)size + 10));
	p.fd = open(argv[6], O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fds == NULL || seq == NULL || buf == NULL || p.fd < 0)
		err(2, "cannot set up");
	accept_all(atoi(argv[1]));
	while (!stopped) {
		if (poll(&p, 1, 200) <= 0)
			continue;
		n = read(p.fd, b, (size_t)batch);
		for (ssize_t i = 0; rooms > 1 && i < n; i++)
			burst((int)(random() % rooms), 1);
		if (rooms == 1 && n > 0)
			burst(0, (int)n);
	}
	return 0;
}
