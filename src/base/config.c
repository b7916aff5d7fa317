/* SPDX-License-Identifier: ISC */

/*
 * The table below is all there is to know of a setting.  A default is text
 * like any other value and goes the same way, so it cannot be out of range
 * without the first start saying so.
 */

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "base/setting.h"
#include "base/words.h"
#include "base/xmalloc.h"

#define AT(field)	offsetof(struct config, field)

static const struct setting settings[] = {
	{ "listen", KIND_ADDRESSES_OR_NONE, AT(listen), "127.0.0.1:8081", 0, 0, NULL },
	{ "tls_listen", KIND_ADDRESSES_OR_NONE, AT(tls_listen), "",
	    0, 0, NULL },
	{ "tls_certificate_file", KIND_TEXT, AT(tls_certificate_file), "",
	    0, 0, NULL },
	{ "tls_key_file", KIND_TEXT, AT(tls_key_file), "", 0, 0, NULL },
	{ "tls_ticket_secret_file", KIND_TEXT, AT(tls_ticket_secret_file), "",
	    0, 0, NULL },
	{ "reuse_port", KIND_CHOICE, AT(reuse_port), "no", 0, 0, "no yes" },
	{ "origins", KIND_ORIGINS, AT(origins), "", 0, 0, NULL },
	{ "max_connections", KIND_NUMBER, AT(max_connections), "10000",
	    0, 1000000, NULL },
	{ "max_per_user", KIND_NUMBER, AT(max_per_user), "1000",
	    0, 1000000, NULL },
	{ "max_per_address", KIND_NUMBER, AT(max_per_address), "0",
	    0, 1000000, NULL },
	{ "max_unauthenticated", KIND_NUMBER, AT(max_unauthenticated), "1000",
	    1, 1000000, NULL },
	{ "max_message", KIND_BYTES, AT(max_message), "64k",
	    KIB, 64 * MIB, NULL },
	{ "output_high", KIND_BYTES, AT(output_high), "1M",
	    4 * KIB, GIB, NULL },
	{ "stall_timeout", KIND_TIME, AT(stall_timeout_ms), "5m",
	    SEC, DAY, NULL },
	{ "auth_timeout", KIND_TIME, AT(auth_timeout_ms), "10s",
	    100, 10 * MIN, NULL },
	{ "ping_interval", KIND_TIME, AT(ping_interval_ms), "25s",
	    100, HOUR, NULL },
	{ "drain_timeout", KIND_TIME, AT(drain_timeout_ms), "10s",
	    0, HOUR, NULL },
	{ "shutdown_delay", KIND_TIME, AT(shutdown_delay_ms), "0s",
	    0, HOUR, NULL },
	{ "status_listen", KIND_ADDRESSES_OR_NONE, AT(status_listen), "",
	    0, 0, NULL },
	{ "max_rooms", KIND_NUMBER, AT(max_rooms), "100", 1, 100000, NULL },
	{ "message_rate", KIND_NUMBER, AT(message_rate), "200",
	    0, 1000000, NULL },
	{ "max_pending", KIND_BYTES, AT(max_pending), "1M", KIB, GIB, NULL },
	{ "max_pending_user", KIND_BYTES, AT(max_pending_user), "8M",
	    KIB, GIB, NULL },

	{ "database", KIND_SECRET, AT(database), "dbname=pgpush",
	    0, 0, NULL },
	{ "follow_dsn", KIND_SECRET, AT(follow_dsn), "", 0, 0, NULL },
	{ "sql_dir", KIND_TEXT, AT(sql_dir), PGPUSH_SQL_DIR, 0, 0, NULL },
	{ "node", KIND_TEXT, AT(node), "", 0, 0, NULL },
	{ "reconnect_min", KIND_TIME, AT(reconnect_min_ms), "100ms",
	    10, MIN, NULL },
	{ "reconnect_max", KIND_TIME, AT(reconnect_max_ms), "10s",
	    10, HOUR, NULL },

	{ "jwt_secret", KIND_SECRET, AT(jwt_secret), "", 0, 0, NULL },
	{ "jwt_short_secret", KIND_CHOICE, AT(jwt_short_secret), "no",
	    0, 0, "no yes" },
	{ "jwt_secret_file", KIND_TEXT, AT(jwt_secret_file), "", 0, 0, NULL },
	{ "jwt_public_key_file", KIND_TEXT, AT(jwt_public_key_file), "",
	    0, 0, NULL },
	{ "jwt_jwks_file", KIND_TEXT, AT(jwt_jwks_file), "", 0, 0, NULL },
	{ "jwt_algorithms", KIND_WORDS, AT(jwt_algorithms), "HS256",
	    0, 0, "HS256 RS256 ES256" },
	{ "jwt_user_claim", KIND_TEXT, AT(jwt_user_claim), "sub",
	    0, 0, NULL },
	{ "jwt_cookie", KIND_TEXT, AT(jwt_cookie), "token", 0, 0, NULL },
	{ "jwt_issuer", KIND_TEXT, AT(jwt_issuer), "", 0, 0, NULL },
	{ "jwt_audience", KIND_TEXT, AT(jwt_audience), "", 0, 0, NULL },
	{ "jwt_leeway", KIND_TIME, AT(jwt_leeway_ms), "5s", 0, HOUR, NULL },

	{ "max_event", KIND_BYTES, AT(max_event), "4M",
	    KIB, 256 * MIB, NULL },
	{ "ring_events", KIND_NUMBER, AT(ring_events), "4096",
	    1, 1000000, NULL },
	{ "ring_bytes", KIND_BYTES, AT(ring_bytes), "16M",
	    4 * KIB, 16 * GIB, NULL },
	{ "heartbeat", KIND_TIME, AT(heartbeat_ms), "1s", 100, HOUR, NULL },
	{ "move_interval", KIND_TIME, AT(move_interval_ms), "5ms",
	    1, SEC, NULL },
	{ "move_interval_min", KIND_TIME, AT(move_interval_min_ms), "1ms",
	    1, SEC, NULL },
	{ "move_limit", KIND_NUMBER, AT(move_limit), "5000",
	    1, 100000, NULL },
	{ "move_bytes", KIND_BYTES, AT(move_bytes), "8M", KIB, GIB, NULL },
	{ "arm_below", KIND_NUMBER, AT(arm_below), "250", 0, 1000000, NULL },
	{ "poll_bells", KIND_NUMBER, AT(poll_bells), "24", 1, 64, NULL },
	{ "poll_window", KIND_TIME, AT(poll_window_ms), "50ms",
	    1, 10 * SEC, NULL },
	{ "catchup_limit", KIND_NUMBER, AT(catchup_limit), "1000",
	    1, 100000, NULL },
	{ "catchup_concurrent", KIND_NUMBER, AT(catchup_concurrent), "8",
	    1, 1000, NULL },
	{ "retain", KIND_TIME, AT(retain_ms), "24h", SEC, 3650 * DAY, NULL },
	{ "notify_events", KIND_TEXT, AT(notify_events), "", 0, 0, NULL },

	{ "handler_connections", KIND_NUMBER, AT(handler_connections), "4",
	    1, 100, NULL },
	{ "handler_timeout", KIND_TIME, AT(handler_timeout_ms), "5s",
	    10, 10 * MIN, NULL },
	{ "handler_slow", KIND_TIME, AT(handler_slow_ms), "200ms",
	    1, MIN, NULL },
	{ "handler_interval", KIND_TIME, AT(handler_interval_ms), "20ms",
	    0, SEC, NULL },
	{ "handler_queue", KIND_NUMBER, AT(handler_queue), "10000",
	    1, 1000000, NULL },
	{ "rule_connections", KIND_NUMBER, AT(rule_connections), "4",
	    1, 100, NULL },
	{ "rule_timeout", KIND_TIME, AT(rule_timeout_ms), "5s",
	    10, 10 * MIN, NULL },
	{ "lock_timeout", KIND_TIME, AT(lock_timeout_ms), "2s",
	    0, 10 * MIN, NULL },
	{ "presence_grace", KIND_TIME, AT(presence_grace_ms), "3s",
	    0, HOUR, NULL },

	{ "socketio_path", KIND_TEXT, AT(socketio_path), "/socket.io/",
	    0, 0, NULL },
	{ "socketio_namespaces", KIND_TEXT, AT(socketio_namespaces), "",
	    0, 0, NULL },
	{ "socketio_ping_interval", KIND_TIME, AT(socketio_ping_interval_ms),
	    "25s", 100, HOUR, NULL },
	{ "socketio_ping_timeout", KIND_TIME, AT(socketio_ping_timeout_ms),
	    "20s", 100, HOUR, NULL },
	{ "socketio_connect_timeout", KIND_TIME,
	    AT(socketio_connect_timeout_ms), "45s", 100, HOUR, NULL },
	{ "socketio_upgrade_timeout", KIND_TIME,
	    AT(socketio_upgrade_timeout_ms), "10s", 100, HOUR, NULL },
	{ "recovery_window", KIND_TIME, AT(recovery_window_ms), "2m",
	    0, 365 * DAY, NULL },
	{ "recovery_max", KIND_NUMBER, AT(recovery_max), "1000",
	    0, 1000000, NULL },

	{ "log_level", KIND_CHOICE, AT(log_level), "info",
	    0, 0, "error warning info debug" },
	{ "log_rate", KIND_NUMBER, AT(log_rate), "50", 0, 1000000, NULL },
};

