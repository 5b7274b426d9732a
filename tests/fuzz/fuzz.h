#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

/*
 * What each target is: one try with size bytes of data, from libFuzzer or from
 * a file that replay.c reads.  Always 0; a fault ends the process.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
