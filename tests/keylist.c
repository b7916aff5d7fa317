/* SPDX-License-Identifier: ISC */

/* Prints each setting with its default, for tests/keys.sh. */

#include <stdio.h>
#include <stdlib.h>

#include "base/config.h"

int
main(void)
{
	char		 err[500], *value;
	struct config	*cfg;
	size_t		 i;

	if (clearenv() != 0 ||
	    (cfg = config_load(NULL, err, sizeof(err))) == NULL)
		return 1;
	for (i = 0; config_key(i) != NULL; i++) {
		value = config_value(cfg, i);
		printf("%s =%s%s\n", config_key(i), *value != '\0' ? " " : "",
		    value);
		free(value);
	}
	config_free(cfg);
	return 0;
}
