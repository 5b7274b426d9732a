/*
 * load --port N --server PID [...] WORKLOAD
 *
 * Puts load on the server at a port of 127.0.0.1, checks its replies, and prints
 * the results as one line of JSON.
 */

#include <err.h>
#include <string.h>
#include <unistd.h>

#include "churn.h"
#include "datagram.h"
#include "idle.h"
#include "latency.h"
#include "meter.h"
#include "pingpong.h"
#include "plan.h"
#include "segments.h"
#include "stream.h"

/* The time limit of a run, for a server that has stopped answering. */
#define PATIENCE_S 30

static const struct {
	const char *name;
	void (*run)(const struct plan *plan, struct meter *meter);
} workloads[] = {
	{ "pingpong", pingpong_run },
	{ "churn", churn_run },
	{ "stream", stream_run },
	{ "datagram", datagram_run },
	{ "segments", segments_run },
	{ "idle", idle_run },
	{ "latency-alone", latency_alone_run },
	{ "latency-stream", latency_stream_run },
	{ "latency-crowd", latency_crowd_run },
};

int
main(int argc, char **argv)
{
	static struct meter meter;
	struct plan plan;

	plan_parse(&plan, argc, argv);
	alarm(PATIENCE_S + (unsigned)(plan.run_ns / 1000000000U));
	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
		if (strcmp(plan.workload, workloads[i].name) == 0) {
			workloads[i].run(&plan, &meter);
			meter_print(&meter);
			return 0;
		}
	errx(64, "no workload is named %s", plan.workload);
}
