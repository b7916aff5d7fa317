/* SPDX-License-Identifier: ISC */

/* The settings: values, errors, the environment, lists. */

#include <unistd.h>

#include "base/config.h"
#include "tap.h"

static char	path[] = "/tmp/pgpush-config-XXXXXX";
static char	err[1000];

static void
file_write(const char *text, size_t len)
{
	FILE	*fp = fopen(path, "w");

	if (fp == NULL || fwrite(text, 1, len, fp) != len || fclose(fp) != 0)
		abort();
}

static struct config *
load(const char *text)
{
	file_write(text, strlen(text));
	err[0] = '\0';
	return config_load(path, err, sizeof(err));
}

/* The number of a key, as config_value wants it. */
static size_t
key_index(const char *key)
{
	size_t	 i;

	for (i = 0; config_key(i) != NULL; i++)
		if (strcmp(config_key(i), key) == 0)
			return i;
	abort();
}

static bool
value_is(const struct config *cfg, const char *key, const char *want)
{
	char	*value = config_value(cfg, key_index(key));
	bool	 same = strcmp(value, want) == 0;

	free(value);
	return same;
}

static void
test_defaults(void)
{
	struct config	*cfg = config_load(NULL, err, sizeof(err));

	ok(cfg != NULL, "no file: defaults");
	ok(strcmp(cfg->listen, "127.0.0.1:8081") == 0 &&
	    strcmp(cfg->database, "dbname=pgpush") == 0 &&
	    strcmp(cfg->sql_dir, PGPUSH_SQL_DIR) == 0 &&
	    cfg->node[0] == '\0' && cfg->jwt_secret[0] == '\0' &&
	    strcmp(cfg->jwt_algorithms, "HS256") == 0 &&
	    strcmp(cfg->jwt_user_claim, "sub") == 0, "texts");
	ok(cfg->max_connections == 10000 && cfg->max_message == 65536 &&
	    cfg->max_event == 4 << 20 && cfg->output_high == 1 << 20 &&
	    cfg->retain_ms == 86400000 && cfg->handler_interval_ms == 20 &&
	    cfg->jwt_leeway_ms == 5000 && cfg->log_level == 2, "numbers");
	config_free(cfg);
	config_free(NULL);
}

/* Each setting takes its own default from a file. */
static void
test_round(void)
{
	struct config	*cfg = config_load(NULL, err, sizeof(err)), *again;
	char		*value, text[400];
	size_t		 i;

	for (i = 0; config_key(i) != NULL; i++) {
		value = config_value(cfg, i);
		snprintf(text, sizeof(text), "%s = %s\n", config_key(i),
		    value);
		again = load(text);
		ok(again != NULL && value_is(again, config_key(i), value),
		    "%s = %s%s", config_key(i), value, err);
		config_free(again);
		free(value);
	}
	/* All fields are pointers or int64_t. */
	ok(i * sizeof(int64_t) == sizeof(struct config),
	    "%zu settings: every field has one", i);
	config_free(cfg);
}

struct good {
	const char	*text;
	const char	*key;
	const char	*value;
};

static const struct good goods[] = {
	{ "", "max_rooms", "100" },
	{ "\n \t \n# max_rooms = 1\n; max_rooms = 1\n", "max_rooms", "100" },
	{ "max_rooms=7", "max_rooms", "7" },
	{ "  max_rooms\t =  7  \r\n", "max_rooms", "7" },
	{ "max_rooms = 007\n", "max_rooms", "7" },
	{ "max_message = 1024\n", "max_message", "1k" },
	{ "max_message = 1025\n", "max_message", "1025" },
	{ "max_message = 64M\n", "max_message", "64M" },
	{ "max_message = 2048k\n", "max_message", "2M" },
	{ "ring_bytes = 16G\n", "ring_bytes", "16G" },
	{ "auth_timeout = 1500ms\n", "auth_timeout", "1500ms" },
	{ "auth_timeout = 2000ms\n", "auth_timeout", "2s" },
	{ "auth_timeout = 120s\n", "auth_timeout", "2m" },
	{ "retain = 24h\n", "retain", "24h" },
	{ "retain = 7d\n", "retain", "7d" },
	{ "retain = 36h\n", "retain", "36h" },
	{ "presence_grace = 0\n", "presence_grace", "0s" },
	{ "max_connections = 0\n", "max_connections", "0" },
	{ "origins = https://a.example, https://b.example\n", "origins",
	    "https://a.example, https://b.example" },
	{ "origins =\n", "origins", "" },
	{ "node = a = b # no comment\n", "node", "a = b # no comment" },
	{ "node = \" a \"\n", "node", " a " },
	{ "node = \"\n", "node", "\"" },
	{ "node = \"\"\n", "node", "" },
	{ "listen = [::1]:1, 127.0.0.1:65535 0.0.0.0:80\n", "listen",
	    "[::1]:1, 127.0.0.1:65535 0.0.0.0:80" },
	{ "jwt_algorithms = RS256,ES256\n", "jwt_algorithms", "RS256,ES256" },
	{ "log_level = debug\n", "log_level", "debug" },
	{ "jwt_secret = abc\n", "jwt_secret", "(not shown)" },
	{ "database = password=abc\n", "database", "(not shown)" },
	{ "database = dbname=pgpush\n", "database", "dbname=pgpush" },
};

