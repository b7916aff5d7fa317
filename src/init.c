/* SPDX-License-Identifier: ISC */

/*
 * The roles are pgpush_owner (the schema's owner, who cannot log in), and
 * pgpushd, as which the daemon logs in.  The password of the latter is made
 * here and stands in the settings' file and nowhere else; where that file
 * exists, neither is touched.
 */

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "db/conninfo.h"
#include "db/migrate.h"
#include "db/pg.h"
#include "init.h"

#define ERR_MAX		1024
#define SECRET_BYTES	32
#define SECRET_SIZE	(2 * SECRET_BYTES + 1)
#define LINE_SIZE	1024

/* One step in the database: the query tells whether it has been made. */
struct step {
	const char	*what;
	const char	*there;		/* returns a row if it is there */
	const char	*make;
};

static const struct step steps[] = {
	{ "role pgpush_owner",
	    "SELECT 1 FROM pg_roles WHERE rolname = 'pgpush_owner'",
	    "CREATE ROLE pgpush_owner NOLOGIN" },
	{ "role pgpush_admin",
	    "SELECT 1 FROM pg_roles WHERE rolname = 'pgpush_admin'",
	    "CREATE ROLE pgpush_admin NOLOGIN" },
	{ "role pgpush_daemon",
	    "SELECT 1 FROM pg_roles WHERE rolname = 'pgpush_daemon'",
	    "CREATE ROLE pgpush_daemon NOLOGIN" },
	{ "role pgpushd",
	    "SELECT 1 FROM pg_roles WHERE rolname = 'pgpushd'",
	    "CREATE ROLE pgpushd LOGIN IN ROLE pgpush_daemon" },
	{ "pgpushd in role pgpush_daemon",
	    "SELECT 1 WHERE pg_has_role('pgpushd', 'pgpush_daemon', 'USAGE')",
	    "GRANT pgpush_daemon TO pgpushd" },
	{ "membership in pgpush_owner, to make its schema",
	    "SELECT 1 WHERE pg_has_role('pgpush_owner', 'MEMBER')",
	    "GRANT pgpush_owner TO CURRENT_USER" },
	{ "CREATE on the database for pgpush_owner",
	    "SELECT 1 WHERE has_database_privilege('pgpush_owner', "
	    "current_database(), 'CREATE')",
	    "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO "
	    "pgpush_owner', current_database()); END $$" },
};

static int
complain(const char *what, const char *why)
{
	(void)fprintf(stderr, "pgpushd: %s: %.*s\n", what,
	    (int)strcspn(why, "\n"), why);
	return -1;
}

static void
say(const char *what, bool made)
{
	(void)printf("%-7s %s\n", made ? "made" : "there", what);
	(void)fflush(stdout);
}

/* The database */

static int
make_step(const char *admin, const struct step *s)
{
	char	 err[ERR_MAX], *there;
	bool	 is_there;

	if (pg_run(admin, s->there, &there, err, sizeof(err)) == -1)
		return complain(s->what, err);
	is_there = there[0] != '\0';
	free(there);
	if (!is_there && pg_run(admin, s->make, NULL, err, sizeof(err)) == -1)
		return complain(s->what, err);
	say(s->what, !is_there);
	return 0;
}

static int
make_roles(const char *admin)
{
	size_t	i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (make_step(admin, &steps[i]) == -1)
			return -1;
	return 0;
}

/* The schema, as pgpush_owner. */
static int
make_schema(const struct config *cfg, const char *admin)
{
	struct config	 owner = *cfg;
	char		 err[ERR_MAX];
	int		 r;

	owner.database = conninfo_with(admin, "options", "-c role=pgpush_owner",
	    err, sizeof(err));
	if (owner.database == NULL)
		return complain("the connection string", err);
	r = migrate(&owner, false) == 0 ? 0 : -1;
	free(owner.database);
	return r;
}

/* The settings */

