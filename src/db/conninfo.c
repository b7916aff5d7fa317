/* SPDX-License-Identifier: ISC */

/* libpq's parser, asked before the first connection is made. */

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/xmalloc.h"
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

/* NULL with the reason in err. */
static PQconninfoOption *
parse(const char *conninfo, char *err, size_t errlen)
{
	PQconninfoOption	*options;
	char			*message = NULL;

	options = PQconninfoParse(conninfo, &message);
	if (options == NULL)
		explain(conninfo, message == NULL ? "no memory" : message,
		    err, errlen);
	PQfreemem(message);
	return options;
}

int
conninfo_check(const char *conninfo, char *err, size_t errlen)
{
	PQconninfoOption	*options = parse(conninfo, err, errlen);

	if (options == NULL)
		return -1;
	PQconninfoFree(options);
	return 0;
}

/* PostgreSQL manual, 34.1.1.1: quote and backslash are escaped. */
static void
add_parameter(struct text *t, const char *name, const char *value)
{
	if (t->len > 0)
		text_add(t, " ");
	text_add(t, name);
	text_add(t, "='");
	for (; *value != '\0'; value++) {
		if (*value == '\'' || *value == '\\')
			text_add(t, "\\");
		text_add_bytes(t, value, 1);
	}
	text_add(t, "'");
}

char *
conninfo_with(const char *conninfo, const char *parameter, const char *value,
    char *err, size_t errlen)
{
	PQconninfoOption	*options = parse(conninfo, err, errlen), *o;
	struct text		 t = { NULL, 0, 0 };
	bool			 known = false;

	if (options == NULL)
		return NULL;
	for (o = options; o->keyword != NULL; o++)
		if (strcmp(o->keyword, parameter) == 0) {
			known = true;
			add_parameter(&t, parameter, value);
		} else if (o->val != NULL)
			add_parameter(&t, o->keyword, o->val);
	PQconninfoFree(options);
	if (!known) {
		free(t.buf);
		(void)snprintf(err, errlen, "%s is no parameter of libpq",
		    parameter);
		return NULL;
	}
	return t.buf;
}

/* A setting of the connection string or of libpq's environment, or NULL. */
char *
conninfo_get(const char *conninfo, const char *keyword, const char *env)
{
	PQconninfoOption	*opts = PQconninfoParse(conninfo, NULL), *o;
	const char		*value = getenv(env);
	char			*copy;

	for (o = opts; o != NULL && o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0 && o->val != NULL)
			value = o->val;
	copy = value == NULL ? NULL : xstrdup(value);
	PQconninfoFree(opts);
	return copy;
}

/* Move the first of a list with commas to its end, n times; takes the list. */
char *
conninfo_turn(char *list, unsigned int n)
{
	char	*comma, *turned;

	for (; n > 0 && list != NULL && (comma = strchr(list, ',')) != NULL;
	    n--) {
		*comma = '\0';
		turned = xasprintf("%s,%s", comma + 1, list);
		free(list);
		list = turned;
	}
	return list;
}
