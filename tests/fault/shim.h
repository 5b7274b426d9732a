#ifndef SHIM_H
#define SHIM_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * Shared memory of the test driver, which sets what must fail, and the shim,
 * which counts.  shim.py has the same layout.
 */
struct shim_control {
	_Atomic uint64_t allocations; /* calls so far */
	_Atomic uint64_t fail_at;  /* the number of the one to fail; 0: none */
	_Atomic uint64_t failed;   /* allocations that failed */
	_Atomic uint64_t meddled;  /* calls that the shim changed */
	_Atomic uint32_t meddling; /* 1: calls are short and interrupted */
	_Atomic int32_t close_errno; /* the error of close(2); 0: none */
};

#endif
