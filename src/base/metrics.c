/* SPDX-License-Identifier: ISC */

/*
 * The two formats differ in the names of counters' families, in the unit, in
 * how they call build information, and in the end.  Times are counted in
 * microseconds and written in seconds.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "base/stats.h"
#include "base/text.h"
#include "base/xmalloc.h"

#define WORD_MAX	32
#define US		1000000

enum metrics_format
metrics_choose(const char *accept)
{
	return accept != NULL &&
	    strstr(accept, "application/openmetrics-text") != NULL ?
	    METRICS_OPENMETRICS : METRICS_PROMETHEUS;
}

const char *
metrics_type(enum metrics_format format)
{
	return format == METRICS_OPENMETRICS ?
	    "application/openmetrics-text; version=1.0.0; charset=utf-8" :
	    "text/plain; version=0.0.4; charset=utf-8";
}

/* Take the line over. */
static void
add(struct text *t, char *line)
{
	text_add(t, line);
	free(line);
}

static const char *
kind_name(enum stat_kind kind)
{
	switch (kind) {
	case STAT_COUNTER:
		return "counter";
	case STAT_GAUGE:
		return "gauge";
	case STAT_HISTOGRAM:
		return "histogram";
	}
	return "unknown";
}

/* In OpenMetrics a counter's family has no _total; in the older one it has. */
static void
head_print(struct text *t, const struct stat_family *f,
    enum metrics_format format)
{
	const char	*total = f->kind == STAT_COUNTER &&
			    format == METRICS_PROMETHEUS ? "_total" : "";

	add(t, xasprintf("# HELP %s%s %s\n# TYPE %s%s %s\n", f->name, total,
	    f->help, f->name, total, kind_name(f->kind)));
	if (f->unit != NULL && format == METRICS_OPENMETRICS)
		add(t, xasprintf("# UNIT %s %s\n", f->name, f->unit));
}

static void
values_print(struct text *t, enum stat s)
{
	const struct stat_family	*f = stats_family(s);
	const char			*total = f->kind == STAT_COUNTER ?
					    "_total" : "";
	char				 word[WORD_MAX];
	size_t				 i;

	if (f->label == NULL) {
		add(t, xasprintf("%s%s %" PRId64 "\n", f->name, total,
		    stats_get(s, 0)));
		return;
	}
	for (i = 0; i < stats_labels(s); i++) {
		stats_label(s, i, word, sizeof(word));
		add(t, xasprintf("%s%s{%s=\"%s\"} %" PRId64 "\n", f->name,
		    total, f->label, word, stats_get(s, i)));
	}
}

static void
times_print(struct text *t, enum stat s)
{
	const char	*name = stats_family(s)->name;
	int64_t		 n = 0, bound;
	size_t		 i;

	for (i = 0; i < STAT_BUCKETS; i++) {
		n += stats_bucket(s, i);
		bound = stats_bound_us(i);
		add(t, bound < 0 ? xasprintf("%s_bucket{le=\"+Inf\"} %" PRId64
		    "\n", name, n) : xasprintf("%s_bucket{le=\"%g\"} %" PRId64
		    "\n", name, (double)bound / US, n));
	}
	add(t, xasprintf("%s_sum %.6f\n%s_count %" PRId64 "\n", name,
	    (double)stats_sum_us(s) / US, name, n));
}

static void
build_print(struct text *t, enum metrics_format format)
{
	bool	open = format == METRICS_OPENMETRICS;

	add(t, xasprintf("# HELP %s The version that runs.\n# TYPE %s %s\n"
	    "pgpush_build_info{version=\"%s\"} 1\n",
	    open ? "pgpush_build" : "pgpush_build_info",
	    open ? "pgpush_build" : "pgpush_build_info",
	    open ? "info" : "gauge", PACKAGE_VERSION));
}

char *
metrics_print(enum metrics_format format)
{
	struct text	t = { NULL, 0, 0 };
	enum stat	s;

	build_print(&t, format);
	for (s = 0; s < STAT_MAX; s++) {
		head_print(&t, stats_family(s), format);
		if (stats_family(s)->kind == STAT_HISTOGRAM)
			times_print(&t, s);
		else
			values_print(&t, s);
	}
	if (format == METRICS_OPENMETRICS)
		text_add(&t, "# EOF\n");
	return t.buf;
}
