/* SPDX-License-Identifier: ISC */

/*
 * Nothing here opens a connection: "pgpushd -n" runs before the network, the
 * database and the service's own limits are there.
 */

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/config.h"
#include "base/xmalloc.h"
#include "check.h"
#include "db/conninfo.h"
#include "net/tls.h"

#define WHERE_MAX	512
#define OTHER_FDS	64	/* that are no client's */

static int
check_database(const struct config *cfg, const char *key, const char *value,
    char *err, size_t errlen)
{
	char	where[WHERE_MAX], why[400];

	if (conninfo_check(value, why, sizeof(why)) == 0)
		return 0;
	config_where(cfg, key, where, sizeof(where));
	(void)snprintf(err, errlen, "%s: %s", where, why);
	return -1;
}

/* Whether this host has the address: bind to it, at any port. */
static int
address_check(const char *address)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len;
	int			 fd, result, saved;

	if (addr_parse(address, &ss, &len) == -1)
		return 0;		/* config has refused it */
	/* The port is at the same place in both kinds. */
	((struct sockaddr_in *)&ss)->sin_port = 0;
	if ((fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	result = bind(fd, (struct sockaddr *)&ss, len);
	saved = errno;
	close(fd);
	errno = saved;
	return result;
}

static int
check_listen(const struct config *cfg, const char *key, const char *list,
    char *err, size_t errlen)
{
	const char	*pos = list, *rest;
	char		 address[ADDR_MAX], other[ADDR_MAX],
			 where[WHERE_MAX];

	config_where(cfg, key, where, sizeof(where));
	while (config_list_next(&pos, address, sizeof(address))) {
		if (address_check(address) == -1) {
			(void)snprintf(err, errlen, "%s: %s: %s", where,
			    address, strerror(errno));
			return -1;
		}
		rest = pos;
		while (config_list_next(&rest, other, sizeof(other)))
			if (strcmp(address, other) == 0) {
				(void)snprintf(err, errlen, "%s: %s: found "
				    "twice, allowed: once", where, address);
				return -1;
			}
	}
	return 0;
}

static int
check_tls(const struct config *cfg, char *err, size_t errlen)
{
	struct tls_files	 files = { cfg->tls_certificate_file,
				    cfg->tls_key_file,
				    cfg->tls_ticket_secret_file };
	struct tls		*t;
	int			 result;

	if (cfg->tls_listen[0] == '\0')
		return 0;
	t = tls_new();
	result = tls_load(t, &files, err, errlen);
	tls_free(t);
	return result;
}

static void
warn_descriptors(const struct config *cfg, void (*warn)(const char *))
{
	struct rlimit	 rl;
	char		*text, where[WHERE_MAX];

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1 ||
	    rl.rlim_max == RLIM_INFINITY ||
	    cfg->max_connections + OTHER_FDS <= (int64_t)rl.rlim_max)
		return;
	config_where(cfg, "max_connections", where, sizeof(where));
	text = xasprintf("%s: %" PRId64 " clients need as many descriptors, "
	    "but the hard limit (ulimit -Hn, LimitNOFILE) is %" PRIu64, where,
	    cfg->max_connections, (uint64_t)rl.rlim_max);
	warn(text);
	free(text);
}

static void
warn_mode(const char *file, void (*warn)(const char *))
{
	struct stat	 st;
	char		*text;

	if (file == NULL || file[0] == '\0' || stat(file, &st) == -1 ||
	    (st.st_mode & S_IROTH) == 0)
		return;
	text = xasprintf("%s: every user of this host can read it, and it has "
	    "a secret: chmod o-r", file);
	warn(text);
	free(text);
}

static bool
has_secret(const struct config *cfg)
{
	return cfg->jwt_secret[0] != '\0' ||
	    strstr(cfg->database, "password") != NULL ||
	    strstr(cfg->follow_dsn, "password") != NULL;
}

int
check_config(const struct config *cfg, const char *file,
    void (*warn)(const char *text), char *err, size_t errlen)
{
	if (check_database(cfg, "database", cfg->database, err,
	    errlen) == -1 ||
	    check_database(cfg, "follow_dsn", cfg->follow_dsn, err,
	    errlen) == -1 ||
	    check_listen(cfg, "listen", cfg->listen, err, errlen) == -1 ||
	    check_listen(cfg, "tls_listen", cfg->tls_listen, err,
	    errlen) == -1 || check_tls(cfg, err, errlen) == -1)
		return -1;
	warn_descriptors(cfg, warn);
	if (has_secret(cfg))
		warn_mode(file, warn);
	warn_mode(cfg->jwt_secret_file, warn);
	warn_mode(cfg->tls_key_file, warn);
	warn_mode(cfg->tls_ticket_secret_file, warn);
	if (cfg->jwt_short_secret != 0)
		warn("jwt_short_secret: whoever has one token of yours can "
		    "find a short secret by trying, and make tokens for any "
		    "user");
	return 0;
}
