#ifndef PING_CLOCK_WATCH_H
#define PING_CLOCK_WATCH_H

#include <stdint.h>

/*
 * Notices when somebody sets our clock.  CLOCK_REALTIME and CLOCK_BOOTTIME
 * advance alike, also while NTP slews them and while the machine is suspended,
 * until CLOCK_REALTIME is set.
 */
struct clock_watch {
	int64_t ahead_ns; /* CLOCK_REALTIME over CLOCK_BOOTTIME */
	int64_t error_ns; /* of ahead_ns, at most */
	uint64_t steps;
};

/* One moment by both clocks; CLOCK_REALTIME is read first. */
struct clock_moment {
	int64_t real_ns, mono_ns;
};

void clock_watch_init(struct clock_watch *watch);

/*
 * The present moment.  *step_ns is by how much CLOCK_REALTIME was set forwards
 * since the last call, 0 if it was not.
 */
struct clock_moment clock_watch_read(struct clock_watch *watch,
    int64_t *step_ns);

#endif
