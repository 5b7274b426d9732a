#include "http/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "datagram/datagram.h"
#include "http/exposition.h"
#include "http/process.h"

#define OURS "timestampd_"

/* How events are shown that have no cause: by default under their own names. */
static const struct {
	const char *name, *help;
} events[COUNTER_EVENTS] = {
	[COUNTER_ACCEPTED] = { "connections_accepted",
	    "Connections accepted from clients." },
	[COUNTER_TAKEN_OVER] = { "connections_taken_over",
	    "Connections taken over from the process before this one." },
	[COUNTER_HANDED_OVER] = { "connections_handed_over",
	    "Connections handed over to the next process." },
	[COUNTER_ACCEPT_PAUSES] = { "accept_pauses",
	    "How often accepting paused, for a shortage or at the limit." },
	[COUNTER_ACCEPT_ERRORS] = { "accept_errors",
	    "Connections that failed before they were accepted." },
	[COUNTER_RECEIVE_ERRORS] = { "receive_errors",
	    "Failures to receive datagrams." },
};

/* Events with a cause, which follows the prefix of their names. */
static const struct {
	const char *prefix, *name, *help;
} causes[] = {
	{ "closed_", OURS "connections_closed",
	    "Connections closed, by the cause." },
	{ "dropped_", OURS "datagrams_dropped",
	    "Datagrams that were not answered, by the cause." },
};
#define CAUSES (sizeof(causes) / sizeof(*causes))

static const struct {
	enum traffic field;
	const char *name, *help;
} traffics[] = {
	{ TRAFFIC_MESSAGES_IN, OURS "messages_received",
	    "Messages received from clients." },
	{ TRAFFIC_BYTES_IN, OURS "received_bytes",
	    "Data received from clients." },
	{ TRAFFIC_MESSAGES_OUT, OURS "messages_answered",
	    "Messages answered with a stamp." },
	{ TRAFFIC_BYTES_OUT, OURS "sent_bytes",
	    "Data sent to clients, with the stamps." },
};

/* The figures of the listener's address, which it may share. */
static struct metrics_listener *
find_listener(struct metrics *metrics, const struct listener *listener)
{
	enum protocol protocol = listener->config.protocol;
	const char *address = listener->name + strlen(protocol_name(protocol)) +
	                      1;
	struct metrics_listener *end = metrics->listeners +
	                               metrics->listener_count;

	for (struct metrics_listener *at = metrics->listeners; at < end; at++)
		if (at->protocol == protocol &&
		    strcmp(at->address, address) == 0)
			return at;
	metrics->listener_count++;
	*end = (struct metrics_listener){ .protocol = protocol };
	strcpy(end->address, address);
	return end;
}

static void
add_listener(struct metrics *metrics, const struct listener *listener)
{
	struct metrics_listener *to = find_listener(metrics, listener);

	to->clients += listener->accepted;
	if (listener->datagram == NULL)
		return;
	const struct counters *from = datagram_counters(listener->datagram);
	const _Atomic uint64_t *traffic = from->traffic[to->protocol];
	to->received += traffic[TRAFFIC_MESSAGES_IN];
	to->answered += traffic[TRAFFIC_MESSAGES_OUT];
	for (int i = 0; i < COUNTER_EVENTS; i++)
		if (strncmp(counters_event_name((enum counter)i), "dropped_",
			8) == 0)
			to->dropped += counters_get(from, (enum counter)i);
}

struct metrics *
metrics_take(const struct counters *sum, const struct listener_list *list,
    const struct worker_pool *pool, const struct config *config)
{
	const struct listener *listener;
	size_t count = 0, align = _Alignof(struct metrics);

	TAILQ_FOREACH (listener, list, link)
		count++;
	size_t size = sizeof(struct metrics) +
	              count * sizeof(struct metrics_listener);
	struct metrics *metrics = aligned_alloc(align,
	    (size + align - 1) / align * align);
	if (metrics == NULL)
		return NULL;
	memset(metrics, 0, sizeof(*metrics));
	metrics->references = 1;
	metrics->taken_ms = clock_ms();
	metrics->connections_max = (uint64_t)pool->max_connections;
	metrics->kept = pool->shared.kept;
	metrics->kept_max = (uint64_t)config->kept_memory << 20;
	metrics->workers = (uint64_t)pool->count;
	counters_sum(&metrics->sum, sum);
	TAILQ_FOREACH (listener, list, link)
		add_listener(metrics, listener);
	return metrics;
}

