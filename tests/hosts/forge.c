/*
 * forge [-l LEN] [-p EVERY] [-v VICTIM -m RUN -o RUN] TOTAL RATE FIRST COUNT
 *     TARGET PORT
 *
 * Sends TOTAL UDP datagrams, RATE a second (0: as fast as it can), each in the
 * name of the next of COUNT IPv4 addresses from FIRST on.  With -v a run of -m
 * datagrams in the name of VICTIM and one of -o of the others alternate.
 * Prints a dot after EVERY datagrams (default: never), and at the end the number
 * sent and the microseconds that it took.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define LEN_MAX 1400
#define SOURCE_PORT 40000

struct packet {
	struct iphdr ip;
	struct udphdr udp;
	char data[LEN_MAX];
};

struct plan {
	unsigned long total, rate, count, len, every, victim_run, others_run;
	uint32_t first, victim; /* host byte order */
	struct sockaddr_in target;
};

static unsigned long
number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0')
		errx(2, "%s: not a number", text);
	return value;
}

static uint32_t
address(const char *text)
{
	struct in_addr ip;

	if (inet_pton(AF_INET, text, &ip) != 1)
		errx(2, "%s: not an IPv4 address", text);
	return ntohl(ip.s_addr);
}

static void
read_plan(struct plan *plan, int argc, char **argv)
{
	int c;

	*plan = (struct plan){ .len = 1, .others_run = 1 };
	while ((c = getopt(argc, argv, "l:p:v:m:o:")) != -1)
		switch (c) {
		case 'l':
			plan->len = number(optarg);
			break;
		case 'p':
			plan->every = number(optarg);
			break;
		case 'v':
			plan->victim = address(optarg);
			break;
		case 'm':
			plan->victim_run = number(optarg);
			break;
		case 'o':
			plan->others_run = number(optarg);
			break;
		default:
			exit(2);
		}
	if (argc - optind != 6 || plan->len > LEN_MAX)
		errx(2, "see the beginning of forge.c");
	argv += optind;
	plan->total = number(argv[0]);
	plan->rate = number(argv[1]);
	plan->first = address(argv[2]);
	plan->count = number(argv[3]);
	plan->target.sin_family = AF_INET;
	plan->target.sin_addr.s_addr = htonl(address(argv[4]));
	plan->target.sin_port = htons((uint16_t)number(argv[5]));
}

/* The source of datagram number at. */
static uint32_t
source(const struct plan *plan, unsigned long at)
{
	unsigned long cycle = plan->victim_run + plan->others_run;

	if (at % cycle < plan->victim_run)
		return plan->victim;
	return plan->first + (uint32_t)(at % plan->count);
}

static void
write_packet(const struct plan *plan, unsigned long at, struct packet *packet)
{
	/* The kernel computes lengths and the checksum of the IP header. */
	packet->ip = (struct iphdr){
		.version = 4,
		.ihl = sizeof(packet->ip) / 4,
		.ttl = 64,
		.protocol = IPPROTO_UDP,
		.saddr = htonl(source(plan, at)),
		.daddr = plan->target.sin_addr.s_addr,
	};
	packet->udp = (struct udphdr){
		.source = htons(SOURCE_PORT),
		.dest = plan->target.sin_port,
		.len = htons((uint16_t)(sizeof(packet->udp) + plan->len)),
	};
	memset(packet->data, 'x', plan->len);
}

static unsigned long
elapsed_us(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned long)((now.tv_sec - start->tv_sec) * 1000000 +
			       (now.tv_nsec - start->tv_nsec) / 1000);
}

/* Waits for the moment at which sent datagrams are due. */
static void
keep_pace(const struct plan *plan, unsigned long sent,
    const struct timespec *start)
{
	if (plan->rate == 0)
		return;
	unsigned long due_us = sent * 1000000 / plan->rate;
	struct timespec due = {
		.tv_sec = start->tv_sec + (long)(due_us / 1000000),
		.tv_nsec = start->tv_nsec + (long)(due_us % 1000000) * 1000,
	};
	if (due.tv_nsec >= 1000000000) {
		due.tv_sec++;
		due.tv_nsec -= 1000000000;
	}
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static unsigned long
send_batch(int fd, const struct plan *plan, unsigned long sent,
    unsigned long count)
{
	static struct packet packets[BATCH];
	static struct mmsghdr rows[BATCH];
	static struct iovec pieces[BATCH];

	for (unsigned long i = 0; i < count; i++) {
		write_packet(plan, sent + i, &packets[i]);
		pieces[i] = (struct iovec){ &packets[i],
			sizeof(packets[i].ip) + sizeof(packets[i].udp) +
			    plan->len };
		rows[i].msg_hdr = (struct msghdr){
			.msg_name = (void *)&plan->target,
			.msg_namelen = sizeof(plan->target),
			.msg_iov = &pieces[i],
			.msg_iovlen = 1,
		};
	}
	int n = sendmmsg(fd, rows, (unsigned)count, 0);
	if (n == -1 && errno != ENOBUFS)
		err(1, "sendmmsg");
	return n == -1 ? 0 : (unsigned long)n;
}

int
main(int argc, char **argv)
{
	struct plan plan;
	struct timespec start;
	unsigned long sent = 0;

	read_plan(&plan, argc, argv);
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (fd == -1)
		err(1, "socket");
	setvbuf(stdout, NULL, _IONBF, 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (sent < plan.total) {
		unsigned long batch = plan.rate / 1000, before = sent;
		if (plan.rate == 0 || batch > BATCH)
			batch = BATCH;
		if (batch == 0)
			batch = 1;
		if (batch > plan.total - sent)
			batch = plan.total - sent;
		sent += send_batch(fd, &plan, sent, batch);
		if (plan.every != 0 && sent / plan.every != before / plan.every)
			putchar('.');
		keep_pace(&plan, sent, &start);
	}
	printf("\n%lu %lu\n", sent, elapsed_us(&start));
	return 0;
}
