/* SPDX-License-Identifier: ISC */

/*
 * The place of libFuzzer's main where there is no libFuzzer: each file named
 * goes once through the target, as "fuzzer file..." does too.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

#define INPUT_MAX	(1024 * 1024)	/* bytes */

/* Returns 0, or -1 if the file cannot be read. */
static int
replay(const char *path)
{
	static uint8_t	 buf[INPUT_MAX];
	uint8_t		*exact;
	size_t		 len, i;
	FILE		*fp;

	if ((fp = fopen(path, "r")) == NULL)
		return -1;
	len = fread(buf, 1, sizeof(buf), fp);
	if (ferror(fp)) {
		fclose(fp);
		return -1;
	}
	fclose(fp);

	/* At its exact size, so that a sanitizer sees a read past the end. */
	if ((exact = malloc(len > 0 ? len : 1)) == NULL)
		return -1;
	for (i = 0; i < len; i++)
		exact[i] = buf[i];
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	return 0;
}

int
main(int argc, char **argv)
{
	int	 i, failures = 0;

	for (i = 1; i < argc; i++)
		if (replay(argv[i]) == -1) {
			perror(argv[i]);
			failures++;
		}
	printf("%sok 1 - %d inputs\n1..1\n",
	    failures == 0 && argc > 1 ? "" : "not ", argc - 1);
	return failures == 0 && argc > 1 ? 0 : 1;
}