void
metrics_release(struct metrics *metrics)
{
	if (metrics != NULL && --metrics->references == 0)
		free(metrics);
}

static void
put(struct exposition *to, const char *type, const char *name, const char *help,
    uint64_t value)
{
	exposition_begin(to, type, name, help);
	exposition_add(to, NULL, value);
}

/* The cause in the name of an event, or NULL. */
static const char *
find_cause(enum counter id, size_t kind)
{
	const char *name = counters_event_name(id);
	size_t len = strlen(causes[kind].prefix);

	return strncmp(name, causes[kind].prefix, len) == 0 ? name + len : NULL;
}

static void
put_event(struct exposition *to, const struct counters *sum, enum counter id)
{
	const char *name = events[id].name, *help = events[id].help;
	char full[64];

	for (size_t kind = 0; kind < CAUSES; kind++)
		if (find_cause(id, kind) != NULL)
			return;
	snprintf(full, sizeof(full), OURS "%s",
	    name != NULL ? name : counters_event_name(id));
	put(to, "counter", full,
	    help != NULL ? help : "Events counted under this name.",
	    counters_get(sum, id));
}

static void
put_events(struct exposition *to, const struct counters *sum)
{
	for (int id = 0; id < COUNTER_EVENTS; id++)
		put_event(to, sum, (enum counter)id);
	for (size_t kind = 0; kind < CAUSES; kind++) {
		exposition_begin(to, "counter", causes[kind].name,
		    causes[kind].help);
		for (int id = 0; id < COUNTER_EVENTS; id++) {
			const char *cause = find_cause((enum counter)id, kind);
			struct exposition_label labels[] = { { "cause", cause },
				{ 0 } };
			if (cause != NULL)
				exposition_add(to, labels,
				    counters_get(sum, (enum counter)id));
		}
	}
}

static void
put_traffic(struct exposition *to, const struct counters *sum)
{
	for (size_t i = 0; i < sizeof(traffics) / sizeof(*traffics); i++) {
		exposition_begin(to, "counter", traffics[i].name,
		    traffics[i].help);
		for (int protocol = 0; protocol < PROTOCOL_COUNT; protocol++) {
			struct exposition_label labels[] = {
				{ "protocol",
				    protocol_name((enum protocol)protocol) },
				{ 0 },
			};
			exposition_add(to, labels,
			    sum->traffic[protocol][traffics[i].field]);
		}
	}
}

/* Only the protocols that have any: without arrival times there are none. */
static void
put_delays(struct exposition *to, const struct counters *sum)
{
	bool has_begun = false;

	for (int protocol = 0; protocol < PROTOCOL_COUNT; protocol++) {
		uint64_t buckets[COUNTER_DELAYS], all = 0;
		for (int i = 0; i < COUNTER_DELAYS; i++)
			all += buckets[i] = sum->delay[protocol][i];
		if (all == 0)
			continue;
		if (!has_begun)
			exposition_begin(to, "histogram",
			    OURS "answer_delay_seconds",
			    "Time from the arrival of a message in the kernel "
			    "to its answer; with stamp.source = arrival.");
		has_begun = true;
		exposition_add_histogram(to,
		    (struct exposition_label){ "protocol",
			protocol_name((enum protocol)protocol) },
		    buckets, counters_delays_ns, sum->delay_ns[protocol]);
	}
}

