/* SPDX-License-Identifier: ISC */

/*
 * One timer for all: each tick does what is due and finds out what comes next.
 */

#include <time.h>

#include "push/alive.h"
#include "base/clock.h"
#include "base/config.h"
#include "net/conn.h"
#include "push/member.h"
#include "push/session.h"

#define EXPIRING_S	60		/* warn so long before the end */
#define DEAD_PINGS	3		/* silent for so many: dead */

static const struct config	*cfg;

static int64_t
min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void
alive_ping(struct alive *a, struct session *s, int64_t now)
{
	struct conn	*c = session_conn(s);

	if (now < a->ping_ms)
		return;
	a->ping_ms = now + cfg->ping_interval_ms;
	/* A full connection has enough to read; pings could pile up. */
	if (session_is_full(s))
		return;
	member_tell_at(s);
	if (c != NULL)
		conn_ping(c);	/* of a WebSocket only */
}

/*
 * Milliseconds that the peer has left to show that it is there; 0: none.  One
 * that is full is not read from, so it shows that by taking what waits.
 */
static int64_t
alive_left_ms(struct session *s)
{
	bool	full = session_is_full(s);
	int64_t	limit = full ? cfg->stall_timeout_ms :
		    DEAD_PINGS * cfg->ping_interval_ms;
	int64_t	silent = session_silent_ms(s);

	/* Clients that send no pongs are detected by TCP. */
	if (session_conn(s) != NULL && !session_dialect(s)->has_pongs && !full)
		return cfg->stall_timeout_ms;
	return silent > limit ? 0 : limit - silent + 1;
}

/* Milliseconds until the token's state changes next; the end is 0. */
static int64_t
alive_token_ms(struct alive *a, struct session *s)
{
	int64_t	left = session_exp(s) + cfg->jwt_leeway_ms / 1000 -
		    (int64_t)time(NULL);

	if (left <= 0)
		return 0;
	if (left <= EXPIRING_S && !a->warned) {
		a->warned = true;
		session_send(s, session_dialect(s)->expiring(s, left));
	}
	if (left > EXPIRING_S)
		left -= EXPIRING_S;
	return left > INT64_MAX / 1000 ? INT64_MAX : left * 1000;
}

void
alive_tick(struct alive *a, struct session *s)
{
	int64_t	now = clock_ms(), next, left;

	if ((left = alive_left_ms(s)) == 0) {
		if (session_is_full(s))
			session_close(s, CLOSE_TRY_LATER, "not reading");
		else
			session_close(s, CLOSE_GOING_AWAY, "no sign of life");
		return;
	}
	if ((next = alive_token_ms(a, s)) == 0) {
		session_close(s, CLOSE_UNAUTHORIZED, "token expired");
		return;
	}
	alive_ping(a, s, now);
	next = min64(next, a->ping_ms - now);
	/* It may become full before the next ping. */
	left = min64(left, cfg->stall_timeout_ms);
	session_set_timer(s, min64(next, left));
}

void
alive_begin(struct alive *a)
{
	a->ping_ms = clock_ms() + cfg->ping_interval_ms;
}

void
alive_renew(struct alive *a)
{
	a->warned = false;
}

void
alive_init(const struct config *config)
{
	cfg = config;
}
