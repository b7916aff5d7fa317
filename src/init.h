/* SPDX-License-Identifier: ISC */
#ifndef INIT_H
#define INIT_H

/*
 * pgpushd init: everything between the installation and the first start.
 * Makes the roles and the schema in a database, and a file of settings with a
 * secret and the daemon's password.  Says each step on standard output.  What
 * is there already is left as it is, so that it can be run again.
 *
 * admin is a connection string of a role that may create roles and has CREATE
 * on the database; NULL: ask for it on the terminal.  file is the settings'
 * file to write; NULL: the default place.  Of cfg only sql_dir counts.
 * Blocks.  Returns the exit status: 0, or 1 with the reason on standard error.
 */
struct config;

int	 init(const struct config *cfg, const char *admin, const char *file);

#endif