static void
test_good(void)
{
	struct config	*cfg;
	size_t		 i;

	for (i = 0; i < sizeof(goods) / sizeof(goods[0]); i++) {
		cfg = load(goods[i].text);
		ok(cfg != NULL && value_is(cfg, goods[i].key, goods[i].value),
		    "row %zu: %s is %s %s", i, goods[i].key, goods[i].value,
		    err);
		config_free(cfg);
	}
}

struct bad {
	const char	*text;
	const char	*err;		/* after the file's name */
};
#define ADDRESSES	"\", allowed: a list of numeric addresses with " \
	"ports, such as 127.0.0.1:8081 or [::1]:8081"

static const struct bad bads[] = {
	{ "max_rooms\n", ":1: found \"max_rooms\", allowed: key = value, or a "
	    "comment after # or ;" },
	{ "\n[server]\n", ":2: found \"[server]\", allowed: key = value, or a "
	    "comment after # or ;" },
	{ "= 1\n", ":1: \"\": there is no such key; pgpushd.conf(5) has them "
	    "all" },
	{ "\n\nmax_room = 1\n", ":3: \"max_room\": there is no such key; "
	    "pgpushd.conf(5) has them all" },
	{ "Max_rooms = 1\n", ":1: \"Max_rooms\": there is no such key; "
	    "pgpushd.conf(5) has them all" },
	{ "max_rooms = 1\n#\nmax_rooms = 1\n", ":3: max_rooms: found a second "
	    "time, allowed: once (line 1 has it)" },
	{ "max_rooms = 0\n", ":1: max_rooms: found \"0\", allowed: a number "
	    "from 1 to 100000" },
	{ "max_rooms = 100001\n", ":1: max_rooms: found \"100001\", allowed: "
	    "a number from 1 to 100000" },
	{ "max_rooms = -1\n", ":1: max_rooms: found \"-1\", allowed: a number "
	    "from 1 to 100000" },
	{ "max_rooms =\n", ":1: max_rooms: found \"\", allowed: a number from "
	    "1 to 100000" },
	{ "max_rooms = 1 2\n", ":1: max_rooms: found \"1 2\", allowed: a "
	    "number from 1 to 100000" },
	{ "max_rooms = 1k\n", ":1: max_rooms: found \"1k\", allowed: a number "
	    "from 1 to 100000" },
	{ "max_rooms = 99999999999999999999\n", ":1: max_rooms: found "
	    "\"99999999999999999999\", allowed: a number from 1 to 100000" },
	{ "max_message = 65M\n", ":1: max_message: found \"65M\", allowed: "
	    "bytes from 1k to 64M (units k, M, G)" },
	{ "max_message = 64K\n", ":1: max_message: found \"64K\", allowed: "
	    "bytes from 1k to 64M (units k, M, G)" },
	{ "max_message = 9007199254740993G\n", ":1: max_message: found "
	    "\"9007199254740993G\", allowed: bytes from 1k to 64M (units k, "
	    "M, G)" },
	{ "auth_timeout = 10\n", ":1: auth_timeout: found \"10\", allowed: a "
	    "time from 100ms to 10m (units ms, s, m, h, d)" },
	{ "auth_timeout = 1.5s\n", ":1: auth_timeout: found \"1.5s\", "
	    "allowed: a time from 100ms to 10m (units ms, s, m, h, d)" },
	{ "auth_timeout = s\n", ":1: auth_timeout: found \"s\", allowed: a "
	    "time from 100ms to 10m (units ms, s, m, h, d)" },
	{ "auth_timeout = 0\n", ":1: auth_timeout: found \"0\", allowed: a "
	    "time from 100ms to 10m (units ms, s, m, h, d)" },
	{ "listen = 8081\n", ":1: listen: found \"8081" ADDRESSES },
	{ "listen = :8081\n", ":1: listen: found \":8081" ADDRESSES },
	{ "listen = 127.0.0.1:1, b\n",
	    ":1: listen: found \"127.0.0.1:1, b" ADDRESSES },
	{ "listen = localhost:1\n",
	    ":1: listen: found \"localhost:1" ADDRESSES },
	{ "listen = 127.0.0.1:65536\n",
	    ":1: listen: found \"127.0.0.1:65536" ADDRESSES },
	{ "listen = 127.0.0.1:\n", ":1: listen: found \"127.0.0.1:" ADDRESSES },
	{ "listen = 127.0.0.1:0\n",
	    ":1: listen: found \"127.0.0.1:0" ADDRESSES },
	{ "listen = 127.0.0.1\n", ":1: listen: found \"127.0.0.1" ADDRESSES },
	{ "listen = ::1:80\n", ":1: listen: found \"::1:80" ADDRESSES },
	{ "listen = [::1:80\n", ":1: listen: found \"[::1:80" ADDRESSES },
	{ "jwt_algorithms = none\n", ":1: jwt_algorithms: found \"none\", "
	    "allowed: a list out of: HS256 RS256 ES256" },
	{ "jwt_algorithms = HS256, HS512\n", ":1: jwt_algorithms: found "
	    "\"HS256, HS512\", allowed: a list out of: HS256 RS256 ES256" },
	{ "jwt_algorithms =\n", ":1: jwt_algorithms: found \"\", allowed: a "
	    "list out of: HS256 RS256 ES256" },
	{ "log_level = INFO\n", ":1: log_level: found \"INFO\", allowed: one "
	    "of: error warning info debug" },
	{ "log_level = \x1b[2J\n", ":1: log_level: found \"\\x1b[2J\", "
	    "allowed: one of: error warning info debug" },
};

