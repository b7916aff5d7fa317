/* SPDX-License-Identifier: ISC */
#ifndef METRICS_H
#define METRICS_H

/*
 * The table of stats.h as text for Prometheus: its text format 0.0.4, or
 * OpenMetrics 1.0.
 */

enum metrics_format {
	METRICS_PROMETHEUS,
	METRICS_OPENMETRICS,
};

/* The format that an Accept header asks for; NULL is no header. */
enum metrics_format metrics_choose(const char *accept);
/* The value of Content-Type. */
const char	*metrics_type(enum metrics_format format);
/* All families; the caller frees. */
char		*metrics_print(enum metrics_format format);

#endif
