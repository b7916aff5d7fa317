/* SPDX-License-Identifier: ISC */

/*
 * pgpushd(8): options, configuration, signals, the loop.
 */

#include <sys/resource.h>
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "db/migrate.h"
#include "server.h"
#include "base/token.h"

#define ERR_MAX	1024
#define TICK_MS	1000

static struct event	*tick_timer;
static int		 end_signal;

static void
usage(void)
{
	(void)fprintf(stderr, "usage: pgpushd [-n] [-c file]\n"
	    "       pgpushd migrate [--status] [-c file]\n"
	    "       pgpushd -V\n");
	exit(2);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	(void)arg;
	end_signal = (int)sig;
	log_info("msg=signal number=%d", (int)sig);
	server_drain();
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	log_tick();
	clock_start(tick_timer, TICK_MS);
}

/* Those that mean nothing to us, and would end us. */
static void
ignore_signals(void)
{
	static const int	numbers[] = { SIGPIPE, SIGHUP, SIGUSR1,
				    SIGUSR2, SIGALRM };
	size_t			i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		(void)signal(numbers[i], SIG_IGN);
}

static void
log_start(const struct config *cfg, const char *file)
{
	char	*summary = config_summary(cfg);

	log_info("msg=start version=%s pid=%d file=%s%s", PACKAGE_VERSION,
	    (int)getpid(), file == NULL ? "none" : log_quote(file,
	    strlen(file)), summary);
	free(summary);
}

/* Every descriptor that we may have: each connection takes one. */
static void
raise_descriptor_limit(void)
{
	struct rlimit	rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return;
	rl.rlim_cur = rl.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &rl);
}

static int
run(const struct config *cfg, const char *file, const struct token_keys *keys)
{
	struct event_base	*base;
	struct event		*term, *intr;
	char			 err[ERR_MAX];
	int			 r = 0;

	ignore_signals();
	log_start(cfg, file);
	raise_descriptor_limit();
	if ((base = event_base_new()) == NULL)
		fatal("msg=\"event_base_new failed\"");
	term = evsignal_new(base, SIGTERM, on_signal, NULL);
	intr = evsignal_new(base, SIGINT, on_signal, NULL);
	tick_timer = clock_new(base, on_tick, NULL);
	clock_start(tick_timer, TICK_MS);
	if (term == NULL || intr == NULL || event_add(term, NULL) == -1 ||
	    event_add(intr, NULL) == -1)
		fatal("msg=\"cannot catch signals\"");
	if (server_start(base, cfg, keys, err, sizeof(err)) == -1) {
		(void)fprintf(stderr, "pgpushd: %s\n", err);
		r = 1;
	} else
		(void)event_base_dispatch(base);
	server_exit();
	log_info("msg=stopped signal=%d", end_signal);
	event_free(tick_timer);
	event_free(term);
	event_free(intr);
	event_base_free(base);
	libevent_global_shutdown();
	return r;
}

int
main(int argc, char *argv[])
{
	static const struct option longs[] = {
		{ "status", no_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 }
	};
	const char		*file = NULL;
	struct config		*cfg;
	struct token_keys	*keys = NULL;
	char			 err[ERR_MAX];
	bool			 check = false, migrating = false, status = false;
	int			 ch, r = 0;

	while ((ch = getopt_long(argc, argv, "c:nV", longs, NULL)) != -1)
		switch (ch) {
		case 'c':
			file = optarg;
			break;
		case 'n':
			check = true;
			break;
		case 'V':
			(void)printf("pgpushd %s\n", PACKAGE_VERSION);
			return 0;
		case 's':
			status = true;
			break;
		default:
			usage();
		}
	/* getopt(3) has moved the operands to the end. */
	if (optind < argc && strcmp(argv[optind], "migrate") == 0) {
		migrating = true;
		optind++;
	}
	if (optind < argc || (check && migrating) ||
	    (status && !migrating))
		usage();
	if ((cfg = config_load(file, err, sizeof(err))) == NULL) {
		(void)fprintf(stderr, "pgpushd: %s\n", err);
		return 1;
	}
	log_open();
	log_set_level((enum log_level)cfg->log_level);
	log_set_rate(cfg->log_rate);
	if (!migrating &&
	    (keys = token_keys_load(cfg, err, sizeof(err))) == NULL) {
		(void)fprintf(stderr, "pgpushd: %s\n", err);
		r = 1;
	} else if (check)
		(void)printf("configuration OK\n");
	else
		r = migrating ? migrate(cfg, status) : run(cfg, file, keys);
	token_keys_free(keys);
	config_free(cfg);
	return r;
}
