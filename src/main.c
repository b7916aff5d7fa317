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
#include "base/notify.h"
#include "check.h"
#include "db/migrate.h"
#include "init.h"
#include "reload.h"
#include "server.h"
#include "base/token.h"

#define ERR_MAX	1024
#define TICK_MS	1000

static struct event	*tick_timer;
static int		 end_signal;

static const char	usage_text[] =
    "usage: pgpushd [-nT] [-c file]\n"
    "       pgpushd migrate [-c file] [--status]\n"
    "       pgpushd init [-c file] [--database conninfo]\n"
    "       pgpushd -h | -V\n";
static const char	help_text[] =
    "\n"
    "  -c file   read settings from this file, then from PGPUSH_... variables\n"
    "  -n        check the settings and keys, start nothing\n"
    "  -T        print the settings in force, start nothing\n"
    "  -h        print this (--help)\n"
    "  -V        print the version (--version)\n"
    "  migrate   bring schema pgpush of the database up to date;\n"
    "            --status only tells what is there\n"
    "  init      make roles, schema, secret and settings; for --database a\n"
    "            connection string of a role that may create roles\n"
    "\n"
    "pgpushd(8) is the manual, pgpushd.conf(5) has the settings.\n";

/* What the command line asks for. */
enum task {
	TASK_RUN,
	TASK_CHECK,
	TASK_PRINT,
	TASK_MIGRATE,
	TASK_STATUS,		/* of migrations */
	TASK_INIT,
};

struct options {
	enum task	 task;
	const char	*file;
	const char	*database;	/* of init; NULL: ask */
};

static void
usage(void)
{
	(void)fputs(usage_text, stderr);
	exit(2);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	(void)arg;
	end_signal = (int)sig;
	notify_send("STOPPING=1\nSTATUS=sending clients away");
	log_info("msg=signal number=%d", (int)sig);
	server_drain();
}

static void
on_hangup(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	reload();
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	log_tick();
	notify_send("WATCHDOG=1");
	clock_start(tick_timer, TICK_MS);
}

/* Those that mean nothing to us, and would end us. */
static void
ignore_signals(void)
{
	static const int	numbers[] = { SIGPIPE, SIGUSR1, SIGUSR2,
				    SIGALRM };
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

/* Timers of less than a millisecond: a leader that polls has such. */
static struct event_base *
new_base(void)
{
	struct event_config	*set = event_config_new();
	struct event_base	*base;

	if (set == NULL || event_config_set_flag(set,
	    EVENT_BASE_FLAG_PRECISE_TIMER) == -1 ||
	    (base = event_base_new_with_config(set)) == NULL)
		fatal("msg=\"event_base_new_with_config failed\"");
	event_config_free(set);
	return base;
}

static int
run(struct config *cfg, const char *file, struct token_keys *keys)
{
	struct event_base	*base;
	struct event		*term, *intr, *hup;
	char			 err[ERR_MAX];
	int			 r = 0;

	ignore_signals();
	log_start(cfg, file);
	raise_descriptor_limit();
	base = new_base();
	term = evsignal_new(base, SIGTERM, on_signal, NULL);
	intr = evsignal_new(base, SIGINT, on_signal, NULL);
	hup = evsignal_new(base, SIGHUP, on_hangup, NULL);
	reload_init(cfg, keys, file);
	tick_timer = clock_new(base, on_tick, NULL);
	clock_start(tick_timer, TICK_MS);
	if (term == NULL || intr == NULL || hup == NULL ||
	    event_add(term, NULL) == -1 || event_add(intr, NULL) == -1 ||
	    event_add(hup, NULL) == -1)
		fatal("msg=\"cannot catch signals\"");
	if (server_start(base, cfg, keys, err, sizeof(err)) == -1) {
		(void)fprintf(stderr, "pgpushd: %s\n", err);
		r = 1;
	} else
		(void)event_base_dispatch(base);
	r |= server_exit();
	log_info("msg=stopped signal=%d", end_signal);
	event_free(tick_timer);
	event_free(term);
	event_free(intr);
	event_free(hup);
	event_base_free(base);
	libevent_global_shutdown();
	return r;
}

static void
print_and_exit(const char *text, const char *more)
{
	(void)printf("%s%s", text, more);
	exit(0);
}

static void
read_options(struct options *o, int argc, char *argv[])
{
	static const struct option longs[] = {
		{ "database", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ "status", no_argument, NULL, 's' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 }
	};
	bool	status = false;
	int	ch;

	while ((ch = getopt_long(argc, argv, "c:hnTV", longs, NULL)) != -1)
		switch (ch) {
		case 'c':
			o->file = optarg;
			break;
		case 'd':
			o->database = optarg;
			break;
		case 'h':
			print_and_exit(usage_text, help_text);
			break;
		case 'n':
			o->task = TASK_CHECK;
			break;
		case 'T':
			o->task = TASK_PRINT;
			break;
		case 'V':
			print_and_exit("pgpushd ", PACKAGE_VERSION "\n");
			break;
		case 's':
			status = true;
			break;
		default:
			usage();
		}
	/* getopt(3) has moved the operands to the end. */
	if (optind < argc && o->task == TASK_RUN &&
	    strcmp(argv[optind], "migrate") == 0) {
		o->task = status ? TASK_STATUS : TASK_MIGRATE;
		optind++;
	} else if (optind < argc && o->task == TASK_RUN &&
	    strcmp(argv[optind], "init") == 0) {
		o->task = TASK_INIT;
		optind++;
	}
	if (optind < argc || (status && o->task != TASK_STATUS) ||
	    (o->database != NULL && o->task != TASK_INIT))
		usage();
}

static void
warn_to_stderr(const char *text)
{
	(void)fprintf(stderr, "pgpushd: warning: %s\n", text);
}

static void
warn_to_log(const char *text)
{
	log_warn("msg=%s", log_quote(text, strlen(text)));
}

/* All but migrations: what needs good keys. */
static int
check_and_run(struct config *cfg, const struct options *o)
{
	struct token_keys	*keys;
	char			 err[ERR_MAX];
	int			 r = 0;

	if ((keys = token_keys_load(cfg, err, sizeof(err))) == NULL ||
	    check_config(cfg, o->file, o->task == TASK_CHECK ?
	    warn_to_stderr : warn_to_log, err, sizeof(err)) == -1) {
		(void)fprintf(stderr, "pgpushd: %s\n", err);
		r = 1;
	} else if (o->task == TASK_CHECK)
		(void)printf("configuration OK\n");
	else
		r = run(cfg, o->file, keys);
	token_keys_free(keys);
	return r;
}

int
main(int argc, char *argv[])
{
	struct options	 o = { TASK_RUN, NULL, NULL };
	struct config	*cfg;
	char		 err[ERR_MAX];
	int		 r = 0;

	read_options(&o, argc, argv);
	if ((cfg = config_load(o.task == TASK_INIT ? NULL : o.file, err,
	    sizeof(err))) == NULL) {
		(void)fprintf(stderr, "pgpushd: %s\n", err);
		return 1;
	}
	log_open();
	log_set_level((enum log_level)cfg->log_level);
	log_set_rate(cfg->log_rate);
	switch (o.task) {
	case TASK_RUN:
	case TASK_CHECK:
		r = check_and_run(cfg, &o);
		break;
	case TASK_PRINT:
		config_print(cfg, stdout);
		break;
	case TASK_MIGRATE:
	case TASK_STATUS:
		r = migrate(cfg, o.task == TASK_STATUS);
		break;
	case TASK_INIT:
		r = init(cfg, o.database, o.file);
		break;
	}
	config_free(cfg);
	return r;
}
