/* SPDX-License-Identifier: ISC */

/*
 * Which answers still count, after what was revoked between question and
 * answer.
 */

#include "push/rights.h"
#include "push/session.h"
#include "tap.h"

static const struct dialect	dialect = { .outlives = true };

static struct session *
session_for(const char *user)
{
	struct session	*s = session_new(NULL, &dialect);

	session_identify(s, user, "{}", 0);
	return s;
}

static void
test_rooms(struct session *ann, struct session *bob)
{
	struct rights	 a = { 0 }, b = { 0 }, late = { 0 };
	char		*two[] = { (char []){ "r2" }, (char []){ "r1" } };

	rights_ask(&a, ann);
	rights_ask(&b, bob);
	rights_revoke("r1", "ann");
	rights_ask(&late, ann);
	ok(rights_is_revoked(&a, "r1"), "a room revoked meanwhile");
	ok(!rights_is_revoked(&a, "r2"), "another room");
	ok(!rights_is_revoked(&b, "r1"), "another user's question");
	ok(!rights_is_revoked(&late, "r1"), "a question asked after it");
	ok(rights_is_revoked_any(&a, two, 2) &&
	    !rights_is_revoked_any(&a, two, 1), "any of several rooms");
	rights_revoke("r2", "");
	ok(rights_is_revoked(&b, "r2"), "an empty user is everybody");
	ok(!rights_is_void(&a), "a room's revoke voids nothing else");
	rights_ask(&a, ann);
	ok(!rights_is_revoked(&a, "r1") && !rights_is_revoked(&a, "r2"),
	    "asked again, it counts from there");
	ok(rights_is_revoked(&b, "r2"), "while the others' still count");
	rights_end(&a);
	rights_end(&b);
	rights_end(&late);
}

static void
test_all(struct session *ann, struct session *bob)
{
	struct rights	a = { 0 }, b = { 0 };

	rights_ask(&a, ann);
	rights_ask(&b, bob);
	rights_revoke("", "ann");
	ok(rights_is_void(&a) && !rights_is_void(&b),
	    "an empty room voids all questions of the user");
	rights_revoke("", "");
	ok(rights_is_void(&b), "and with an empty user of everybody");
	rights_ask(&b, bob);
	ok(!rights_is_void(&b), "until it is asked again");
	rights_end(&a);
	rights_end(&a);
	rights_end(&b);
}

static void
test_many(struct session *ann)
{
	struct rights	a = { 0 }, late = { 0 };
	char		room[16];
	int		i;

	rights_ask(&a, ann);
	for (i = 0; i < 20000; i++) {
		snprintf(room, sizeof(room), "r%d", i);
		rights_revoke(room, "bob");
	}
	ok(rights_is_revoked(&a, "r"), "after more revokes than are "
	    "remembered, any room may have been revoked");
	rights_ask(&late, ann);
	ok(!rights_is_revoked(&late, "r"), "but not since a later question");
	rights_end(&a);
	rights_end(&late);
}

int
main(void)
{
	struct session	*ann = session_for("ann"), *bob = session_for("bob");

	test_rooms(ann, bob);
	test_all(ann, bob);
	test_many(ann);
	session_end(ann);
	session_unref(ann);
	session_end(bob);
	session_unref(bob);
	return tap_done();
}
