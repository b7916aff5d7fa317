/* SPDX-License-Identifier: ISC */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The share of one user, over all its sessions; or of one address.  An account
 * appears with its first holder.  It goes with the last, but not before the
 * messages at the rate have run off: or coming back would make them good.
 */

struct account;

enum account_type {
	ACCOUNT_USER,
	ACCOUNT_ADDRESS,	/* its name ends where the port begins */
};

/* The account, with one holder more. */
struct account	*account_get(enum account_type type, const char *name);
/* A holder has gone; NULL is allowed. */
void		 account_put(struct account *a);

/* Sessions that count; add n of them, or take away. */
int64_t		 account_sessions(const struct account *a);
void		 account_add_sessions(struct account *a, int n);
/* The same of a name that need not have an account. */
int64_t		 account_sessions_of(enum account_type type,
		    const char *name);

/* Bytes of commands that wait. */
size_t		 account_bytes(const struct account *a);
void		 account_add_bytes(struct account *a, size_t n);
void		 account_take_bytes(struct account *a, size_t n);

/*
 * A leaky bucket: each message adds its share of a second, which runs off with
 * time.
 */
struct leaky {
	int64_t	debt_us;
	int64_t	at_ms;			/* when that was */
};

/* A number of messages at rate a second (0: any); returns how many bursts are
 * in the bucket, so 0 is within the limit. */
int64_t	 leaky_fill(struct leaky *b, int64_t rate, int64_t messages,
	    int64_t now_ms);

/* The bucket of the account. */
struct leaky *
	 account_bucket(struct account *a);

#endif