static void
test_bad(void)
{
	struct config	*cfg;
	size_t		 i, n = strlen(path);

	for (i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		cfg = load(bads[i].text);
		ok(cfg == NULL && strncmp(err, path, n) == 0 &&
		    strcmp(err + n, bads[i].err) == 0, "row %zu: %s", i, err);
		config_free(cfg);
	}
}

static void
test_bad_pairs(void)
{
	struct config	*cfg;

	cfg = load("reconnect_min = 2s\nreconnect_max = 1s\n");
	ok(cfg == NULL && strcmp(err, "reconnect_min: found 2000ms, allowed: "
	    "at most reconnect_max (1000ms)") == 0, "%s", err);
	ok(load("listen = \n") == NULL && strstr(err, "tls_listen") != NULL,
	    "%s", err);
	cfg = load("listen =\ntls_listen = 127.0.0.1:1\n");
	ok(cfg != NULL, "TLS alone");
	config_free(cfg);
	cfg = load("move_interval = 2ms\nmove_interval_min = 3ms\n");
	ok(cfg == NULL && strcmp(err, "move_interval_min: found 3ms, allowed: "
	    "at most move_interval (2ms)") == 0, "%s", err);
}

static void
test_bad_files(void)
{
	ok(config_load("/nowhere/pgpushd.conf", err, sizeof(err)) == NULL &&
	    strcmp(err, "/nowhere/pgpushd.conf: No such file or directory")
	    == 0, "%s", err);
	ok(config_load("/", err, sizeof(err)) == NULL &&
	    strstr(err, "Is a directory") != NULL, "%s", err);
	file_write("node = a\0b\n", 11);
	ok(config_load(path, err, sizeof(err)) == NULL &&
	    strstr(err, ":1: found a NUL byte") != NULL, "%s", err);
	ok(config_load("/nowhere", err, 5) == NULL && strcmp(err, "/now") == 0,
	    "a short buffer for the reason is not overrun");
}

