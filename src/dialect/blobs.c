/* SPDX-License-Identifier: ISC */

/*
 * Only packets that have attachments are parsed into a tree and printed again.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/xmalloc.h"
#include "dialect/blobs.h"
#include "dialect/eio.h"
#include "dialect/sio.h"

/* What a walk needs to know. */
struct fill {
	const struct sio_blob	*blobs;
	unsigned int		 n;
	unsigned int		 used;		/* a bit for each */
	bool			 failed;
};

static json_t	*fill(struct fill *f, json_t *v);

static json_t *
blob_text(struct fill *f, const json_t *number)
{
	json_int_t	 i = json_integer_value(number);
	size_t		 len;
	char		*text;
	json_t		*s;

	/* Each stands in one place, or a message could become any size. */
	if (!json_is_integer(number) || i < 0 || i >= (json_int_t)f->n ||
	    (f->used & 1U << i) != 0) {
		f->failed = true;
		return json_null();
	}
	f->used |= 1U << i;
	len = eio_base64_size(f->blobs[i].len);
	text = xmalloc(len + 1);
	eio_base64_write(text, f->blobs[i].p, f->blobs[i].len);
	s = json_stringn(text, len);
	free(text);
	return s;
}

static void
fill_array(struct fill *f, json_t *array)
{
	json_t	*v;
	size_t	 i;

	json_array_foreach(array, i, v)
		(void)json_array_set_new(array, i, fill(f, json_incref(v)));
}

static void
fill_object(struct fill *f, json_t *object)
{
	const char	*key;
	json_t		*v;

	json_object_foreach(object, key, v)
		(void)json_object_set_new(object, key, fill(f,
		    json_incref(v)));
}

/* Takes the reference; returns one of what stands in its place. */
static json_t *
fill(struct fill *f, json_t *v)
{
	json_t	*text;

	if (json_is_array(v))
		fill_array(f, v);
	else if (json_is_true(json_object_get(v, "_placeholder"))) {
		text = blob_text(f, json_object_get(v, "num"));
		json_decref(v);
		return text;
	} else if (json_is_object(v))
		fill_object(f, v);
	return v;
}

char *
blobs_fill(const char *json, size_t len, const struct sio_blob *blobs,
    unsigned int n)
{
	struct fill	 f = { blobs, n, 0, false };
	json_t		*root = json_loadb(json, len, 0, NULL);
	char		*text;

	if (root == NULL)
		return NULL;
	root = fill(&f, root);
	text = f.failed ? NULL : json_dumps(root, JSON_COMPACT |
	    JSON_ENCODE_ANY);
	json_decref(root);
	return text;
}
