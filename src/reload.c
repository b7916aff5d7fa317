/* SPDX-License-Identifier: ISC */

/*
 * Everybody holds the configuration and the keys by pointers, so the new values
 * move into the old structures.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/config.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/stats.h"
#include "base/token.h"
#include "check.h"
#include "reload.h"
#include "server.h"

#define ERR_MAX	1024

static struct config		*live;
static struct token_keys	*live_keys;
static const char		*file;

static void
warn(const char *text)
{
	log_warn("msg=%s", log_quote(text, strlen(text)));
}

void
reload_init(struct config *cfg, struct token_keys *keys, const char *path)
{
	live = cfg;
	live_keys = keys;
	file = path;
}

/* Take the new ones over. */
static void
take(struct config *fresh, struct token_keys *keys)
{
	char	*rest = config_take(live, fresh);

	token_keys_swap(live_keys, keys);
	log_set_level((enum log_level)live->log_level);
	log_set_rate(live->log_rate);
	server_reloaded();
	stats_add_to(STAT_RELOADS, STAT_RELOADED, 1);
	stats_set(STAT_RELOAD_OK, 1);
	stats_set(STAT_RELOAD_TIME, (int64_t)time(NULL));
	log_info("msg=reloaded needs_restart=%s", log_quote(rest,
	    strlen(rest)));
	free(rest);
}

/* systemd waits for the READY that was sent after this moment. */
static void
tell_reloading(void)
{
	struct timespec	now;
	char		state[64];

	clock_gettime(CLOCK_MONOTONIC, &now);
	(void)snprintf(state, sizeof(state), "RELOADING=1\n"
	    "MONOTONIC_USEC=%lld", (long long)now.tv_sec * 1000000 +
	    now.tv_nsec / 1000);
	notify_send(state);
}

void
reload(void)
{
	char			 err[ERR_MAX];
	struct config		*fresh = config_load(file, err, sizeof(err));
	struct token_keys	*keys = NULL;

	tell_reloading();
	if (fresh != NULL &&
	    (keys = token_keys_load(fresh, err, sizeof(err))) != NULL &&
	    check_config(fresh, file, warn, err, sizeof(err)) == 0 &&
	    server_reload(fresh, err, sizeof(err)) == 0)
		take(fresh, keys);
	else {
		stats_add_to(STAT_RELOADS, STAT_RELOAD_REFUSED, 1);
		stats_set(STAT_RELOAD_OK, 0);
		log_error("msg=\"reload refused, the old settings stay\" "
		    "why=%s", log_quote(err, strlen(err)));
	}
	notify_send("READY=1");
	token_keys_free(keys);
	config_free(fresh);
}
