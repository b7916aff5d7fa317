/* SPDX-License-Identifier: ISC */

/* Which connections are good for a daemon. */

#include "db/vet.h"
#include "tap.h"

static char	why[300];

static enum vet_verdict
judge(int client_pid, int server_pid, bool has_schema, int schema)
{
	struct vet	v = { client_pid, server_pid, has_schema, schema };

	return vet_judge(&v, 3, why, sizeof(why));
}

int
main(void)
{
	ok(judge(7, 7, true, 3) == VET_GOOD && why[0] == '\0', "a server with the same schema");
	ok(judge(7, 8, true, 3) == VET_BAD && strstr(why, "pooler") != NULL,
	    "another process id than promised: %s", why);
	ok(judge(7, 7, false, 0) == VET_BAD && strstr(why, "migrate") != NULL,
	    "no schema: %s", why);
	ok(judge(7, 7, true, 2) == VET_BAD && strstr(why, "older") != NULL &&
	    strstr(why, "migrate") != NULL, "an older schema: %s", why);
	ok(judge(7, 7, true, 4) == VET_DUBIOUS && strstr(why, "newer") != NULL,
	    "a newer one: %s", why);
	ok(vet_known() > 0, "there is a schema of our own: %d", vet_known());
	return tap_done();
}
