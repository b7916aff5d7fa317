/* SPDX-License-Identifier: ISC */

#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "db/term.h"

#define TAG_MAX		32

struct term {
	char	tag[TAG_MAX];
	int64_t	first;
};

struct terms {
	struct term	*list;		/* oldest first; owned */
	size_t		 n;
};

struct terms *
terms_new(void)
{
	return xcalloc(1, sizeof(struct terms));
}

void
terms_free(struct terms *t)
{
	if (t == NULL)
		return;
	free(t->list);
	free(t);
}

/* The next term of a text, behind which *text is moved. */
static bool
term_next(const char **text, struct term *term)
{
	const char	*p = *text;
	size_t		 len = strcspn(p, " ");
	char		*end;

	if (len == 0 || len >= sizeof(term->tag) || p[len] == '\0')
		return false;
	memcpy(term->tag, p, len);
	term->tag[len] = '\0';
	term->first = strtoll(p + len, &end, 10);
	*text = end + strspn(end, " ");
	return true;
}

static void
terms_push(struct terms *t, const struct term *term)
{
	t->list = xrealloc(t->list, (t->n + 1) * sizeof(*t->list));
	t->list[t->n++] = *term;
}

void
terms_set(struct terms *t, const char *text)
{
	struct term	term;

	t->n = 0;
	while (text != NULL && term_next(&text, &term))
		terms_push(t, &term);
}

bool
terms_have(const struct terms *t, const char *tag, int64_t id)
{
	size_t	i = t->n;

	while (i > 0 && strcmp(t->list[i - 1].tag, tag) != 0)
		i--;
	return i > 0 && (i == t->n || id < t->list[i].first);
}

bool
terms_reach(const struct terms *t, const char *text)
{
	struct term	term = { "", 0 };

	while (text != NULL && term_next(&text, &term))
		;
	return terms_have(t, term.tag, 0);
}

/* Where the text goes on behind our last one: nowhere if it lags behind us, at
 * its beginning if it knows nothing of that one. */
static const char *
terms_after(const struct terms *t, const char *text)
{
	const char	*after = terms_reach(t, text) ? NULL : text;
	struct term	 term;

	while (text != NULL && term_next(&text, &term))
		if (strcmp(term.tag, terms_tag(t)) == 0)
			after = text;
	return after;
}

bool
terms_add(struct terms *t, const char *text)
{
	struct term	term;
	size_t		n = t->n;

	text = terms_after(t, text);
	while (text != NULL && term_next(&text, &term))
		terms_push(t, &term);
	return t->n > n;
}

bool
terms_fork(const struct terms *t, const char *text, int64_t id)
{
	struct term	term;

	text = terms_after(t, text);
	while (text != NULL && term_next(&text, &term))
		if (term.first <= id)
			return true;
	return false;
}

const char *
terms_tag(const struct terms *t)
{
	return t->n == 0 ? "" : t->list[t->n - 1].tag;
}

int64_t
terms_first(const struct terms *t)
{
	return t->n == 0 ? 0 : t->list[t->n - 1].first;
}
