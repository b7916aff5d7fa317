/* SPDX-License-Identifier: ISC */

/*
 * Rights that a session keeps, and the positions of rooms it left.
 */

#include "push/grant.h"
#include "tap.h"

static void
test_rights(void)
{
	struct grants	g;
	struct answer	a;

	grants_init(&g, 3);
	grant_add(&g, "", "r1", NULL);
	ok(grant_find(&g, "", "r1") != NULL, "a right is found");
	ok(grant_find(&g, "", "r2") == NULL &&
	    grant_find(&g, "enter", "r1") == NULL, "and no other");
	ok(answer_parse(&a, "{\"join\":\"r9\"}") == 0, "an answer");
	grant_add(&g, "enter", "r1", &a);
	ok(a.njoin == 0 && grant_find(&g, "enter", "r1")->answer.njoin == 1,
	    "its contents are taken");
	grants_forget(&g, "r9");
	ok(grant_find(&g, "enter", "r1") == NULL &&
	    grant_find(&g, "", "r1") != NULL,
	    "a right that joins a room goes with it, also as a lone string");
	grant_add(&g, "", "r2", NULL);
	grant_add(&g, "", "r3", NULL);
	grant_add(&g, "", "r2", NULL);
	ok(grant_find(&g, "", "r1") != NULL, "kept twice it counts once");
	grant_add(&g, "", "r4", NULL);
	ok(grant_find(&g, "", "r1") == NULL && g.ngrants == 3,
	    "past the most the oldest goes");
	grants_forget(&g, "");
	ok(g.ngrants == 0, "an empty room is every room");
	grants_clear(&g);
}

static void
test_left(void)
{
	struct grants	 g;
	char		*epoch = NULL, room[16];
	int		 i;

	grants_init(&g, 3);
	ok(grant_rejoin(&g, "r1", &epoch) == -1 && epoch == NULL,
	    "a room never left has no position");
	grant_left(&g, "r1", 7, "e");
	grant_left(&g, "r2", 8, "e");
	ok(grant_rejoin(&g, "r1", &epoch) == 7 && strcmp(epoch, "e") == 0,
	    "a room just left has one");
	free(epoch);
	epoch = NULL;
	ok(grant_rejoin(&g, "r1", &epoch) == -1 && epoch == NULL, "once");
	grants_forget(&g, "r2");
	ok(grant_rejoin(&g, "r2", &epoch) == -1, "not if it was revoked");
	for (i = 0; i < 40; i++) {
		snprintf(room, sizeof(room), "r%d", i);
		grant_left(&g, room, i, "e");
	}
	ok(grant_rejoin(&g, "r7", &epoch) == -1 &&
	    grant_rejoin(&g, "r8", &epoch) == 8, "the last 32 are kept");
	free(epoch);
	grants_clear(&g);
}

int
main(void)
{
	test_rights();
	test_left();
	return tap_done();
}
