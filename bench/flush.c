/* SPDX-License-Identifier: ISC */

/*
 * flush: a disk of known speed. Loaded before libc into PostgreSQL, it answers
 * fdatasync() after so many microseconds as the file named by
 * PGPUSH_BENCH_FLUSH holds at the moment (in binary, 4 bytes), and fsync() at
 * once. What is written is never synced: for a benchmark only.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static volatile uint32_t *delay_us;

__attribute__((constructor)) static void
start(void)
{
	const char *name = getenv("PGPUSH_BENCH_FLUSH");
	void *p;
	int fd;

	fd = name != NULL ? open(name, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	p = mmap(NULL, sizeof(*delay_us), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		delay_us = p;
}

int
fsync(int fd)
{
	(void)fd;
	return 0;
}

int
fdatasync(int fd)
{
	uint32_t us = delay_us != NULL ? *delay_us : 0;
	struct timespec ts = { us / 1000000, (long)(us % 1000000) * 1000 };

	(void)fd;
	if (us == 0)
		return 0;
	prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
	nanosleep(&ts, NULL);
	return 0;
}