static void
test_environment(void)
{
	struct config	*cfg;

	setenv("PGPUSH_MAX_ROOMS", "8", 1);
	setenv("PGPUSH_ORIGINS", "", 1);
	cfg = load("max_rooms = 7\norigins = https://a\nmax_event = 2M\n");
	ok(cfg != NULL && cfg->max_rooms == 8, "it overrides the file");
	ok(cfg != NULL && cfg->origins[0] == '\0', "with nothing, too");
	ok(cfg != NULL && cfg->max_event == 2 << 20, "and leaves the rest");
	config_free(cfg);
	setenv("PGPUSH_MAX_ROOMS", "x", 1);
	ok(load("") == NULL && strcmp(err, "environment: PGPUSH_MAX_ROOMS: "
	    "found \"x\", allowed: a number from 1 to 100000") == 0, "%s",
	    err);
	unsetenv("PGPUSH_MAX_ROOMS");
	unsetenv("PGPUSH_ORIGINS");
	setenv("PGPUSH_UNHEARD_OF", "1", 1);
	ok(load("") == NULL && strcmp(err, "environment: \"PGPUSH_UNHEARD_OF\""
	    ": there is no such setting; pgpushd.conf(5) has them all") == 0,
	    "%s", err);
	unsetenv("PGPUSH_UNHEARD_OF");
	setenv("PGPUSHUNHEARD", "1", 1);
	config_free(cfg = load(""));
	ok(cfg != NULL, "another program's variable does not matter");
	unsetenv("PGPUSHUNHEARD");
}

static void
test_where(void)
{
	struct config	*cfg;
	char		 where[100], want[100];

	setenv("PGPUSH_NODE", "x", 1);
	cfg = load("\nmax_rooms = 7\n");
	config_where(cfg, "max_rooms", where, sizeof(where));
	snprintf(want, sizeof(want), "%s:2: max_rooms", path);
	ok(strcmp(where, want) == 0, "a setting's place is file and line");
	config_where(cfg, "node", where, sizeof(where));
	ok(strcmp(where, "environment: PGPUSH_NODE") == 0, "or a variable");
	config_where(cfg, "retain", where, sizeof(where));
	ok(strcmp(where, "retain") == 0, "or there is none");
	config_free(cfg);
	unsetenv("PGPUSH_NODE");
}

/* Lists of origins: what a browser can send, and what it never does. */
static void
test_origins(void)
{
	static const char *const	good[] = { "https://a.example",
		"http://localhost:8080", "https://[2001:db8::1]:8443", "null",
		"app://x", "https://xn--bcher-kva.example",
		"http://127.0.0.1:1, https://b" };
	static const char *const	bad[] = { "https://a.example/",
		"a.example", "https://A.example", "https://a.example:443",
		"http://a.example:80", "*", "https://*.a.example",
		"https://a.example/page", "https://", "https://a:", "://a",
		"https://a:0", "https://a:99999", "https://u@a",
		"https://[::1", "https://a, b" };
	char		 text[200];
	struct config	*cfg;
	size_t		 i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(text, sizeof(text), "origins = %s\n", good[i]);
		cfg = load(text);
		ok(cfg != NULL, "origin %s is taken", good[i]);
		config_free(cfg);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "origins = %s\n", bad[i]);
		ok(load(text) == NULL && strstr(err, "as browsers send") !=
		    NULL, "origin %s is refused", bad[i]);
	}
}

static void
test_lists(void)
{
	const char	*pos = " a, bb\tccccc,,d ";
	char		 item[4];

	ok(config_list_next(&pos, item, sizeof(item)) &&
	    strcmp(item, "a") == 0, "a list's first item");
	ok(config_list_next(&pos, item, sizeof(item)) &&
	    strcmp(item, "bb") == 0, "the next");
	ok(config_list_next(&pos, item, sizeof(item)) &&
	    strcmp(item, "ccc") == 0, "one that does not fit is cut");
	ok(config_list_next(&pos, item, sizeof(item)) &&
	    strcmp(item, "d") == 0, "empty ones are skipped");
	ok(!config_list_next(&pos, item, sizeof(item)), "and then the end");
	ok(config_list_has("a, bb", "bb") && config_list_has("a", "a"),
	    "an item is in a list");
	ok(!config_list_has("a, bb", "b") && !config_list_has("", "") &&
	    !config_list_has("a, ", "") && !config_list_has("a b", "a b"),
	    "a part, nothing or two are not");
}

int
main(void)
{
	int	 fd = mkstemp(path);

	if (fd == -1)
		return 1;
	close(fd);
	clearenv();
	test_defaults();
	test_round();
	test_good();
	test_bad();
	test_bad_pairs();
	test_bad_files();
	test_environment();
	test_where();
	test_origins();
	test_lists();
	unlink(path);
	return tap_done();
}
