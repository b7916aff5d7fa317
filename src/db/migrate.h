/* SPDX-License-Identifier: ISC */
#ifndef MIGRATE_H
#define MIGRATE_H

struct config;

/*
 * Apply the files of sql_dir whose number the database does not have yet, in
 * order, and say which on standard output.  Blocks.  Returns the exit status:
 * 0, or 1 with the reason on standard error.
 */
int	 migrate(const struct config *cfg);

#endif
