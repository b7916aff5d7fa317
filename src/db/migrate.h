/* SPDX-License-Identifier: ISC */
#ifndef MIGRATE_H
#define MIGRATE_H

#include <stdbool.h>

struct config;

/*
 * Bring the database up to date with sql_dir: apply the files of tables/ whose
 * number it does not have yet, in order, then all of code/, and say which on
 * standard output.  status: change nothing, only say what would be applied.
 * Blocks.  Returns the exit status: 0, or 1 with the reason on standard error;
 * with status, 1 if something is to be applied.
 */
int	 migrate(const struct config *cfg, bool status);

#endif