static void
make_secret(char out[SECRET_SIZE])
{
	unsigned char	random[SECRET_BYTES];
	size_t		i;

	if (RAND_bytes(random, sizeof(random)) != 1)
		fatal("msg=\"no random numbers\"");
	for (i = 0; i < sizeof(random); i++)
		(void)snprintf(out + 2 * i, 3, "%02x", random[i]);
}

/* The folders of the path that are missing; root alone reads the last one. */
static int
make_folders(const char *path)
{
	char	*copy = xstrdup(path), *slash;
	int	 r = 0;

	for (slash = strchr(copy + 1, '/'); slash != NULL && r == 0;
	    slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) == -1 && errno != EEXIST)
			r = complain(copy, strerror(errno));
		*slash = '/';
	}
	free(copy);
	return r;
}

/* Give the role a password, and write the file that has it. */
static int
write_settings(const char *admin, const char *file)
{
	char	 password[SECRET_SIZE], secret[SECRET_SIZE], err[ERR_MAX];
	char	*sql, *login = NULL, *database = NULL;
	FILE	*f;
	int	 fd, r = -1;

	make_secret(password);
	make_secret(secret);
	sql = xasprintf("ALTER ROLE pgpushd PASSWORD '%s'", password);
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1 || (f = fdopen(fd, "w")) == NULL) {
		(void)complain(file, strerror(errno));
		free(sql);
		return -1;
	}
	if ((login = conninfo_with(admin, "user", "pgpushd", err,
	    sizeof(err))) == NULL || (database = conninfo_with(login,
	    "password", password, err, sizeof(err))) == NULL)
		(void)complain("the connection string", err);
	else if (pg_run(admin, sql, NULL, err, sizeof(err)) == -1)
		(void)complain("the password of role pgpushd", err);
	else {
		(void)fprintf(f, "# Written by pgpushd init; pgpushd.conf(5) "
		    "has every setting.\n\ndatabase = %s\n\n"
		    "# Sign the tokens of your users with this secret "
		    "(HS256).\njwt_secret = %s\n", database, secret);
		r = 0;
	}
	if (fclose(f) != 0 && r == 0)
		r = complain(file, strerror(errno));
	if (r == -1)
		(void)unlink(file);
	free(sql);
	free(login);
	free(database);
	return r;
}

static int
make_settings(const char *admin, const char *file)
{
	bool	is_there = access(file, F_OK) == 0;

	if (!is_there && (make_folders(file) == -1 ||
	    write_settings(admin, file) == -1))
		return -1;
	say(file, !is_there);
	return 0;
}

/* The terminal */

/* The administrator's connection string, asked for; the caller frees. */
static char *
ask_admin(void)
{
	char	line[LINE_SIZE];

	if (!isatty(STDIN_FILENO)) {
		(void)complain("init", "give a connection string: "
		    "--database 'dbname=shop user=postgres'");
		return NULL;
	}
	(void)printf("Which database? As a connection string of a role that may "
	    "create roles,\nfor example: dbname=shop user=postgres\n> ");
	(void)fflush(stdout);
	if (fgets(line, sizeof(line), stdin) == NULL)
		return NULL;
	line[strcspn(line, "\n")] = '\0';
	return xstrdup(line);
}

int
init(const struct config *cfg, const char *admin, const char *file)
{
	char	*asked = admin == NULL ? ask_admin() : xstrdup(admin);
	char	 err[ERR_MAX];
	int	 r = 1;

	if (file == NULL)
		file = PGPUSH_CONF;
	if (asked == NULL)
		return 1;
	if (conninfo_check(asked, err, sizeof(err)) == -1)
		(void)complain("--database", err);
	else if (make_roles(asked) == 0 && make_schema(cfg, asked) == 0 &&
	    make_settings(asked, file) == 0) {
		(void)printf("\nNext: pgpushd -n -c %s, then start it.  "
		    "pgpush(7) shows how to attach a table.\n", file);
		r = 0;
	}
	free(asked);
	return r;
}
