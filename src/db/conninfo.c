/* SPDX-License-Identifier: ISC */

/* libpq's parser, asked before the first connection is made. */

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#include "db/conninfo.h"

/* libpq's words may quote a piece of the string, and which one is a guess. */
static void
explain(const char *conninfo, const char *message, char *err, size_t errlen)
{
	if (strstr(conninfo, "pass") != NULL || strchr(conninfo, '@') != NULL)
		message = "it is not shown since it may have a password";
	(void)snprintf(err, errlen, "not a connection string for libpq "
	    "(%.*s), allowed: key=value pairs, values with blanks in single "
	    "quotes, or a postgresql:// address",
	    (int)strcspn(message, "\n"), message);
}

int
conninfo_check(const char *conninfo, char *err, size_t errlen)
{
	PQconninfoOption	*options;
	char			*message = NULL;

	options = PQconninfoParse(conninfo, &message);
	if (options == NULL)
		explain(conninfo, message == NULL ? "no memory" : message,
		    err, errlen);
	PQfreemem(message);
	if (options == NULL)
		return -1;
	PQconninfoFree(options);
	return 0;
}
