/* SPDX-License-Identifier: ISC */
#ifndef ENDPOINT_H
#define ENDPOINT_H

/*
 * An endpoint is what a dialect brings to the server: its routes, and how it
 * is prepared.  The server knows no dialect but as a row of a table of these.
 */

struct config;
struct event_base;
struct feed;
struct route;
struct token_keys;

/* What there is to work with; all of it outlives the endpoints. */
struct endpoint_env {
	struct event_base	*base;		/* the loop */
	const struct config	*cfg;
	const struct token_keys	*keys;
	struct feed		*feed;
};

struct endpoint {
	/* Prepare; the routes are read afterwards. */
	void			(*init)(const struct endpoint_env *env);
	/* Rows up to one whose path is NULL. */
	const struct route	*routes;
	/* End what does not end with its connection; NULL: nothing. */
	void			(*exit)(void);
};

/* The endpoints of this program, up to one without routes: endpoints.c. */
extern const struct endpoint endpoints[];

#endif
