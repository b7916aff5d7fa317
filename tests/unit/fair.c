/* SPDX-License-Identifier: ISC */

/*
 * Turns on four connections, at a time of our own.
 */

#include "push/fair.h"
#include "tap.h"

#define CONNECTIONS	4
#define SLOW_MS		200
#define TURNS		64

static struct fair	*f;
static struct turn	 turns[TURNS];
static int64_t		 now;

static void
begin(void)
{
	memset(turns, 0, sizeof(turns));
	f = fair_new(CONNECTIONS, SLOW_MS);
	now = 1000;
}

static void
add(int n, const char *user, const char *kind)
{
	fair_add(f, &turns[n], user, kind);
}

/* The number of the next turn, or -1. */
static int
next(void)
{
	struct turn	*t = fair_next(f, now);

	return t == NULL ? -1 : (int)(t - turns);
}

static void
end(int n)
{
	fair_end(f, &turns[n], now);
}

static void
test_round(void)
{
	begin();
	add(0, "ann", "k");
	add(1, "ann", "k");
	add(2, "ann", "k");
	add(3, "bob", "k");
	ok(next() == 0, "the first that came");
	ok(next() == 3, "then another user's");
	ok(next() == -1, "one of a user at a time");
	add(4, "cid", "k");
	end(0);
	ok(next() == 4, "a user that had its turn goes to the end");
	ok(next() == 1, "and comes again");
	end(1);
	end(3);
	end(4);
	end(2);
	ok(next() == -1 && fair_waiting(f) == 0,
	    "a turn that waits can be withdrawn");
	fair_free(f);
}

static void
test_connections(void)
{
	int	i;

	begin();
	for (i = 0; i < 6; i++)
		add(i, (const char *[]){ "a", "b", "c", "d", "e", "f" }[i],
		    "k");
	for (i = 0; i < CONNECTIONS; i++)
		(void)next();
	ok(next() == -1 && fair_waiting(f) == 2, "no more than connections");
	end(2);
	ok(next() == 4, "one that ends lets the next in");
	for (i = 0; i < 6; i++)
		if (i != 2)
			end(i);
	fair_free(f);
}

static void
test_slow_users(void)
{
	begin();
	add(0, "a", "k");
	add(1, "b", "k");
	add(2, "c", "k");
	(void)next();
	(void)next();
	(void)next();
	now += 10000;
	add(3, "by", "k");
	ok(next() == 3, "while all but one hang, a bystander has its turn");
	end(3);
	end(0);
	end(1);
	end(2);
	add(0, "a", "k");
	add(1, "b", "k");
	add(2, "c", "k");
	ok(next() == 0 && next() == 1, "users that hung have turns");
	ok(next() == -1, "on half of the connections");
	add(4, "by", "k");
	add(5, "new", "k");
	ok(next() == 4 && next() == 5, "the others are for the quick");
	now += SLOW_MS - 1;
	end(0);
	ok(next() == 2, "for each that ends another slow user begins");
	add(0, "a", "k");
	end(4);
	ok(next() == 0, "a user is quick again once it was");
	end(0);
	end(1);
	end(2);
	end(5);
	fair_free(f);
}

static void
test_memory(void)
{
	begin();
	add(0, "a", "k");
	(void)next();
	now += SLOW_MS;
	end(0);
	add(0, "a", "k");
	add(1, "b", "x");
	add(2, "c", "x");
	(void)next();
	(void)next();
	(void)next();
	now += SLOW_MS;
	add(3, "d", "x");
	ok(next() == 3, "three slow ones run");
	end(1);
	end(2);
	end(0);
	add(0, "a", "k");
	add(1, "b", "k");
	ok(next() == 0 && next() == 1, "two of them again");
	add(2, "c", "k");
	ok(next() == -1, "a slow user with no turn left is still slow");
	end(0);
	end(1);
	end(2);
	end(3);
	fair_free(f);
}

