/* SPDX-License-Identifier: ISC */

/*
 * A pooler answers with a key of its own instead of the backend's process id,
 * so the two differ behind any.  The schema's number stands at the end of a
 * comment, which every role may read.
 */

#include <stdio.h>

#include "db/vet.h"

const struct pg_stmt vet_stmt = { NULL,
	"SELECT pg_catalog.pg_backend_pid(), n.oid IS NOT NULL,"
	" substring(pg_catalog.obj_description(c.oid, 'pg_class')"
	"  FROM '[0-9]+$')::int"
	" FROM (SELECT) s"
	" LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'pgpush'"
	" LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid"
	"  AND c.relname = 'migrations'", 0 };

enum vet_verdict
vet_judge(const struct vet *v, int known, char *why, size_t size)
{
	why[0] = '\0';
	if (v->server_pid != v->client_pid)
		(void)snprintf(why, size, "a pooler stands in between: give "
		    "the address of PostgreSQL itself");
	else if (!v->has_schema || v->schema == 0)
		(void)snprintf(why, size, "this database has no schema "
		    "pgpush: run \"pgpushd migrate\"");
	else if (v->schema < known)
		(void)snprintf(why, size, "the schema is older (%d) than this "
		    "daemon (%d): run \"pgpushd migrate\"", v->schema, known);
	else if (v->schema > known) {
		(void)snprintf(why, size, "the schema is newer (%d) than this "
		    "daemon (%d): \"pgpushd migrate\" of a later version was "
		    "run, so update this daemon", v->schema, known);
		return VET_DUBIOUS;
	}
	return why[0] == '\0' ? VET_GOOD : VET_BAD;
}

int
vet_known(void)
{
	return PGPUSH_SCHEMA;
}
