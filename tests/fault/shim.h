#ifndef SHIM_H
#define SHIM_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * What the driver tells the shim, and what the shim tells it.  Shared by both
 * processes; shim.py knows the layout.
 */
struct shim_control {
	_Atomic uint64_t allocations; /* asked for so far */
	_Atomic uint64_t fail_at;     /* number of the one to fail; 0: none */
	_Atomic uint64_t failed;      /* so many did */
	_Atomic uint64_t meddled;     /* calls that were meddled with */
	_Atomic uint32_t meddling;    /* short and interrupted calls, or not */
	_Atomic int32_t close_errno;  /* what close says; 0: what is true */
};

#endif
