#include "systemd/notify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <time.h>

bool
notify_is_heard(void)
{
	return getenv("NOTIFY_SOCKET") != NULL;
}

void
notify_send(const char *message)
{
	sd_notify(0, message);
}

void
notify_reloading(void)
{
	struct timespec now;

	/* systemd matches the reload that it requested by this time. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	    (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void
notify_extend(int seconds)
{
	sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%d000000", seconds);
}

void
notify_status(const char *status)
{
	sd_notifyf(0, "STATUS=%s", status);
}

uint64_t
notify_watchdog_ms(void)
{
	uint64_t us;

	return sd_watchdog_enabled(0, &us) > 0 ? us / 1000 : 0;
}
