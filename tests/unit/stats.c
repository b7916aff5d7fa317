/* SPDX-License-Identifier: ISC */

/* The table of what is counted, and counting. */

#include "base/stats.h"
#include "tap.h"

static bool
ends_with(const char *text, const char *end)
{
	size_t	 n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

/* The rules of Prometheus and of OpenMetrics for names. */
static bool
name_ok(const struct stat_family *f)
{
	if (f->name == NULL || f->help == NULL || ends_with(f->name, "_total"))
		return false;
	if (f->unit != NULL && !ends_with(f->name, f->unit))
		return false;
	return f->name[strspn(f->name, "abcdefghijklmnopqrstuvwxyz_")] == '\0';
}

static void
test_table(void)
{
	char	 word[32];
	size_t	 i, j, bad = 0, twice = 0, wordless = 0;

	for (i = 0; i < STAT_MAX; i++) {
		bad += !name_ok(stats_family(i));
		for (j = 0; j < i; j++)
			twice += strcmp(stats_family(i)->name,
			    stats_family(j)->name) == 0;
		bad += stats_labels(i) < 1 ||
		    stats_labels(i) > STAT_LABELS_MAX ||
		    (stats_family(i)->label == NULL) !=
		    (stats_family(i)->values == NULL);
		for (j = 0; j < stats_labels(i); j++) {
			stats_label(i, j, word, sizeof(word));
			wordless += stats_family(i)->label != NULL &&
			    word[0] == '\0';
		}
	}
	ok(bad == 0, "each family has a name, help and labels in order");
	ok(twice == 0, "no name comes twice");
	ok(wordless == 0, "each label value has a word");
}

/* The enums and the words of the table go together. */
static void
test_words(void)
{
	char	 word[32];

	stats_label(STAT_REFUSED, REFUSED_UNAVAILABLE, word, sizeof(word));
	ok(strcmp(word, "unavailable") == 0 &&
	    stats_labels(STAT_REFUSED) == REFUSED_UNAVAILABLE + 1,
	    "the last refusal is %s", word);
	stats_label(STAT_CLOSED, CLOSED_OTHER, word, sizeof(word));
	ok(strcmp(word, "other") == 0 &&
	    stats_labels(STAT_CLOSED) == CLOSED_OTHER + 1,
	    "the last end of a connection is %s", word);
	stats_label(STAT_EVENTS, STAT_RESYNC, word, sizeof(word));
	ok(strcmp(word, "resync") == 0 &&
	    stats_labels(STAT_EVENTS) == STAT_RESYNC + 1,
	    "the last kind of event is %s", word);
	stats_label(STAT_SESSIONS, STAT_SOCKETIO, word, sizeof(word));
	ok(strcmp(word, "socketio") == 0, "the last dialect is %s", word);
	stats_label(STAT_ROLE, STAT_ARMED, word, sizeof(word));
	ok(strcmp(word, "armed") == 0, "the last role is %s", word);
}

static void
test_counting(void)
{
	stats_clear();
	stats_add(STAT_ACCEPTED, 1);
	stats_add(STAT_ACCEPTED, 2);
	ok(stats_get(STAT_ACCEPTED, 0) == 3, "a counter adds up");
	stats_add_to(STAT_REFUSED, REFUSED_ROOM, 1);
	ok(stats_get(STAT_REFUSED, REFUSED_ROOM) == 1 &&
	    stats_get(STAT_REFUSED, REFUSED_ORIGIN) == 0,
	    "label values are counted apart");
	stats_set(STAT_POSITION, INT64_C(1) << 60);
	ok(stats_get(STAT_POSITION, 0) == INT64_C(1) << 60, "a gauge is set");
	stats_choose(STAT_ROLE, STAT_ARMED);
	stats_choose(STAT_ROLE, STAT_POLLING);
	ok(stats_get(STAT_ROLE, STAT_POLLING) == 1 &&
	    stats_get(STAT_ROLE, STAT_ARMED) == 0,
	    "of values that exclude one another one is 1");
}

static void
test_times(void)
{
	int64_t	 last = 0, bound;
	size_t	 i;
	bool	 grows = true;

	for (i = 0; i < STAT_BUCKETS - 1; i++) {
		bound = stats_bound_us(i);
		grows = grows && bound > last;
		last = bound;
	}
	ok(grows && stats_bound_us(i) == -1, "the bounds grow, the last has "
	    "none");
	stats_time(STAT_PUSH_TIME, 500);
	stats_time(STAT_PUSH_TIME, 501);
	stats_time(STAT_PUSH_TIME, -7);
	stats_time(STAT_PUSH_TIME, INT64_C(3600) * 1000000);
	ok(stats_bucket(STAT_PUSH_TIME, 0) == 2 &&
	    stats_bucket(STAT_PUSH_TIME, 1) == 1 &&
	    stats_bucket(STAT_PUSH_TIME, STAT_BUCKETS - 1) == 1,
	    "a time falls into the first bucket that it fits in");
	ok(stats_sum_us(STAT_PUSH_TIME) == 1001 + INT64_C(3600) * 1000000,
	    "the sum counts a negative time as none");
	ok(stats_bucket(STAT_RULE_TIME, 0) == 0, "histograms are apart");
}

int
main(void)
{
	test_table();
	test_words();
	test_counting();
	test_times();
	return tap_done();
}
