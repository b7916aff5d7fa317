/* SPDX-License-Identifier: ISC */

/*
 * The values stand in one array of rows with a place for each label value, so
 * counting is one addition.  Times have rows of their own.
 */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/stats.h"
#include "base/words.h"

#define DIALECTS	"native sse post socketio"

static const struct stat_family families[STAT_MAX] = {
	[STAT_ACCEPTED] = { "pgpush_connections_accepted",
	    "TCP connections accepted.", STAT_COUNTER, NULL, NULL, NULL },
	[STAT_SESSIONS] = { "pgpush_sessions",
	    "Clients connected now.", STAT_GAUGE, NULL, "dialect", DIALECTS },
	[STAT_SESSIONS_OPENED] = { "pgpush_sessions_opened",
	    "Clients that have connected.", STAT_COUNTER, NULL, "dialect",
	    DIALECTS },
	[STAT_CLOSED] = { "pgpush_connections_closed",
	    "Client connections that ended.", STAT_COUNTER, NULL, "reason",
	    "client cut stalled protocol policy token kicked restart other" },
	[STAT_REFUSED] = { "pgpush_refusals",
	    "Clients, requests and commands turned away.", STAT_COUNTER, NULL,
	    "reason", "origin token user room connections draining request "
	    "rate too_big rooms late unavailable" },
	[STAT_RECEIVED_BYTES] = { "pgpush_received_bytes",
	    "Bytes read from clients.", STAT_COUNTER, "bytes", NULL, NULL },
	[STAT_SENT_BYTES] = { "pgpush_sent_bytes",
	    "Bytes written to clients.", STAT_COUNTER, "bytes", NULL, NULL },
	[STAT_RECEIVED] = { "pgpush_messages_received",
	    "WebSocket messages from clients.", STAT_COUNTER, NULL, NULL,
	    NULL },
	[STAT_ROOMS] = { "pgpush_rooms",
	    "Rooms with a member on this daemon.", STAT_GAUGE, NULL, NULL,
	    NULL },
	[STAT_MEMBERS] = { "pgpush_members",
	    "Subscriptions of clients to rooms.", STAT_GAUGE, NULL, NULL,
	    NULL },
	[STAT_BEHIND] = { "pgpush_members_behind",
	    "Subscriptions that are served from the log.", STAT_GAUGE, NULL,
	    NULL, NULL },
	[STAT_EVENTS] = { "pgpush_events",
	    "Events taken from the log or the channel.", STAT_COUNTER, NULL,
	    "kind", "event signal revoke kick config epoch resync" },
	[STAT_DELIVERED] = { "pgpush_deliveries",
	    "Events queued for clients.", STAT_COUNTER, NULL, "dialect",
	    DIALECTS },
	[STAT_RESETS] = { "pgpush_resets",
	    "Subscriptions told to fetch their state anew.", STAT_COUNTER,
	    NULL, NULL, NULL },
	[STAT_CATCHUPS] = { "pgpush_catchups",
	    "Reads for subscriptions that were behind.", STAT_COUNTER, NULL,
	    "source", "ring log" },
	[STAT_MOVES] = { "pgpush_moves",
	    "Moves from the outbox to the log by this daemon.", STAT_COUNTER,
	    NULL, "result", "empty found backlog" },
	[STAT_BELLS] = { "pgpush_bells",
	    "Bells heard.", STAT_COUNTER, NULL, NULL, NULL },
	[STAT_POSITION] = { "pgpush_position",
	    "Id of the newest event that this daemon has.", STAT_GAUGE, NULL,
	    NULL, NULL },
	[STAT_READY] = { "pgpush_ready",
	    "1 if the daemon takes clients.", STAT_GAUGE, NULL, NULL, NULL },
	[STAT_ROLE] = { "pgpush_role",
	    "1 for the role of this daemon; polling and armed lead.",
	    STAT_GAUGE, NULL, "role", "follower polling armed" },
	[STAT_LEADER_CHANGES] = { "pgpush_leader_changes",
	    "Times this daemon became or ceased to be the leader.",
	    STAT_COUNTER, NULL, NULL, NULL },
	[STAT_DB_CONNECTS] = { "pgpush_database_connects",
	    "PostgreSQL connections made.", STAT_COUNTER, NULL, NULL, NULL },
	[STAT_DB_LOST] = { "pgpush_database_connections_lost",
	    "PostgreSQL connections that broke.", STAT_COUNTER, NULL, NULL,
	    NULL },
	[STAT_DB_FAILED] = { "pgpush_database_statements_failed",
	    "Statements that PostgreSQL refused.", STAT_COUNTER, NULL, NULL,
	    NULL },
	[STAT_HANDLERS] = { "pgpush_handler_calls",
	    "Handlers run for clients.", STAT_COUNTER, NULL, "result",
	    "ok error queue_full" },
	[STAT_HANDLER_TIME] = { "pgpush_handler_seconds",
	    "From a client's send to its answer.", STAT_HISTOGRAM, "seconds",
	    NULL, NULL },
	[STAT_RULE_TIME] = { "pgpush_rule_seconds",
	    "From a client's join to the answer of the rules.",
	    STAT_HISTOGRAM, "seconds", NULL, NULL },
	[STAT_GREET_TIME] = { "pgpush_greet_seconds",
	    "From a client's token to its welcome.", STAT_HISTOGRAM,
	    "seconds", NULL, NULL },
	[STAT_PUSH_TIME] = { "pgpush_written_to_pushed_seconds",
	    "From the writing of an event's row to its push; the writer's "
	    "open transaction is in it.", STAT_HISTOGRAM, "seconds", NULL,
	    NULL },
	[STAT_LOG_DROPPED] = { "pgpush_log_lines_dropped",
	    "Log lines that nobody could take.", STAT_COUNTER, NULL, NULL,
	    NULL },
	[STAT_RELOADS] = { "pgpush_config_reloads",
	    "Reloads of the configuration asked for.", STAT_COUNTER, NULL,
	    "result", "done refused" },
	[STAT_RELOAD_OK] = { "pgpush_config_last_reload_successful",
	    "1 if the configuration in force is the one in the file.",
	    STAT_GAUGE, NULL, NULL, NULL },
	[STAT_RELOAD_TIME] = { "pgpush_config_last_reload_timestamp_seconds",
	    "When the configuration in force was read.", STAT_GAUGE,
	    "seconds", NULL, NULL },
	[STAT_START_TIME] = { "process_start_time_seconds",
	    "When the daemon started.", STAT_GAUGE, "seconds", NULL, NULL },
	[STAT_MEMORY] = { "process_resident_memory_bytes",
	    "Memory in use.", STAT_GAUGE, "bytes", NULL, NULL },
	[STAT_FDS] = { "process_open_fds",
	    "Descriptors in use.", STAT_GAUGE, NULL, NULL, NULL },
};

