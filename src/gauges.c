/* SPDX-License-Identifier: ISC */

/* Of the process from /proc, of the clients by walking over them. */

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stats.h"
#include "gauges.h"
#include "push/room.h"
#include "push/session.h"

void
gauges_init(void)
{
	stats_set(STAT_START_TIME, (int64_t)time(NULL));
	stats_set(STAT_RELOAD_OK, 1);
	stats_set(STAT_RELOAD_TIME, (int64_t)time(NULL));
}

static int64_t
memory_bytes(void)
{
	FILE	*fp = fopen("/proc/self/statm", "re");
	long	 all, resident = 0;

	if (fp == NULL)
		return 0;
	if (fscanf(fp, "%ld %ld", &all, &resident) != 2)
		resident = 0;
	fclose(fp);
	return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static int64_t
open_descriptors(void)
{
	DIR	*dir = opendir("/proc/self/fd");
	int64_t	 n = -1;		/* the directory's own */

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 2;			/* . and .. */
}

static void
walk_sessions(void)
{
	int64_t		 count[STAT_LABELS_MAX] = { 0 }, behind = 0;
	struct session	*s;
	struct member	*m;
	size_t		 i;

	for (s = TAILQ_FIRST(&sessions); s != NULL; s = session_next(s)) {
		count[session_dialect(s)->label]++;
		LIST_FOREACH(m, session_members(s), by_session)
			behind += m->behind;
	}
	for (i = 0; i < stats_labels(STAT_SESSIONS); i++)
		stats_set_to(STAT_SESSIONS, i, count[i]);
	stats_set(STAT_BEHIND, behind);
}

void
gauges_update(bool ready, int64_t position)
{
	walk_sessions();
	stats_set(STAT_READY, ready);
	stats_set(STAT_POSITION, position);
	stats_set(STAT_LOG_DROPPED, log_dropped());
	stats_set(STAT_MEMORY, memory_bytes());
	stats_set(STAT_FDS, open_descriptors());
}
