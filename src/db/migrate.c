/* SPDX-License-Identifier: ISC */

/*
 * pgpushd migrate: each file is one transaction that begins by inserting its
 * number, so two that run at once cannot both apply it.
 */

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "db/migrate.h"
#include "db/pg.h"
#include "base/xmalloc.h"

#define ERR_MAX		1024
#define FILE_MAX	(1 << 20)	/* bytes of one file */

static int
is_migration(const struct dirent *d)
{
	size_t	len = strlen(d->d_name);

	return len > 8 && strspn(d->d_name, "0123456789") == 3 &&
	    d->d_name[3] == '_' && strcmp(d->d_name + len - 4, ".sql") == 0;
}

static char *
read_file(const char *path)
{
	FILE	*f = fopen(path, "r");
	char	*text;
	size_t	 n;

	if (f == NULL)
		return NULL;
	text = xmalloc(FILE_MAX + 1);
	n = fread(text, 1, FILE_MAX, f);
	text[n] = '\0';
	if (ferror(f) || !feof(f)) {
		free(text);
		text = NULL;
	}
	(void)fclose(f);
	return text;
}

static int
apply(const struct config *cfg, const char *name)
{
	char	*path = xasprintf("%s/%s", cfg->sql_dir, name);
	char	*sql = read_file(path), err[ERR_MAX];
	int	 r = 1;

	if (sql == NULL)
		(void)fprintf(stderr, "pgpushd: cannot read %s\n", path);
	else if (pg_run(cfg->database, sql, NULL, err, sizeof(err)) == -1)
		(void)fprintf(stderr, "pgpushd: %s: %s", path, err);
	else {
		(void)printf("applied %s\n", name);
		r = 0;
	}
	free(path);
	free(sql);
	return r;
}

/* Whether the list of numbers, a line each, has this one. */
static bool
has_number(const char *list, long number)
{
	char	*end;

	while (*list != '\0') {
		if (strtol(list, &end, 10) == number)
			return true;
		list = *end == '\n' ? end + 1 : end + strlen(end);
	}
	return false;
}

/* The numbers that the database has; the caller frees.  NULL: no answer. */
static char *
applied(const struct config *cfg)
{
	char	*there = NULL, *list = NULL, err[ERR_MAX];

	if (pg_run(cfg->database,
	    "SELECT 1 WHERE to_regclass('pgpush.migrations') IS NOT NULL",
	    &there, err, sizeof(err)) == 0) {
		if (there[0] == '\0')
			list = xstrdup("");
		else
			(void)pg_run(cfg->database,
			    "SELECT number FROM pgpush.migrations", &list,
			    err, sizeof(err));
	}
	if (list == NULL)
		(void)fprintf(stderr, "pgpushd: %s", err);
	free(there);
	return list;
}

int
migrate(const struct config *cfg)
{
	struct dirent	**files;
	char		 *list;
	int		  n, i, r = 0;

	n = scandir(cfg->sql_dir, &files, is_migration, alphasort);
	if (n <= 0) {
		(void)fprintf(stderr, "pgpushd: no migrations in %s\n",
		    cfg->sql_dir);
		return 1;
	}
	if ((list = applied(cfg)) == NULL)
		r = 1;
	for (i = 0; i < n; i++) {
		if (r == 0 && !has_number(list, strtol(files[i]->d_name, NULL,
		    10)))
			r = apply(cfg, files[i]->d_name);
		free(files[i]);
	}
	free(files);
	free(list);
	return r;
}
