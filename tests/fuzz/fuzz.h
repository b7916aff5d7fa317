/* SPDX-License-Identifier: ISC */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * A fuzz target: called with one input.  What must hold is claimed with
 * must(), which stops the program where it does not.
 */
int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(claim)	do { if (!(claim)) abort(); } while (0)

#endif
