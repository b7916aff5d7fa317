/* SPDX-License-Identifier: ISC */

/*
 * Accounts without a holder stand on a list in the order in which they were
 * left, and go when an account is opened or left later.
 */

#include <sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/table.h"
#include "base/xmalloc.h"
#include "push/account.h"

#define BURST_S		5		/* of messages at the rate */
#define LEFT_MAX	10000		/* accounts without a holder */

struct account {
	struct link		 link;		/* by name */
	TAILQ_ENTRY(account)	 entry;		/* on left if holders is 0 */
	unsigned int		 holders;
	int64_t			 sessions;
	size_t			 bytes;
	struct leaky	 bucket;
	char			 name[];	/* "u" or "a", and the name */
};

static struct table		 accounts;
static TAILQ_HEAD(, account)	 left = TAILQ_HEAD_INITIALIZER(left);
static unsigned int		 nleft;

/* An address without its port. */
static size_t
account_name_len(enum account_type type, const char *name)
{
	const char	*colon = strrchr(name, ':');

	return type == ACCOUNT_ADDRESS && colon != NULL ?
	    (size_t)(colon - name) : strlen(name);
}

static char *
account_key(enum account_type type, const char *name)
{
	return xasprintf("%c%.*s", type == ACCOUNT_USER ? 'u' : 'a',
	    (int)account_name_len(type, name), name);
}

static struct account *
account_find(const char *key)
{
	struct link	*l;
	struct account	*a;

	for (l = table_first(&accounts, table_hash(key)); l != NULL;
	    l = table_next(l)) {
		a = table_object(l, struct account, link);
		if (strcmp(a->name, key) == 0)
			return a;
	}
	return NULL;
}

static void
account_unleave(struct account *a)
{
	TAILQ_REMOVE(&left, a, entry);
	nleft--;
}

/* Forget those whose messages have run off. */
static void
account_trim(void)
{
	int64_t		 now = clock_ms();
	struct account	*a;

	while ((a = TAILQ_FIRST(&left)) != NULL && (nleft > LEFT_MAX ||
	    a->bucket.debt_us <= (now - a->bucket.at_ms) * 1000)) {
		account_unleave(a);
		table_remove(&accounts, &a->link);
		free(a);
	}
}

struct account *
account_get(enum account_type type, const char *name)
{
	char		*key = account_key(type, name);
	struct account	*a = account_find(key);

	if (a == NULL) {
		a = xcalloc(1, sizeof(*a) + strlen(key) + 1);
		memcpy(a->name, key, strlen(key) + 1);
		table_add(&accounts, &a->link, table_hash(key));
	} else if (a->holders == 0)
		account_unleave(a);
	a->holders++;
	free(key);
	account_trim();
	return a;
}

void
account_put(struct account *a)
{
	if (a == NULL || --a->holders > 0)
		return;
	TAILQ_INSERT_TAIL(&left, a, entry);
	nleft++;
	account_trim();
}

int64_t
account_sessions(const struct account *a)
{
	return a->sessions;
}

void
account_add_sessions(struct account *a, int n)
{
	a->sessions += n;
}

int64_t
account_sessions_of(enum account_type type, const char *name)
{
	char			*key = account_key(type, name);
	const struct account	*a = account_find(key);

	free(key);
	return a == NULL ? 0 : a->sessions;
}

size_t
account_bytes(const struct account *a)
{
	return a->bytes;
}

void
account_add_bytes(struct account *a, size_t n)
{
	a->bytes += n;
}

void
account_take_bytes(struct account *a, size_t n)
{
	a->bytes -= n;
}

int64_t
leaky_fill(struct leaky *b, int64_t rate, int64_t messages,
    int64_t now_ms)
{
	if (rate == 0)
		return 0;
	b->debt_us -= (now_ms - b->at_ms) * 1000;
	if (b->debt_us < 0)
		b->debt_us = 0;
	b->at_ms = now_ms;
	b->debt_us += messages * (1000000 / rate);
	return b->debt_us / (BURST_S * 1000000);
}

struct leaky *
account_bucket(struct account *a)
{
	return &a->bucket;
}
