/* SPDX-License-Identifier: ISC */

/* Error codes are words (pgpush-protocol(7)); each has a count. */

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/addr.h"
#include "base/log.h"
#include "base/stats.h"
#include "net/conn.h"
#include "push/refusal.h"
#include "push/session.h"

struct code {
	const char		*word;
	enum stat_refusal	 reason;
};

static const struct code codes[] = {
	{ "unauthorized", REFUSED_TOKEN },
	{ "forbidden", REFUSED_ROOM },
	{ "too_many", REFUSED_ROOMS },
	{ "rate_limited", REFUSED_RATE },
	{ "unavailable", REFUSED_UNAVAILABLE },
};

static enum stat_refusal
reason_of(const char *code)
{
	size_t	i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(codes[i].word, code) == 0)
			return codes[i].reason;
	return REFUSED_REQUEST;
}

void
refusal_log(const struct session *s, const char *code)
{
	const struct conn	*c = session_conn(s);
	const char		*user = session_user(s);

	stats_add_to(STAT_REFUSED, reason_of(code), 1);
	log_limited(LOG_REQUEST, LOG_LEVEL_INFO, "conn=%" PRIu64
	    " msg=\"command refused\" peer=%s user=%s code=%s",
	    c == NULL ? 0 : conn_id(c), session_address(s), user == NULL ? "-" : log_quote(user, strlen(user)),
	    log_quote(code, strlen(code)));
}

void
refusal_welcome(const struct session *s, unsigned int rooms)
{
	const struct conn	*c = session_conn(s);
	const char		*user = session_user(s);
	char			 peer[ADDR_MAX];

	if (c == NULL)
		return;
	conn_peer(c, peer);
	log_limited(LOG_CLIENT, LOG_LEVEL_INFO, "conn=%" PRIu64
	    " msg=welcome peer=%s user=%s rooms=%u", conn_id(c), peer,
	    log_quote(user, strlen(user)), rooms);
}
