#include "meter.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "usage.h"

static uint64_t
read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

uint64_t
meter_now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

void
meter_start(struct meter *meter, const struct plan *plan)
{
	memset(meter, 0, sizeof(*meter));
	meter->server = plan->server;
	meter->run_ns = plan->run_ns;
	meter->next_ns = meter_now_ns() + plan->warm_ns;
	meter->private_bytes = -1;
}

static void
begin(struct meter *meter)
{
	meter->running = true;
	meter->messages = meter->bytes = meter->lost = 0;
	histogram_clear(&meter->latency);
	meter->begin_cpu_ns = usage_cpu_ns(meter->server);
	meter->begin_own_ns = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	meter->begin_ns = meter_now_ns();
	meter->next_ns = meter->begin_ns + meter->run_ns;
}

static void
end(struct meter *meter)
{
	meter->wall_ns = meter_now_ns() - meter->begin_ns;
	meter->own_ns = read_clock(CLOCK_PROCESS_CPUTIME_ID) -
	                meter->begin_own_ns;
	meter->cpu_ns = usage_cpu_ns(meter->server) - meter->begin_cpu_ns;
}

bool
meter_goes_on(struct meter *meter)
{
	if (meter_now_ns() < meter->next_ns)
		return true;
	if (meter->running) {
		end(meter);
		return false;
	}
	begin(meter);
	return true;
}

int
meter_left_ms(const struct meter *meter)
{
	uint64_t now_ns = meter_now_ns();

	return now_ns < meter->next_ns
	         ? (int)((meter->next_ns - now_ns) / 1000000 + 1)
	         : 0;
}

void
meter_print(const struct meter *meter)
{
	const struct histogram *latency = &meter->latency;

	printf("{\"messages\": %" PRIu64 ", \"bytes\": %" PRIu64
	       ", \"lost\": %" PRIu64 ", \"wall_ns\": %" PRIu64
	       ", \"cpu_ns\": %" PRIu64 ", \"load_cpu_ns\": %" PRIu64,
	    meter->messages, meter->bytes, meter->lost, meter->wall_ns,
	    meter->cpu_ns, meter->own_ns);
	if (latency->count > 0)
		printf(", \"p50_ns\": %" PRIu64 ", \"p90_ns\": %" PRIu64
		       ", \"p99_ns\": %" PRIu64 ", \"p999_ns\": %" PRIu64
		       ", \"max_ns\": %" PRIu64,
		    histogram_at(latency, 0.5), histogram_at(latency, 0.9),
		    histogram_at(latency, 0.99), histogram_at(latency, 0.999),
		    latency->max_ns);
	if (meter->private_bytes != -1)
		printf(", \"private_bytes\": %" PRId64, meter->private_bytes);
	if (meter->crowd_bytes != 0)
		printf(", \"crowd_bytes\": %" PRIu64
		       ", \"crowd_kernel_bytes\": %" PRIu64
		       ", \"crowd_cpu_ns\": %" PRIu64,
		    meter->crowd_bytes, meter->crowd_kernel_bytes,
		    meter->crowd_cpu_ns);
	puts("}");
}
