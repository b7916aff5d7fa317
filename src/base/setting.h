/* SPDX-License-Identifier: ISC */
#ifndef SETTING_H
#define SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The kinds of values that settings have: from text, to text, and what is
 * allowed.  Which settings there are stands in config.c.
 */

#define KIB	INT64_C(1024)
#define MIB	(1024 * KIB)
#define GIB	(1024 * MIB)
#define SEC	INT64_C(1000)		/* times are kept in ms */
#define MIN	(60 * SEC)
#define HOUR	(60 * MIN)
#define DAY	(24 * HOUR)

enum kind {
	KIND_TEXT,
	KIND_SECRET,		/* text that is not shown */
	KIND_ORIGINS,		/* a list of scheme://host:port, or none */
	KIND_ADDRESSES_OR_NONE,
	KIND_ADDRESSES,		/* a list of address:port */
	KIND_WORDS,		/* a list out of words */
	KIND_CHOICE,		/* one of words, kept as its number */
	KIND_NUMBER,
	KIND_BYTES,
	KIND_TIME,
};

/* A row of the table of settings. */
struct setting {
	const char	*name;
	enum kind	 kind;
	size_t		 offset;	/* in struct config */
	const char	*fallback;
	int64_t		 min, max;
	const char	*words;
};

/* Digits and a unit.  Returns -1 if it is anything else, or too large. */
int	 setting_number_parse(const char *text, enum kind kind, int64_t *out)
    __attribute__((warn_unused_result));
/* A number with the largest unit that leaves no rest. */
void	 setting_number_print(char *out, size_t size, enum kind kind,
	    int64_t n);
/* The number of a word in a list of them, or -1; and the other way, a copy. */
int64_t	 setting_word(const char *words, const char *word);
char	*setting_word_print(const char *words, int64_t n);
/* Whether every item of a list is allowed, and there are enough of them. */
bool	 setting_list_ok(const struct setting *s, const char *text);
/* What is allowed, for a message. */
void	 setting_allowed(char *out, size_t size, const struct setting *s);

#endif
