#include "timestampc/ping_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define SECOND_NS INT64_C(1000000000)
#define MS(ns) ((double)(ns) / 1e6)
#define S(ns) ((double)(ns) / 1e9)

/* A coarser stamp says nothing of a way there or back. */
#define ONE_WAY_RESOLUTION_NS 1000000

/* Few clocks are further apart, and few zones are not whole half hours. */
#define LIKELY_OFFSET_NS (60 * SECOND_NS)
#define LIKELY_ZONE_NS (2 * OFFSET_QUARTER_NS)

/* "UTC+05:45" */
static const char *
zone_text(int64_t zone_ns, char text[16])
{
	int64_t minutes = llabs(zone_ns) / SECOND_NS / 60;

	snprintf(text, 16, "UTC%c%02d:%02d", zone_ns < 0 ? '-' : '+',
	    (int)(minutes / 60 % 100), (int)(minutes % 60));
	return text;
}

static void
print_json_text(const char *name, const char *text)
{
	char escape[JSON_ESCAPE_MAX];
	size_t left = strlen(text);

	printf(",\"%s\":\"", name);
	for (;;) {
		size_t plain = json_plain(text, left);
		fwrite(text, 1, plain, stdout);
		if (plain == left)
			break;
		json_escape(text[plain], escape);
		fputs(escape, stdout);
		text += plain + 1;
		left -= plain + 1;
	}
	putchar('"');
}

static void
print_json_ns(const char *name, int64_t ns)
{
	printf(",\"%s_ns\":%" PRId64, name, ns);
}

static void
print_json_count(const char *name, uint64_t count)
{
	printf(",\"%s\":%" PRIu64, name, count);
}

static void
begin_json(const char *type)
{
	printf("{\"type\":\"%s\"", type);
}

void
ping_report_start(const struct ping_account *account, size_t bytes,
    bool is_timed)
{
	const char *target = account->options->target.text;

	if (account->options->quiet)
		return;
	if (!account->options->json) {
		printf("PING %s (%s): %zu bytes, times by the %s\n", target,
		    account->peer, bytes, is_timed ? "kernel" : "program");
		return;
	}
	begin_json("start");
	print_json_text("target", target);
	print_json_text("peer", account->peer);
	print_json_count("bytes", bytes);
	print_json_text("times", is_timed ? "kernel" : "program");
	puts("}");
}

bool
ping_report_has_one_way(const struct ping_account *account,
    const struct ping_reply *reply)
{
	return account->options->has_offset && reply->payload.has_reading &&
	       reply->kind != PROBE_REPLY_DUPLICATE &&
	       reply->payload.reading.resolution_ns <= ONE_WAY_RESOLUTION_NS;
}

/*
 * Whether the zone that is assumed for stamps without one is likely to be
 * wrong, and the offset by as much.
 */
static bool
is_doubtful(const struct offset *offset)
{
	int64_t middle_ns = offset_middle_ns(&offset->now);

	return !offset->has_zone && (llabs(middle_ns) > LIKELY_OFFSET_NS ||
					offset->zone_ns % LIKELY_ZONE_NS != 0);
}

static const char *
kind_text(const struct ping_reply *reply)
{
	static const char *const texts[] = {
		[PROBE_REPLY_FIRST] = "",
		[PROBE_REPLY_LATE] = " (late)",
		[PROBE_REPLY_DUPLICATE] = " (duplicate)",
	};

	return texts[reply->kind];
}

static void
print_reply(const struct ping_account *account, const struct ping_reply *reply)
{
	const struct offset_range *range = &account->offset.now;

	printf("%zu bytes from %s: seq=%" PRIu64 " time=%.3f ms",
	    reply->payload.bytes, account->peer, reply->payload.number,
	    MS(reply->rtt_ns));
	if (account->offset.known)
		printf(" offset=%+.6f +/- %.6f s%s", S(offset_middle_ns(range)),
		    S(offset_error_ns(range)),
		    is_doubtful(&account->offset) ? " (mod 15 min)" : "");
	if (ping_report_has_one_way(account, reply))
		printf(" there=%.3f back=%.3f ms", MS(account->there.last_ns),
		    MS(account->back.last_ns));
	printf("%s%s\n", kind_text(reply),
	    reply->is_reordered ? " (out of order)" : "");
}

static void
print_json_offset(const struct offset *offset, const struct offset_range *range)
{
	print_json_ns("offset", offset_middle_ns(range));
	print_json_ns("offset_error", offset_error_ns(range));
	if (!offset->has_zone)
		print_json_ns("offset_modulo", OFFSET_QUARTER_NS);
}

