/* SPDX-License-Identifier: ISC */

/*
 * Terms: which positions are of this history.
 */

#include "db/term.h"
#include "tap.h"

static void
test_none(void)
{
	struct terms	*t = terms_new();

	ok(strcmp(terms_tag(t), "") == 0, "without terms there is no tag");
	ok(!terms_have(t, "", 0), "and no position is known");
	terms_set(t, NULL);
	ok(strcmp(terms_tag(t), "") == 0, "NULL is no term");
	terms_free(t);
}

static void
test_range(void)
{
	struct terms	*t = terms_new();

	terms_set(t, "aa 1 bb 101 cc 101 dd 200");
	ok(strcmp(terms_tag(t), "dd") == 0, "the last one's tag");
	ok(terms_first(t) == 200, "and its first id");
	ok(terms_reach(t, "aa 1 bb 101"), "a text that is behind is known");
	ok(!terms_reach(t, "dd 200 ee 300"), "one that goes on is not");
	ok(terms_have(t, "aa", 100), "the last id of an old term is known");
	ok(!terms_have(t, "aa", 101), "the next term's ids are not its own");
	ok(terms_have(t, "bb", 100), "a term without ids begins where it does");
	ok(!terms_have(t, "bb", 101), "and ends there");
	ok(terms_have(t, "cc", 50), "an id of before a term is in its past");
	ok(terms_have(t, "dd", 1000000), "the last term has no end");
	ok(!terms_have(t, "ee", 1), "an unknown tag has no position");
	ok(!terms_have(t, "", 1), "nor has an empty one");
	terms_free(t);
}

static void
test_add(void)
{
	struct terms	*t = terms_new();

	ok(terms_add(t, "aa 1"), "the first term is new");
	ok(!terms_add(t, "aa 1"), "and then it is known");
	ok(terms_add(t, "aa 1 bb 10 cc 20"), "those behind it are added");
	ok(terms_have(t, "aa", 9) && !terms_have(t, "aa", 10) &&
	    !terms_have(t, "bb", 20), "each with its range");
	ok(!terms_add(t, "aa 1 bb 10") && strcmp(terms_tag(t), "cc") == 0,
	    "those of a replica that lags add nothing");
	ok(terms_add(t, "xx 30 yy 40") && strcmp(terms_tag(t), "yy") == 0 &&
	    !terms_have(t, "cc", 30), "a gap in between is no harm");
	ok(!terms_add(t, NULL) && !terms_add(t, ""), "nothing adds nothing");
	terms_set(t, "zz 1");
	ok(!terms_have(t, "yy", 1), "another history forgets them all");
	terms_free(t);
}

static void
test_fork(void)
{
	struct terms	*t = terms_new();

	terms_set(t, "aa 1 bb 10");
	ok(!terms_fork(t, "aa 1 bb 10", 50), "known terms are no fork");
	ok(!terms_fork(t, "bb 10 cc 51", 50), "nor is one behind our position");
	ok(terms_fork(t, "bb 10 cc 50", 50), "one at our position is");
	ok(terms_fork(t, "bb 10 cc 40 dd 60", 50), "also if another follows");
	ok(!terms_fork(t, NULL, 50), "nothing is no fork");
	terms_free(t);
}

static void
test_nonsense(void)
{
	struct terms	*t = terms_new();

	terms_set(t, "aa");
	ok(strcmp(terms_tag(t), "") == 0, "a tag without an id is no term");
	terms_set(t, "0123456789012345678901234567890123456789 1");
	ok(strcmp(terms_tag(t), "") == 0, "nor is one that is too long");
	terms_free(t);
}

int
main(void)
{
	test_none();
	test_range();
	test_add();
	test_fork();
	test_nonsense();
	return tap_done();
}