/* One figure of each listener that has it. */
static void
put_of_listeners(struct exposition *to, const struct metrics *metrics,
    bool is_datagram, size_t offset)
{
	for (size_t i = 0; i < metrics->listener_count; i++) {
		const struct metrics_listener *at = &metrics->listeners[i];
		struct exposition_label labels[] = {
			{ "protocol", protocol_name(at->protocol) },
			{ "listener", at->address },
			{ 0 },
		};
		if (protocol_is_datagram(at->protocol) == is_datagram)
			exposition_add(to, labels,
			    *(const uint64_t *)((const char *)at + offset));
	}
}

static void
put_listeners(struct exposition *to, const struct metrics *metrics)
{
	static const struct {
		bool is_datagram;
		size_t offset;
		const char *name, *help;
	} figures[] = {
		{ false, offsetof(struct metrics_listener, clients),
		    OURS "listener_clients",
		    "Clients accepted at a listener that is open." },
		{ true, offsetof(struct metrics_listener, received),
		    OURS "listener_datagrams_received",
		    "Datagrams received at a listener that is open." },
		{ true, offsetof(struct metrics_listener, answered),
		    OURS "listener_datagrams_answered",
		    "Datagrams answered at a listener that is open." },
		{ true, offsetof(struct metrics_listener, dropped),
		    OURS "listener_datagrams_dropped",
		    "Datagrams not answered at a listener that is open." },
	};

	for (size_t i = 0; i < sizeof(figures) / sizeof(*figures); i++) {
		exposition_begin(to, "counter", figures[i].name,
		    figures[i].help);
		put_of_listeners(to, metrics, figures[i].is_datagram,
		    figures[i].offset);
	}
}

static void
put_state(struct exposition *to, const struct metrics *metrics)
{
	struct exposition_label version[] = { { "version", VERSION }, { 0 } };

	exposition_begin(to, "info", OURS "build", "The version that runs.");
	exposition_add(to, version, 1);
	put(to, "gauge", OURS "ready",
	    "Whether new clients are welcome, as /ready says.",
	    metrics->is_ready);
	put(to, "gauge", OURS "workers", "Threads that serve connections.",
	    metrics->workers);
	put(to, "gauge", OURS "connections_open", "Connections that are open.",
	    counters_open(&metrics->sum));
	put(to, "gauge", OURS "connections_limit",
	    "The most connections that may be open.", metrics->connections_max);
	put(to, "gauge", OURS "kept_bytes",
	    "Memory held for clients that do not take their replies.",
	    metrics->kept);
	put(to, "gauge", OURS "kept_limit_bytes",
	    "The limit of that memory, kept_memory; 0: none.",
	    metrics->kept_max);
}

/* Under the names that every Prometheus client library uses. */
static void
put_process(struct exposition *to, uint64_t started_ns)
{
	struct process process;

	process_look(&process);
	exposition_begin(to, "counter", "process_cpu_seconds",
	    "CPU time that the process has used.");
	exposition_add_ns(to, NULL, process.cpu_ns);
	exposition_begin(to, "gauge", "process_start_time_seconds",
	    "When the process began, since 1970.");
	exposition_add_ns(to, NULL, started_ns);
	put(to, "gauge", "process_resident_memory_bytes",
	    "Memory of the process that is resident.", process.resident_bytes);
	put(to, "gauge", "process_virtual_memory_bytes",
	    "Address space of the process.", process.virtual_bytes);
	put(to, "gauge", "process_open_fds", "File descriptors that are open.",
	    process.open_files);
	put(to, "gauge", "process_max_fds",
	    "The most file descriptors that may be open.", process.max_files);
}

void
metrics_write(const struct metrics *metrics, uint64_t started_ns, FILE *out,
    bool is_open_metrics)
{
	struct exposition to = {
		.out = out,
		.is_open_metrics = is_open_metrics,
	};

	put_state(&to, metrics);
	put_events(&to, &metrics->sum);
	put_traffic(&to, &metrics->sum);
	put_delays(&to, &metrics->sum);
	put_listeners(&to, metrics);
	put_process(&to, started_ns);
	exposition_end(&to);
}