/* What can change while the daemon runs: read each time it is used. */
static const char	reloadable[] =
    "tls_certificate_file tls_key_file tls_ticket_secret_file origins "
    "max_connections max_message output_high stall_timeout auth_timeout "
    "ping_interval drain_timeout shutdown_delay max_rooms message_rate "
    "jwt_secret jwt_short_secret jwt_secret_file jwt_public_key_file "
    "jwt_jwks_file jwt_algorithms jwt_user_claim jwt_cookie jwt_issuer "
    "jwt_audience jwt_leeway notify_events retain log_level log_rate";

#define NSETTINGS	(sizeof(settings) / sizeof(settings[0]))

/* Where a setting's value comes from, beside the number of a line. */
#define FROM_DEFAULT		0
#define FROM_ENVIRONMENT	UINT_MAX

/* The settings and where each was found; what others see is the first member. */
struct loaded {
	struct config	 cfg;
	char		*file;			/* owned, or NULL */
	unsigned	 lines[NSETTINGS];	/* or one of FROM_ */
};

/* Where a value was found, and where a complaint about it goes. */
struct place {
	const char	*file;		/* or "environment" */
	unsigned	 line;		/* 0: none */
	const char	*key;		/* if not called as the setting is */
	char		*err;
	size_t		 errlen;
};

