/* SPDX-License-Identifier: ISC */
#ifndef RELOAD_H
#define RELOAD_H

/*
 * SIGHUP: the settings again, whole or not at all.
 */

struct config;
struct token_keys;

/* What is in force, and the file it came from; all of it outlives the module. */
void	 reload_init(struct config *live, struct token_keys *keys,
	    const char *file);
/* Read the file and the environment again.  What is wrong is said, counted,
 * and changes nothing. */
void	 reload(void);

#endif
