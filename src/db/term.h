/* SPDX-License-Identifier: ISC */
#ifndef TERM_H
#define TERM_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The terms of the log's history, one for each time that a daemon became the
 * leader: a random tag and its first id.  A position of a client, a tag and an
 * id, is of this history if the tag is known and the next term begins behind
 * the id; else what the client heard is not what the log has.
 */

struct terms;

struct terms	*terms_new(void);
void		 terms_free(struct terms *t);

/* Take all from a text, "tag first tag first ...", oldest first; NULL: none. */
void		 terms_set(struct terms *t, const char *text);
/* Add those of such a text that follow the last known one; whether any did.
 * If the last one is not among them, all are added. */
bool		 terms_add(struct terms *t, const char *text);

/* Whether one of such a text is new and begins at this id or before: what we
 * heard up to there may be of another history. */
bool		 terms_fork(const struct terms *t, const char *text,
		    int64_t id);

/* The last one's tag, empty if there is none, and its first id. */
const char	*terms_tag(const struct terms *t);
int64_t		 terms_first(const struct terms *t);
/* Whether the last one of such a text is known. */
bool		 terms_reach(const struct terms *t, const char *text);
bool		 terms_have(const struct terms *t, const char *tag,
		    int64_t id);

#endif