/* Upper bounds in microseconds; what is above all of them comes last. */
static const int64_t bounds_us[STAT_BUCKETS - 1] = {
	500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000,
	1000000, 5000000, 30000000,
};

struct times {
	int64_t	counts[STAT_BUCKETS];
	int64_t	sum_us;
};

static int64_t		values[STAT_MAX][STAT_LABELS_MAX];
static struct times	times[STAT_MAX];

const struct stat_family *
stats_family(enum stat s)
{
	return &families[s];
}

size_t
stats_labels(enum stat s)
{
	const char	*pos = families[s].values;
	char		 word[32];
	size_t		 n = 0;

	if (pos == NULL)
		return 1;
	while (words_next(&pos, word, sizeof(word)))
		n++;
	return n;
}

void
stats_label(enum stat s, size_t value, char *out, size_t size)
{
	const char	*pos = families[s].values;

	out[0] = '\0';
	while (pos != NULL && words_next(&pos, out, size))
		if (value-- == 0)
			return;
}

void
stats_add(enum stat s, int64_t n)
{
	values[s][0] += n;
}

void
stats_add_to(enum stat s, size_t value, int64_t n)
{
	values[s][value] += n;
}

void
stats_set(enum stat s, int64_t n)
{
	values[s][0] = n;
}

void
stats_set_to(enum stat s, size_t value, int64_t n)
{
	values[s][value] = n;
}

void
stats_choose(enum stat s, size_t value)
{
	memset(values[s], 0, sizeof(values[s]));
	values[s][value] = 1;
}

void
stats_time(enum stat s, int64_t us)
{
	size_t	i = 0;

	if (us < 0)
		us = 0;
	while (i < STAT_BUCKETS - 1 && us > bounds_us[i])
		i++;
	times[s].counts[i]++;
	times[s].sum_us += us;
}

int64_t
stats_get(enum stat s, size_t value)
{
	return values[s][value];
}

int64_t
stats_bound_us(size_t bucket)
{
	return bucket < STAT_BUCKETS - 1 ? bounds_us[bucket] : -1;
}

int64_t
stats_bucket(enum stat s, size_t bucket)
{
	return times[s].counts[bucket];
}

int64_t
stats_sum_us(enum stat s)
{
	return times[s].sum_us;
}

void
stats_clear(void)
{
	memset(values, 0, sizeof(values));
	memset(times, 0, sizeof(times));
}
