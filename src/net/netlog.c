/* SPDX-License-Identifier: ISC */

/* One line, one count; the reasons are our own words or a close frame's. */

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/stats.h"
#include "net/conn.h"
#include "net/netlog.h"

static const char *
user_of(const struct netlog *who)
{
	return who->user == NULL ? "-" : log_quote(who->user,
	    strlen(who->user));
}

static enum stat_close
reason_of(int code, const char *why)
{
	switch (code) {
	case CLOSE_NORMAL:
	case CLOSE_GOING_AWAY:
	case CLOSE_NO_STATUS:
		return CLOSED_BY_CLIENT;
	case CLOSE_ABNORMAL:
		return strcmp(why, "timeout") == 0 ? CLOSED_STALLED :
		    CLOSED_CUT;
	case CLOSE_PROTOCOL:
	case CLOSE_BAD_DATA:
	case CLOSE_BAD_FRAME:
		return CLOSED_PROTOCOL;
	case CLOSE_POLICY:
	case CLOSE_TOO_BIG:
		return CLOSED_POLICY;
	case CLOSE_UNAUTHORIZED:
	case CLOSE_AUTH_TIMEOUT:
		return CLOSED_TOKEN;
	case CLOSE_FORBIDDEN:
		return CLOSED_KICKED;
	case CLOSE_RESTART:
		return CLOSED_RESTART;
	default:
		return CLOSED_OTHER;
	}
}

static void
closed(const struct netlog *who, int code, const char *why)
{
	stats_add_to(STAT_CLOSED, reason_of(code, why), 1);
	if (code == CLOSE_AUTH_TIMEOUT)
		stats_add_to(STAT_REFUSED, REFUSED_LATE, 1);
	log_limited(LOG_CLOSE, LOG_LEVEL_INFO, "conn=%" PRIu64
	    " msg=closed peer=%s user=%s code=%d why=%s", who->id, who->peer,
	    user_of(who), code, log_quote(why, strlen(why)));
}

static void
closed_early(const struct netlog *who, const char *why)
{
	bool	by_itself = strcmp(why, "peer hung up") == 0;

	log_limited(LOG_ACCEPT, by_itself ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
	    "conn=%" PRIu64 " msg=\"closed without a request\" peer=%s why=%s",
	    who->id, who->peer, log_quote(why, strlen(why)));
}

void
netlog_ended(struct netlog *who, bool is_early, int code, const char *why)
{
	if (who->is_quiet)
		return;
	who->is_quiet = true;
	if (is_early)
		closed_early(who, why);
	else
		closed(who, code, why);
}

static enum stat_refusal
refusal_of(int status)
{
	switch (status) {
	case 401:
		return REFUSED_TOKEN;
	case 403:
		return REFUSED_ORIGIN;
	case 413:
		return REFUSED_TOO_BIG;
	case 429:
		return REFUSED_RATE;
	case 503:
		return REFUSED_UNAVAILABLE;
	default:
		return REFUSED_REQUEST;
	}
}

void
netlog_refused(struct netlog *who, int status, const char *why)
{
	if (who->is_quiet)
		return;
	who->is_quiet = true;
	stats_add_to(STAT_REFUSED, refusal_of(status), 1);
	log_limited(LOG_REQUEST, LOG_LEVEL_INFO, "conn=%" PRIu64
	    " msg=refused peer=%s user=%s status=%d why=%s", who->id,
	    who->peer, user_of(who), status, log_quote(why, strlen(why)));
}
