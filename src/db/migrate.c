/* SPDX-License-Identifier: ISC */

/*
 * pgpushd migrate.  Each file of tables/ is one transaction that begins by
 * inserting its number, so two that run at once cannot both apply it.  The
 * files of code/ hold every function once; they are applied whole in one
 * transaction, which leaves a sum of their text in the function pgpush.code().
 * So --status can tell whether the database has these very functions.
 */

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/xmalloc.h"
#include "db/migrate.h"
#include "db/pg.h"

#define ERR_MAX		1024
#define FILE_MAX	(1 << 20)	/* bytes of one file */

/* The files of a folder, in order of their names, and their texts. */
struct files {
	char	**name;			/* owned */
	char	**text;			/* owned; NULL: could not be read */
	int	  n;
};

static int
is_sql(const struct dirent *d)
{
	size_t	len = strlen(d->d_name);

	return len > 4 && d->d_name[0] != '.' &&
	    strcmp(d->d_name + len - 4, ".sql") == 0;
}

static int
is_numbered(const struct dirent *d)
{
	return is_sql(d) && strspn(d->d_name, "0123456789") == 3 &&
	    d->d_name[3] == '_';
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

static void
files_free(struct files *f)
{
	for (int i = 0; i < f->n; i++) {
		free(f->name[i]);
		free(f->text[i]);
	}
	free(f->name);
	free(f->text);
}

/* Returns 0, or -1 having said why; files_free either way. */
static int
files_read(struct files *f, const char *dir, const char *folder,
    int (*wanted)(const struct dirent *))
{
	struct dirent	**found = NULL;
	char		 *path = xasprintf("%s/%s", dir, folder);
	int		  r = 0;

	*f = (struct files){ NULL, NULL, scandir(path, &found, wanted,
	    alphasort) };
	if (f->n <= 0) {
		(void)fprintf(stderr, "pgpushd: no files in %s\n", path);
		f->n = 0;
		r = -1;
	}
	f->name = xcalloc((size_t)f->n + 1, sizeof(*f->name));
	f->text = xcalloc((size_t)f->n + 1, sizeof(*f->text));
	for (int i = 0; i < f->n; i++) {
		f->name[i] = xasprintf("%s/%s", path, found[i]->d_name);
		if ((f->text[i] = read_file(f->name[i])) == NULL) {
			(void)fprintf(stderr, "pgpushd: cannot read %s\n",
			    f->name[i]);
			r = -1;
		}
		free(found[i]);
	}
	free(found);
	free(path);
	return r;
}

static const char *
base_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* A sum of the texts, FNV-1a. */
static uint64_t
files_sum(const struct files *f)
{
	uint64_t	sum = UINT64_C(0xcbf29ce484222325);

	for (int i = 0; i < f->n; i++)
		for (const char *p = f->text[i]; *p != '\0'; p++)
			sum = (sum ^ (unsigned char)*p) *
			    UINT64_C(0x100000001b3);
	return sum;
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

/*
 * The first column of the query's rows, "" if the object is not there; the
 * caller frees.  NULL having said why: no answer.
 */
static char *
ask(const struct config *cfg, const char *object, const char *query)
{
	char	*there = NULL, *value = NULL, err[ERR_MAX];
	char	*sql = xasprintf("SELECT 1 WHERE %s IS NOT NULL", object);

	if (pg_run(cfg->database, sql, &there, err, sizeof(err)) == 0) {
		if (there[0] == '\0')
			value = xstrdup("");
		else
			(void)pg_run(cfg->database, query, &value, err,
			    sizeof(err));
	}
	if (value == NULL)
		(void)fprintf(stderr, "pgpushd: %s", err);
	free(there);
	free(sql);
	return value;
}

/*
 * The numbers that the database has; the caller frees.  A copy without rows
 * has them in the comment alone, until code/ writes them again.
 */
static char *
applied(const struct config *cfg)
{
	return ask(cfg, "to_regclass('pgpush.migrations')",
	    "SELECT number FROM pgpush.migrations"
	    " UNION SELECT generate_series(1, substring(obj_description("
	    "to_regclass('pgpush.migrations')) FROM '[0-9]+$')::int)"
	    " ORDER BY 1");
}

/* Returns -1 having said why if the database is of a later version. */
static int
refuse_newer(const struct files *tables, const char *list)
{
	const char	*last = base_name(tables->name[tables->n - 1]);
	long		 newest = strtol(last, NULL, 10), number;
	char		*end;

	for (; *list != '\0'; list = end + (*end == '\n')) {
		number = strtol(list, &end, 10);
		if (end == list || number <= newest)
			continue;
		(void)fprintf(stderr, "pgpushd: the database has number %ld of "
		    "pgpush's tables, these files go up to %ld: they are of "
		    "another version\n", number, newest);
		return -1;
	}
	return 0;
}

static int
apply_tables(const struct config *cfg, const struct files *f, const char *list,
    bool status)
{
	char	err[ERR_MAX];
	int	missing = 0;

	for (int i = 0; i < f->n; i++) {
		const char	*name = base_name(f->name[i]);
		bool		 has = has_number(list, strtol(name, NULL, 10));

		if (status) {
			(void)printf("%s tables/%s\n", has ? "applied" :
			    "missing", name);
			missing += !has;
			continue;
		}
		if (has)
			continue;
		if (pg_run(cfg->database, f->text[i], NULL, err,
		    sizeof(err)) == -1) {
			(void)fprintf(stderr, "pgpushd: %s: %s", f->name[i],
			    err);
			return 1;
		}
		(void)printf("applied tables/%s\n", name);
	}
	return missing > 0;
}

/* The last script: the function that tells the sum of the others. */
static char *
code_script(uint64_t sum)
{
	return xasprintf("CREATE FUNCTION pgpush.code() RETURNS text"
	    " LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp"
	    " AS 'SELECT ''%016" PRIx64 "''';"
	    " REVOKE ALL ON FUNCTION pgpush.code() FROM PUBLIC;"
	    " COMMENT ON FUNCTION pgpush.code() IS 'Which files of sql/code"
	    " pgpushd migrate has applied: a sum of their text'", sum);
}

static int
apply_code(const struct config *cfg, const struct files *f)
{
	char	 err[ERR_MAX];
	char	**scripts = xcalloc((size_t)f->n + 1, sizeof(*scripts));
	int	 at;

	memcpy(scripts, f->text, (size_t)f->n * sizeof(*scripts));
	scripts[f->n] = code_script(files_sum(f));
	at = pg_run_together(cfg->database, scripts, f->n + 1, err,
	    sizeof(err));
	if (at <= f->n)
		(void)fprintf(stderr, "pgpushd: %s: %s",
		    at < f->n ? f->name[at] : "code/", err);
	else
		(void)printf("applied code/\n");
	free(scripts[f->n]);
	free(scripts);
	return at <= f->n;
}

static int
code_status(const struct config *cfg, const struct files *f)
{
	char	*has = ask(cfg, "to_regprocedure('pgpush.code()')",
		    "SELECT pgpush.code()");
	char	*sum = xasprintf("%016" PRIx64 "\n", files_sum(f));
	bool	 same = has != NULL && strcmp(has, sum) == 0;

	if (has != NULL)
		(void)printf("%s code/\n", same ? "applied" :
		    has[0] == '\0' ? "missing" : "differs");
	free(has);
	free(sum);
	return same ? 0 : 1;
}

int
migrate(const struct config *cfg, bool status)
{
	struct files	 tables, code;
	char		*list = NULL;
	int		 r = 1;

	if (files_read(&tables, cfg->sql_dir, "tables", is_numbered) == 0 &&
	    (list = applied(cfg)) != NULL && refuse_newer(&tables, list) == 0)
		r = apply_tables(cfg, &tables, list, status);
	if (files_read(&code, cfg->sql_dir, "code", is_sql) == -1)
		r = 1;
	else if (list != NULL && status)
		r |= code_status(cfg, &code);
	else if (r == 0)
		r = apply_code(cfg, &code);
	files_free(&tables);
	files_free(&code);
	free(list);
	return r;
}