static void
print_json_reply(const struct ping_account *account,
    const struct ping_reply *reply)
{
	static const char *const kinds[] = {
		[PROBE_REPLY_FIRST] = "first",
		[PROBE_REPLY_LATE] = "late",
		[PROBE_REPLY_DUPLICATE] = "duplicate",
	};

	begin_json("reply");
	print_json_count("seq", reply->payload.number);
	print_json_ns("rtt", reply->rtt_ns);
	print_json_text("kind", kinds[reply->kind]);
	printf(",\"reordered\":%s", reply->is_reordered ? "true" : "false");
	print_json_text("times", reply->is_timed ? "kernel" : "program");
	print_json_ns("sent", reply->sent_ns);
	print_json_ns("received", reply->received_ns);
	if (reply->payload.has_reading) {
		print_json_ns("stamp", reply->payload.reading.at_ns);
		print_json_ns("resolution",
		    reply->payload.reading.resolution_ns);
	}
	if (account->offset.known)
		print_json_offset(&account->offset, &account->offset.now);
	if (ping_report_has_one_way(account, reply)) {
		print_json_ns("there", account->there.last_ns);
		print_json_ns("back", account->back.last_ns);
	}
	puts("}");
}

void
ping_report_reply(const struct ping_account *account,
    const struct ping_reply *reply)
{
	if (account->options->quiet)
		return;
	if (account->options->json)
		print_json_reply(account, reply);
	else
		print_reply(account, reply);
}

void
ping_report_lost(const struct ping_account *account, uint64_t number)
{
	if (account->options->quiet)
		return;
	if (account->options->json)
		printf("{\"type\":\"lost\",\"seq\":%" PRIu64 "}\n", number);
	else
		printf("no reply to seq=%" PRIu64 " within %g s\n", number,
		    S(account->options->wait_ns));
}

void
ping_report_event(const struct ping_account *account, enum ping_event event,
    int64_t ns)
{
	static const char *const names[] = {
		[PING_CLOCK_SET] = "clock_set",
		[PING_SERVER_CLOCK_SET] = "server_clock_set",
		[PING_DRIFT] = "drift",
		[PING_NEW_ZONE] = "new_zone",
	};
	char zone[16];

	if (account->options->quiet)
		return;
	if (account->options->json) {
		begin_json(names[event]);
		print_json_ns("by", ns);
		puts("}");
	} else if (event == PING_CLOCK_SET)
		printf("the clock of this host was set by %+.6f s\n", S(ns));
	else if (event == PING_SERVER_CLOCK_SET)
		printf("the server's clock was set, by %.6f s at least: "
		       "its offset as measured before no longer counts\n",
		    S(ns));
	else if (event == PING_DRIFT)
		printf("the clocks drift more than %d ppm apart, by %.6f s: "
		       "the offset measured before no longer counts\n",
		    OFFSET_DRIFT_PPM, S(ns));
	else
		printf("the zone of the stamps is now taken as %s\n",
		    zone_text(ns, zone));
}

static void
print_way(const char *name, const struct rtt *rtt)
{
	printf("%s min/median/p90/p99/max = %.3f/%.3f/%.3f/%.3f/%.3f ms\n",
	    name, MS(rtt->min_ns), MS(rtt_percentile_ns(rtt, 50)),
	    MS(rtt_percentile_ns(rtt, 90)), MS(rtt_percentile_ns(rtt, 99)),
	    MS(rtt->max_ns));
}

/* Whether --offset is outside what the replies prove. */
static bool
is_offset_wrong(const struct ping_account *account)
{
	return account->options->has_offset && account->offset.known &&
	       !offset_allows(&account->offset, account->options->offset_ns);
}

/* What the offset depends on. */
static void
print_zone(const struct offset *offset)
{
	char zone[16];

	zone_text(offset->zone_ns, zone);
	if (is_doubtful(offset))
		printf(", or that and any multiple of 15 min: its stamps have "
		       "no zone, and %s is only assumed; the "
		       "server's stamp.format = \"epoch-ns\" helps",
		    zone);
	else if (!offset->has_zone)
		printf(", if its stamps are in zone %s, which they do not tell",
		    zone);
}

static void
print_offset(const struct ping_account *account)
{
	const struct offset *offset = &account->offset;
	int64_t middle_ns = offset_middle_ns(&offset->best);

	if (!offset->known) {
		puts("the stamps could not be read: no offset");
		return;
	}
	printf("the server's clock is %.6f s %s, +/- %.6f s",
	    S(llabs(middle_ns)), middle_ns < 0 ? "behind" : "ahead",
	    S(offset_error_ns(&offset->best)));
	print_zone(offset);
	printf("; clocks that drift up to %d ppm apart are allowed for\n",
	    OFFSET_DRIFT_PPM);
	if (is_offset_wrong(account))
		puts("the replies prove that --offset is wrong");
}