static void
test_kinds(void)
{
	int			 i;
	static const char *const users[] = { "a", "b", "c", "d", "e", "f",
	    "g", "h" };

	begin();
	for (i = 0; i < 8; i++)
		add(i, users[i], "locked");
	for (i = 0; i < CONNECTIONS; i++)
		(void)next();
	now += 1000;
	end(0);
	end(1);
	end(2);
	end(3);
	ok(next() == 4 && next() == 5 && next() == -1,
	    "a kind that is slow for all shares half of the connections");
	add(8, "by", "other");
	ok(next() == 8, "another kind passes it");
	end(8);
	end(4);
	add(9, "by", "locked");
	ok(next() == 6 && next() == 7 && next() == 9,
	    "one that is quick makes the kind quick");
	end(5);
	end(6);
	end(7);
	end(9);
	fair_free(f);
}

/* Any number of users hang, whenever they can; how long a bystander waits. */
static void
test_any_number(void)
{
	static struct turn	 crowd[40], by;
	int			 hung = 0, i, rounds;
	char			 name[8];
	struct turn		*t;

	begin();
	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "u%d", i);
		memset(&crowd[i], 0, sizeof(crowd[i]));
		fair_add(f, &crowd[i], name, name);
	}
	memset(&by, 0, sizeof(by));
	for (rounds = 0; rounds < 200; rounds++) {
		if (rounds == 3)
			fair_add(f, &by, "by", "x");
		while ((t = fair_next(f, now)) != NULL && t != &by)
			if (rounds >= 3)
				hung++;
		if (t == &by)
			break;
		now += 1000;
		for (i = 0; i < 40; i++)
			if (crowd[i].is_running) {
				fair_end(f, &crowd[i], now);
				snprintf(name, sizeof(name), "u%d", i);
				fair_add(f, &crowd[i], name, name);
			}
	}
	ok(t == &by && rounds - 3 <= 40 / CONNECTIONS, "forty users that hang again and again: a "
	    "bystander waits no longer than each of them once (%d, %d rounds)",
	    hung, rounds - 3);
	for (i = 0; i < 40; i++)
		fair_end(f, &crowd[i], now);
	fair_end(f, &by, now);
	fair_free(f);
}

/* Random turns; what must hold at every step. */
static void
test_random(void)
{
	static const char *const users[] = { "a", "b", "c", "d", "e", "f" };
	static const char *const kinds[] = { "k", "l" };
	bool			 used[TURNS] = { false }, good = true;
	int			 i, n, running, slow, step;
	unsigned int		 seed = 1;
	struct turn		*t;

	begin();
	for (step = 0; step < 200000 && good; step++) {
		seed = seed * 1103515245 + 12345;
		n = (int)(seed >> 16) % TURNS;
		if (used[n])
			end(n);
		else
			add(n, users[(seed >> 8) % 6], kinds[seed >> 24 & 1]);
		used[n] = !used[n];
		now += seed % 100;
		while ((t = fair_next(f, now)) != NULL)
			good = good && used[t - turns] && t->is_running;
		running = slow = 0;
		for (i = 0; i < TURNS; i++)
			if (used[i] && turns[i].is_running) {
				running++;
				slow += turns[i].was_slow;
				for (n = 0; n < i; n++)
					good = good && (!used[n] ||
					    !turns[n].is_running ||
					    turns[n].user != turns[i].user);
			}
		good = good && running <= CONNECTIONS &&
		    slow <= CONNECTIONS / 2;
	}
	ok(good, "200000 random steps: one of a user, half for the slow");
	for (i = 0; i < TURNS; i++)
		if (used[i])
			end(i);
	ok(fair_waiting(f) == 0, "and nothing is left");
	fair_free(f);
}

int
main(void)
{
	test_round();
	test_connections();
	test_slow_users();
	test_memory();
	test_kinds();
	test_any_number();
	test_random();
	return tap_done();
}
