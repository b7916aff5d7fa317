/* SPDX-License-Identifier: ISC */

/* Connection strings with one parameter set. */

#include <stdlib.h>
#include <string.h>

#include "db/conninfo.h"
#include "tap.h"

static const struct {
	const char	*name, *in, *parameter, *value, *out;
} rows[] = {
	{ "a parameter is added", "dbname=shop", "user", "ann",
	    "user='ann' dbname='shop'" },
	{ "a parameter is replaced", "user=bob dbname=shop", "user", "ann",
	    "user='ann' dbname='shop'" },
	{ "quote and backslash are escaped", "dbname='a b'", "password",
	    "it's \\", "password='it\\'s \\\\' dbname='a b'" },
	{ "an address is taken apart", "postgresql://h:5433/shop", "user",
	    "ann", "user='ann' dbname='shop' host='h' port='5433'" },
	{ "an unknown parameter is refused", "dbname=shop", "nonsense", "x",
	    NULL },
	{ "a bad string is refused", "nonsense", "user", "x", NULL },
};

int
main(void)
{
	char	*out, err[256];
	size_t	 i;
	bool	 good;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		err[0] = '\0';
		out = conninfo_with(rows[i].in, rows[i].parameter,
		    rows[i].value, err, sizeof(err));
		good = out == NULL || rows[i].out == NULL ? out == rows[i].out
		    && err[0] != '\0' : strcmp(out, rows[i].out) == 0;
		ok(good, "%s", rows[i].name);
		if (!good)
			printf("# got %s (%s)\n", out == NULL ? "nothing" :
			    out, err);
		free(out);
	}
	return tap_done();
}