static void
print_summary(const struct ping_account *account)
{
	const struct probes *probes = &account->probes;

	printf("--- %s ping statistics ---\n"
	       "%" PRIu64 " sent, %" PRIu64 " received, %" PRIu64 " lost "
	       "(%.4g %%), %" PRIu64 " awaited, %" PRIu64 " late, %" PRIu64
	       " duplicates, %" PRIu64 " out of order, %.3f s\n",
	    account->options->target.text, probes->sent, probes->received,
	    probes->lost, probes_loss_percent(probes), probes_awaited(probes),
	    probes->late, probes->duplicates, probes->reordered,
	    S(account->elapsed_ns));
	if (account->rtt.count == 0)
		return;
	print_way("round trip", &account->rtt);
	printf("jitter %.3f ms (RFC 3550), standard deviation %.3f ms; "
	       "%" PRIu64 " of %" PRIu64 " replies timed by the kernel\n",
	    MS(account->rtt.jitter_ns), MS(rtt_deviation_ns(&account->rtt)),
	    account->timed, account->rtt.count);
	if (account->there.count > 0) {
		print_way("there", &account->there);
		print_way("back", &account->back);
	}
	print_offset(account);
}

static void
print_json_way(const char *name, const struct rtt *rtt)
{
	static const struct {
		const char *name;
		double percent;
	} points[] = { { "median", 50 }, { "p90", 90 }, { "p99", 99 } };
	char field[32];

	snprintf(field, sizeof(field), "%s_min", name);
	print_json_ns(field, rtt->min_ns);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		snprintf(field, sizeof(field), "%s_%s", name, points[i].name);
		print_json_ns(field, rtt_percentile_ns(rtt, points[i].percent));
	}
	snprintf(field, sizeof(field), "%s_max", name);
	print_json_ns(field, rtt->max_ns);
}

static void
print_json_numbers(const struct ping_account *account)
{
	const struct offset *offset = &account->offset;

	if (account->rtt.count > 0) {
		print_json_way("rtt", &account->rtt);
		print_json_ns("rtt_mean", (int64_t)account->rtt.mean_ns);
		print_json_ns("rtt_deviation", rtt_deviation_ns(&account->rtt));
		print_json_ns("jitter", (int64_t)account->rtt.jitter_ns);
	}
	if (account->there.count > 0) {
		print_json_way("there", &account->there);
		print_json_way("back", &account->back);
	}
	if (!offset->known)
		return;
	print_json_offset(offset, &offset->best);
	print_json_ns("offset_at", offset->best.at_ns);
	if (!offset->has_zone)
		print_json_ns("assumed_zone", offset->zone_ns);
	if (is_offset_wrong(account))
		printf(",\"is_given_offset_wrong\":true");
}

static void
print_json_summary(const struct ping_account *account)
{
	const struct probes *probes = &account->probes;

	begin_json("summary");
	print_json_count("sent", probes->sent);
	print_json_count("received", probes->received);
	print_json_count("lost", probes->lost);
	print_json_count("awaited", probes_awaited(probes));
	print_json_count("late", probes->late);
	print_json_count("duplicates", probes->duplicates);
	print_json_count("reordered", probes->reordered);
	print_json_count("timed_by_kernel", account->timed);
	print_json_ns("elapsed", account->elapsed_ns);
	print_json_numbers(account);
	puts("}");
}

void
ping_report_summary(const struct ping_account *account)
{
	if (account->options->json)
		print_json_summary(account);
	else
		print_summary(account);
}

int
ping_report_limits(const struct ping_account *account)
{
	const struct client_options *options = account->options;
	double loss = probes_loss_percent(&account->probes);
	int exceeded = 0;

	if (options->has_max_loss && loss > options->max_loss_percent) {
		fprintf(stderr, "timestampc: %.4g %% lost, more than %.4g %%\n",
		    loss, options->max_loss_percent);
		exceeded++;
	}
	if (options->has_max_rtt && account->rtt.max_ns > options->max_rtt_ns) {
		fprintf(stderr,
		    "timestampc: a round trip took %.3f ms, more "
		    "than %.6g ms\n",
		    MS(account->rtt.max_ns), MS(options->max_rtt_ns));
		exceeded++;
	}
	if (options->has_max_offset &&
	    !(account->offset.known && offset_is_within(&account->offset.best,
					   options->max_offset_ns))) {
		fprintf(stderr,
		    "timestampc: the offset is not shown to be "
		    "within %.6g ms\n",
		    MS(options->max_offset_ns));
		exceeded++;
	}
	return exceeded;
}