bool
config_list_next(const char **pos, char *out, size_t size)
{
	return words_next(pos, out, size);
}

bool
config_list_has(const char *list, const char *item)
{
	return words_has(list, item);
}

const char *
config_key(size_t i)
{
	return i < NSETTINGS ? settings[i].name : NULL;
}

static int
place_fail(const struct place *at, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Always -1. */
static int
place_fail(const struct place *at, const char *fmt, ...)
{
	char	 what[700];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (at->line > 0)
		snprintf(at->err, at->errlen, "%s:%u: %s", at->file, at->line,
		    what);
	else
		snprintf(at->err, at->errlen, "%s: %s", at->file, what);
	return -1;
}

static int
setting_refuse(const struct setting *s, const char *found,
    const struct place *at)
{
	char	 allowed[200];

	setting_allowed(allowed, sizeof(allowed), s);
	return place_fail(at, "%s: found %s, allowed: %s",
	    at->key != NULL ? at->key : s->name,
	    log_quote(found, strlen(found)), allowed);
}

static struct loaded *
loaded_of(struct config *cfg)
{
	return (struct loaded *)(void *)cfg;
}

static const struct loaded *
loaded_of_const(const struct config *cfg)
{
	return (const struct loaded *)(const void *)cfg;
}

static void *
setting_field(struct config *cfg, const struct setting *s)
{
	return (char *)cfg + s->offset;
}

static const void *
setting_field_const(const struct config *cfg, const struct setting *s)
{
	return (const char *)cfg + s->offset;
}

static bool
setting_is_text(const struct setting *s)
{
	return s->kind == KIND_TEXT || s->kind == KIND_SECRET ||
	    s->kind == KIND_ORIGINS || s->kind == KIND_ADDRESSES ||
	    s->kind == KIND_ADDRESSES_OR_NONE || s->kind == KIND_WORDS;
}

static void
text_set(struct config *cfg, const struct setting *s, const char *value)
{
	char	**field = setting_field(cfg, s);

	free(*field);
	*field = xstrdup(value);
}

static int
setting_set(struct config *cfg, const struct setting *s, const char *value,
    const struct place *at)
{
	int64_t	 n = 0, *field;

	switch (s->kind) {
	case KIND_ORIGINS:
	case KIND_ADDRESSES:
	case KIND_ADDRESSES_OR_NONE:
	case KIND_WORDS:
		if (!setting_list_ok(s, value))
			return setting_refuse(s, value, at);
		break;
	case KIND_CHOICE:
		if ((n = setting_word(s->words, value)) == -1)
			return setting_refuse(s, value, at);
		break;
	case KIND_NUMBER:
	case KIND_BYTES:
	case KIND_TIME:
		if (setting_number_parse(value, s->kind, &n) == -1 ||
		    n < s->min || n > s->max)
			return setting_refuse(s, value, at);
		break;
	case KIND_TEXT:
	case KIND_SECRET:
		break;
	}

	if (setting_is_text(s)) {
		text_set(cfg, s, value);
	} else {
		field = setting_field(cfg, s);
		*field = n;
	}
	return 0;
}

static char *
trim(char *p)
{
	char	*end;

	p += strspn(p, " \t");
	end = p + strlen(p);
	while (end > p && strchr(" \t\r\n", end[-1]) != NULL)
		end--;
	*end = '\0';
	return p;
}

/* Quotes keep blanks at the ends of a value; there are no escapes in them. */
static char *
unquote(char *p)
{
	size_t	 len = strlen(p);

	if (len < 2 || p[0] != '"' || p[len - 1] != '"')
		return p;
	p[len - 1] = '\0';
	return p + 1;
}

/* lines[i] is where setting i stands, 0 if it has not come yet. */
static int
line_read(struct config *cfg, char *text, unsigned lines[],
    const struct place *at)
{
	char	*key = trim(text), *value;
	size_t	 i;

	if (key[0] == '\0' || key[0] == '#' || key[0] == ';')
		return 0;
	if ((value = strchr(key, '=')) == NULL)
		return place_fail(at, "found %s, allowed: key = value, "
		    "or a comment after # or ;", log_quote(key, strlen(key)));
	*value++ = '\0';
	key = trim(key);

	for (i = 0; i < NSETTINGS; i++)
		if (strcmp(settings[i].name, key) == 0)
			break;
	if (i == NSETTINGS)
		return place_fail(at, "%s: there is no such key; "
		    "pgpushd.conf(5) has them all",
		    log_quote(key, strlen(key)));
	if (lines[i] != 0)
		return place_fail(at, "%s: found a second time, allowed: "
		    "once (line %u has it)", key, lines[i]);
	lines[i] = at->line;
	return setting_set(cfg, &settings[i], unquote(trim(value)), at);
}

static int
file_read(struct config *cfg, FILE *fp, struct place *at)
{
	unsigned	*lines = loaded_of(cfg)->lines;
	char		*text = NULL;
	size_t		 size = 0;
	ssize_t		 len;
	int		 result = 0;

	while (result == 0 && (len = getline(&text, &size, fp)) != -1) {
		at->line++;
		if (memchr(text, '\0', (size_t)len) != NULL)
			result = place_fail(at, "found a NUL byte, "
			    "allowed: text");
		else
			result = line_read(cfg, text, lines, at);
	}
	if (result == 0 && ferror(fp))
		result = place_fail(at, "%s", strerror(errno));
	free(text);
	return result;
}

static int
config_read_file(struct config *cfg, const char *file, char *err,
    size_t errlen)
{
	struct place	 at = { .file = file, .err = err, .errlen = errlen };
	FILE		*fp;
	int		 result;

	if ((fp = fopen(file, "re")) == NULL) {
		snprintf(err, errlen, "%s: %s", file, strerror(errno));
		return -1;
	}
	result = file_read(cfg, fp, &at);
	fclose(fp);
	return result;
}

/* The name of the variable that overrides a setting. */
static void
variable_name(char *out, size_t size, const struct setting *s)
{
	char	*p;

	snprintf(out, size, "PGPUSH_%s", s->name);
	for (p = out; *p != '\0'; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
}

/* A variable of ours that is no setting is a mistake, or was meant for a
 * program of another version. */
static int
config_check_environment(char *err, size_t errlen)
{
	char	**v, name[64];
	size_t	  i, len;

	for (v = environ; v != NULL && *v != NULL; v++) {
		if (strncmp(*v, "PGPUSH_", 7) != 0)
			continue;
		len = strcspn(*v, "=");
		for (i = 0; i < NSETTINGS; i++) {
			variable_name(name, sizeof(name), &settings[i]);
			if (strlen(name) == len &&
			    strncmp(*v, name, len) == 0)
				break;
		}
		if (i == NSETTINGS) {
			snprintf(err, errlen, "environment: %s: there is no "
			    "such setting; pgpushd.conf(5) has them all",
			    log_quote(*v, len));
			return -1;
		}
	}
	return 0;
}

static int
config_read_environment(struct config *cfg, char *err, size_t errlen)
{
	char		 name[64];
	struct place	 at = { .file = "environment", .key = name,
			    .err = err, .errlen = errlen };
	const char	*value;
	size_t		 i;

	for (i = 0; i < NSETTINGS; i++) {
		variable_name(name, sizeof(name), &settings[i]);
		if ((value = getenv(name)) == NULL)
			continue;
		if (setting_set(cfg, &settings[i], value, &at) == -1)
			return -1;
		loaded_of(cfg)->lines[i] = FROM_ENVIRONMENT;
	}
	return config_check_environment(err, errlen);
}

/* What no single setting can tell. */
static int
config_check(const struct config *cfg, char *err, size_t errlen)
{
	if (cfg->reconnect_min_ms > cfg->reconnect_max_ms) {
		snprintf(err, errlen, "reconnect_min: found %" PRId64
		    "ms, allowed: at most reconnect_max (%" PRId64 "ms)",
		    cfg->reconnect_min_ms, cfg->reconnect_max_ms);
		return -1;
	}
	if (cfg->listen[0] == '\0' && cfg->tls_listen[0] == '\0') {
		snprintf(err, errlen, "listen: found nothing, allowed: "
		    "nothing only if tls_listen has an address");
		return -1;
	}
	if (cfg->move_interval_min_ms > cfg->move_interval_ms) {
		snprintf(err, errlen, "move_interval_min: found %" PRId64
		    "ms, allowed: at most move_interval (%" PRId64 "ms)",
		    cfg->move_interval_min_ms, cfg->move_interval_ms);
		return -1;
	}
	return 0;
}

static void
config_set_defaults(struct config *cfg)
{
	char		 err[500];
	struct place	 at = { .file = "default", .err = err,
			    .errlen = sizeof(err) };
	size_t		 i;

	for (i = 0; i < NSETTINGS; i++)
		if (setting_set(cfg, &settings[i], settings[i].fallback,
		    &at) == -1)
			fatal("msg=%s", log_quote(err, strlen(err)));
}

struct config *
config_load(const char *file, char *err, size_t errlen)
{
	struct loaded	*l = xcalloc(1, sizeof(*l));
	struct config	*cfg = &l->cfg;

	l->file = file == NULL ? NULL : xstrdup(file);
	config_set_defaults(cfg);
	if (file != NULL && config_read_file(cfg, file, err, errlen) == -1)
		goto fail;
	if (config_read_environment(cfg, err, errlen) == -1)
		goto fail;
	if (config_check(cfg, err, errlen) == -1)
		goto fail;
	return cfg;

fail:
	config_free(cfg);
	return NULL;
}

void
config_free(struct config *cfg)
{
	char	**field;
	size_t	  i;

	if (cfg == NULL)
		return;
	for (i = 0; i < NSETTINGS; i++)
		if (setting_is_text(&settings[i])) {
			field = setting_field(cfg, &settings[i]);
			free(*field);
		}
	free(loaded_of(cfg)->file);
	free(cfg);
}

void
config_where(const struct config *cfg, const char *key, char *out,
    size_t size)
{
	const struct loaded	*l = loaded_of_const(cfg);
	char			 name[64];
	size_t			 i;

	for (i = 0; i < NSETTINGS; i++)
		if (strcmp(settings[i].name, key) == 0)
			break;
	if (i == NSETTINGS || l->lines[i] == FROM_DEFAULT)
		snprintf(out, size, "%s", key);
	else if (l->lines[i] == FROM_ENVIRONMENT) {
		variable_name(name, sizeof(name), &settings[i]);
		snprintf(out, size, "environment: %s", name);
	} else
		snprintf(out, size, "%s:%u: %s", l->file, l->lines[i], key);
}

void
config_print(const struct config *cfg, FILE *fp)
{
	const struct loaded	*l = loaded_of_const(cfg);
	char			*value;
	size_t			 i;

	for (i = 0; i < NSETTINGS; i++) {
		value = config_value(cfg, i);
		if (strcmp(value, "(not shown)") == 0)
			fprintf(fp, "# ");
		fprintf(fp, "%s = %s\n", settings[i].name, value);
		if (l->lines[i] == FROM_ENVIRONMENT)
			fprintf(fp, "# ^ from the environment\n");
		else if (l->lines[i] != FROM_DEFAULT)
			fprintf(fp, "# ^ from %s, line %u\n", l->file,
			    l->lines[i]);
		free(value);
	}
}

char *
config_value(const struct config *cfg, size_t i)
{
	const struct setting	*s = &settings[i];
	char *const		*text;
	const int64_t		*number;
	char			 out[32];

	if (setting_is_text(s)) {
		text = setting_field_const(cfg, s);
		if (s->kind == KIND_SECRET && strcmp(*text, s->fallback) != 0)
			return xstrdup("(not shown)");
		return xstrdup(*text);
	}
	number = setting_field_const(cfg, s);
	if (s->kind == KIND_CHOICE)
		return setting_word_print(s->words, *number);
	setting_number_print(out, sizeof(out), s->kind, *number);
	return xstrdup(out);
}

char *
config_summary(const struct config *cfg)
{
	char	*out = xstrdup(""), *value, *more;
	size_t	 i;

	for (i = 0; i < NSETTINGS; i++) {
		value = config_value(cfg, i);
		if (strcmp(value, settings[i].fallback) != 0) {
			more = xasprintf("%s %s=%s", out, settings[i].name,
			    log_quote(value, strlen(value)));
			free(out);
			out = more;
		}
		free(value);
	}
	return out;
}

/* Whether two configurations have the same value of a setting. */
static bool
same_value(const struct config *a, const struct config *b,
    const struct setting *s)
{
	char *const	*x = setting_field_const(a, s);
	char *const	*y = setting_field_const(b, s);

	if (setting_is_text(s))
		return strcmp(*x, *y) == 0;
	return memcmp(x, y, sizeof(int64_t)) == 0;
}

/* Either kind of field has the size of the other. */
static void
swap_value(struct config *a, struct config *b, const struct setting *s)
{
	char	 keep[sizeof(int64_t)];
	void	*x = setting_field(a, s), *y = setting_field(b, s);

	memcpy(keep, x, sizeof(keep));
	memcpy(x, y, sizeof(keep));
	memcpy(y, keep, sizeof(keep));
}

char *
config_take(struct config *live, struct config *fresh)
{
	char	*out = xstrdup(""), *more;
	size_t	 i;

	for (i = 0; i < NSETTINGS; i++) {
		if (same_value(live, fresh, &settings[i]))
			continue;
		if (words_has(reloadable, settings[i].name)) {
			swap_value(live, fresh, &settings[i]);
			continue;
		}
		more = xasprintf("%s%s%s", out, out[0] == '\0' ? "" : " ",
		    settings[i].name);
		free(out);
		out = more;
	}
	return out;
}

bool
config_is_reloadable(size_t i)
{
	return words_has(reloadable, settings[i].name);
}
