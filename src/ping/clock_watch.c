#include "ping/clock_watch.h"

#include <time.h>

#define READINGS 8
/* A smaller step is not noticed. */
#define NOISE_NS 1000

static int64_t
read_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* *width_ns: the clocks were read within this time. */
static struct clock_moment
read_both(int64_t *width_ns)
{
	int64_t before_ns = read_ns(CLOCK_BOOTTIME);
	int64_t real_ns = read_ns(CLOCK_REALTIME);
	int64_t after_ns = read_ns(CLOCK_BOOTTIME);

	*width_ns = after_ns - before_ns;
	return (struct clock_moment){ real_ns, after_ns };
}

/* Takes the reading that an interrupt has delayed the least. */
static void
compare(struct clock_watch *watch)
{
	int64_t width_ns;

	watch->error_ns = INT64_MAX;
	for (int i = 0; i < READINGS; i++) {
		struct clock_moment now = read_both(&width_ns);

		if (width_ns >= watch->error_ns)
			continue;
		watch->error_ns = width_ns;
		watch->ahead_ns = now.real_ns - now.mono_ns;
	}
}

void
clock_watch_init(struct clock_watch *watch)
{
	watch->steps = 0;
	compare(watch);
}

struct clock_moment
clock_watch_read(struct clock_watch *watch, int64_t *step_ns)
{
	int64_t width_ns, ahead_ns = watch->ahead_ns;
	struct clock_moment now = read_both(&width_ns);
	int64_t change_ns = now.real_ns - now.mono_ns - ahead_ns;

	*step_ns = 0;
	if (change_ns < -NOISE_NS - width_ns ||
	    change_ns > NOISE_NS + watch->error_ns) {
		compare(watch);
		watch->steps++;
		*step_ns = watch->ahead_ns - ahead_ns;
		now = read_both(&width_ns);
	}
	return now;
}
