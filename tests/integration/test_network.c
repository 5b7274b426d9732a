#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/scratch.h"
#include "suites.h"

/*
 * Enters a network namespace of its own, with two addresses besides those of
 * loopback.  Returns false if this user may not create one.
 */
static bool
enter_own_network(void)
{
	if (unshare(CLONE_NEWNET) == -1) {
		ck_assert_int_eq(errno, EPERM);
		puts("skipped: this user may not create a network namespace");
		return false;
	}
	ck_assert_int_eq(system("ip link set lo up &&"
				"ip addr add 10.99.0.1/32 dev lo &&"
				"ip addr add 10.99.0.2/32 dev lo"),
	    0);
	return true;
}

static struct sockaddr_in
inet(const char *ip, int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
	};

	ck_assert_int_eq(inet_pton(AF_INET, ip, &address.sin_addr), 1);
	return address;
}

/* Sends one datagram with the source address ip:port. */
static void
send_forged(const char *ip, int port, const char *to_ip, int to_port)
{
	struct sockaddr_in from = inet(ip, 0), to = inet(to_ip, 0);
	uint16_t packet[5] = { htons((uint16_t)port), htons((uint16_t)to_port),
		htons(10), 0, 0x4141 };
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	ck_assert_int_eq(sendto(fd, packet, sizeof(packet), 0,
			     (struct sockaddr *)&to, sizeof(to)),
	    (ssize_t)sizeof(packet));
	close(fd);
}

static void
start_udp(struct daemon *daemon, const char *address)
{
	char spec[64];
	const char *const arguments[] = { "-l", spec, NULL };

	snprintf(spec, sizeof(spec), "udp:%s", address);
	daemon_start(daemon, arguments);
}

/* Asserts that what arrived from the network did not fill the log. */
static void
stop_silent(struct daemon *daemon)
{
	ck_assert_int_le(daemon_log_lines(daemon), 2);
	daemon_stop(daemon);
}

START_TEST(a_loop_between_equal_ports_ends_at_once)
{
	struct daemon a, b;

	if (!enter_own_network())
		return;
	start_udp(&a, "10.99.0.1:21567");
	start_udp(&b, "10.99.0.2:21567");
	send_forged("10.99.0.2", 21567, "10.99.0.1", 21567);
	daemon_await_counter(&a, "dropped_port", 1);
	ck_assert_uint_eq(daemon_counter(&a, "udp_messages_out"), 0);
	ck_assert_uint_eq(daemon_counter(&b, "udp_messages_in"), 0);
	stop_silent(&a);
	stop_silent(&b);
}
END_TEST

static void
start_with_format(struct daemon *daemon, const char *address, int port,
    const char *format)
{
	char text[256];

	snprintf(text, sizeof(text),
	    "stamp: { format = \"%s\"; };\n"
	    "listeners = ( { protocol = \"udp\"; address = \"%s\";\n"
	    "port = %d; } );\n",
	    format, address, port);
	daemon_start_config(daemon, text);
}

/* The formats of both, and who replies how often: the forged datagram is sent
 * to the first. */
static const struct {
	const char *formats[2];
	unsigned long long replies[2];
} pairs[] = {
	{ { "ctime", "ctime" }, { 1, 1 } },
	{ { "rfc3339-ns", "rfc3339-ns" }, { 1, 1 } },
	{ { "epoch-us", "epoch-us" }, { 1, 1 } },
	{ { "ctime", "epoch" }, { 2, 2 } },
};

START_TEST(a_loop_between_unequal_ports_ends_by_its_stamps)
{
	struct daemon a, b;

	if (!enter_own_network())
		return;
	start_with_format(&a, "127.0.0.1", 21567, pairs[_i].formats[0]);
	start_with_format(&b, "127.0.0.2", 21568, pairs[_i].formats[1]);
	send_forged("127.0.0.2", 21568, "127.0.0.1", 21567);
	daemon_await_counter(&a, "dropped_loop", 1);
	/* The server counts a reply a moment after it has sent it. */
	daemon_await_counter(&a, "udp_messages_out", pairs[_i].replies[0]);
	daemon_await_counter(&b, "udp_messages_out", pairs[_i].replies[1]);
	ck_assert_uint_eq(daemon_counter(&a, "udp_messages_out"),
	    pairs[_i].replies[0]);
	ck_assert_uint_eq(daemon_counter(&b, "udp_messages_in"),
	    pairs[_i].replies[1]);
	stop_silent(&a);
	stop_silent(&b);
}
END_TEST

/* Another service on the network, which answers everything. */
struct peer {
	int fd;
	pthread_t thread;
	const char *echo; /* answers with this and what came; NULL: see below */
	int period;       /* so many answers are the same; 0: all are */
};

/* The answer number count to the len bytes at data; returns its length. */
static size_t
peer_compose(const struct peer *peer, int count, char *data, size_t len)
{
	if (peer->echo == NULL)
		return (size_t)sprintf(data, "error %d",
		    peer->period == 0 ? 0 : count / peer->period);
	size_t added = strlen(peer->echo);
	memmove(data + added, data, len);
	memcpy(data, peer->echo, added);
	return added + len;
}

static void *
peer_answer(void *arg)
{
	const struct peer *peer = arg;
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	char data[2048];
	ssize_t len;

	for (int count = 0; (len = recvfrom(peer->fd, data, sizeof(data) - 100,
				 0, (struct sockaddr *)&from, &from_len)) > 0;
	     count++) {
		sendto(peer->fd, data,
		    peer_compose(peer, count, data, (size_t)len), 0,
		    (struct sockaddr *)&from, from_len);
		from_len = sizeof(from);
	}
	return NULL;
}

static void
peer_start(struct peer *peer, const char *ip, int port)
{
	struct sockaddr_in address = inet(ip, port);

	peer->fd = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(peer->fd, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	pthread_create(&peer->thread, NULL, peer_answer, peer);
}

static void
peer_stop(struct peer *peer)
{
	shutdown(peer->fd, SHUT_RD);
	pthread_join(peer->thread, NULL);
	close(peer->fd);
}

/*
 * A forged datagram begins a loop with a peer.  The server answers so many of
 * the loop's datagrams, drops the next for this reason, and that is the last.
 */
static void
expect_loop_to_end(struct peer *peer, const char *reason,
    unsigned long long answered)
{
	struct daemon server;

	peer_start(peer, "127.0.0.2", 5000);
	start_udp(&server, "127.0.0.1:21567");
	send_forged("127.0.0.2", 5000, "127.0.0.1", 21567);
	daemon_await_counter(&server, reason, 1);
	ck_assert_uint_eq(daemon_counter(&server, "udp_messages_out"),
	    answered);
	daemon_await_counter(&server, "udp_messages_in", answered + 1);
	stop_silent(&server);
	peer_stop(peer);
}

START_TEST(a_loop_with_an_echo_ends_by_its_stamps)
{
	struct peer echo = { .echo = "" };

	if (enter_own_network())
		expect_loop_to_end(&echo, "dropped_loop", 2);
}
END_TEST

/* The stamps stand behind a byte: what ends it is that 1400 bytes are full. */
START_TEST(a_loop_with_an_echo_that_adds_ends_by_growth)
{
	struct peer echo = { .echo = ">" };

	if (enter_own_network())
		expect_loop_to_end(&echo, "dropped_oversize",
		    (1400 - 2) / (STAMP_LEN + 1) + 1);
}
END_TEST

/* CVE-2024-2169.  The rate limit spares loopback. */
START_TEST(a_loop_with_a_constant_answerer_ends_by_repeats)
{
	/* The last as if the answer changed each second, at two a second. */
	static const int periods[] = { 0, 50, 2 };
	struct peer constant = { .period = periods[_i] };
	struct daemon server;

	if (!enter_own_network())
		return;
	peer_start(&constant, "127.0.0.2", 5000);
	start_udp(&server, "127.0.0.1:21567");
	send_forged("127.0.0.2", 5000, "127.0.0.1", 21567);
	unsigned long long replies;
	do
		replies = daemon_counter(&server, "udp_messages_out");
	while (replies <= 1000 && daemon_counter(&server, "dropped_loop") == 0);
	replies = daemon_counter(&server, "udp_messages_out");
	ck_assert_uint_le(replies, 1000);
	/* Nothing more is on its way. */
	daemon_await_counter(&server, "udp_messages_in", replies + 1);
	ck_assert_uint_eq(daemon_counter(&server, "udp_messages_out"), replies);
	stop_silent(&server);
	peer_stop(&constant);
}
END_TEST

/* Who numbers its answers can't be told from a client. */
START_TEST(a_loop_with_a_numbering_answerer_ends_by_the_rate)
{
	struct peer numbering = { .period = 1 };
	struct daemon server;

	if (!enter_own_network())
		return;
	peer_start(&numbering, "10.99.0.2", 5000);
	daemon_start_config(&server,
	    "udp: { rate_limit = 1; rate_burst = 500; };\n"
	    "listeners = ( { protocol = \"udp\"; address = \"10.99.0.1\";\n"
	    "port = 21567; } );\n");
	send_forged("10.99.0.2", 5000, "10.99.0.1", 21567);
	daemon_await_counter(&server, "dropped_rate", 1);
	unsigned long long replies = daemon_counter(&server,
	    "udp_messages_out");
	ck_assert_uint_ge(replies, 500);
	ck_assert_uint_lt(replies, 1500);
	ck_assert_uint_eq(daemon_counter(&server, "udp_messages_in"),
	    replies + 1);
	stop_silent(&server);
	peer_stop(&numbering);
}
END_TEST

#define CLIENT_TOTAL 60000
#define CLIENT_WINDOW 50

/* As one that sends 1000 a second for a minute, only faster. */
START_TEST(a_client_that_numbers_its_datagrams_loses_none)
{
	const char *const arguments[] = { "-l", "udp:127.0.0.1:0", NULL };
	struct daemon server;
	char text[32];

	daemon_start(&server, arguments);
	int fd = client_udp(daemon_port(&server, "udp 127.0.0.1"));
	for (int first = 0; first < CLIENT_TOTAL; first += CLIENT_WINDOW) {
		for (int i = first; i < first + CLIENT_WINDOW; i++)
			client_send(fd, text,
			    (size_t)sprintf(text, "datagram %d", i));
		for (int i = first; i < first + CLIENT_WINDOW; i++)
			client_expect_datagram(fd, text,
			    (size_t)sprintf(text, "datagram %d", i));
	}
	ck_assert_uint_eq(daemon_counter(&server, "dropped_loop"), 0);
	close(fd);
	daemon_stop(&server);
}
END_TEST

/* One of 401: the last.  It is not known whether it belongs to a loop. */
START_TEST(a_client_that_repeats_itself_loses_few)
{
	const char *const arguments[] = { "-l", "udp:127.0.0.1:0", NULL };
	struct daemon server;

	daemon_start(&server, arguments);
	int fd = client_udp(daemon_port(&server, "udp 127.0.0.1"));
	for (int i = 0; i < 400; i++) {
		client_send(fd, "hello", 5);
		client_expect_datagram(fd, "hello", 5);
	}
	client_send(fd, "hello", 5);
	daemon_await_counter(&server, "dropped_loop", 1);
	for (int i = 0; i < 399; i++) {
		client_send(fd, "hello", 5);
		client_expect_datagram(fd, "hello", 5);
	}
	ck_assert_uint_eq(daemon_counter(&server, "dropped_loop"), 1);
	close(fd);
	daemon_stop(&server);
}
END_TEST

/* "*" on a host with two addresses: replies come from the requested one. */
START_TEST(two_addresses_answer_for_themselves)
{
	static const char *const ips[] = { "10.99.0.1", "10.99.0.2" };
	struct daemon server;

	if (!enter_own_network())
		return;
	start_udp(&server, "0.0.0.0:21567");
	for (int i = 0; i < 4; i++) {
		struct sockaddr_in to = inet(ips[i % 2], 21567);
		int fd = socket(AF_INET, SOCK_DGRAM, 0);
		ck_assert_int_eq(connect(fd, (struct sockaddr *)&to,
				     sizeof(to)),
		    0);
		client_send(fd, "hello", 5);
		client_expect_datagram(fd, "hello", 5);
		close(fd);
	}
	daemon_stop(&server);
}
END_TEST

static void
allow_any_source(const char *family)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/sys/net/%s/ip_nonlocal_bind",
	    family);
	FILE *file = fopen(path, "w");
	if (file == NULL)
		return;
	fputs("1", file);
	fclose(file);
}

static void
send_ipv4(const char *ip)
{
	struct sockaddr_in to = inet(ip, 21567), by = inet("127.0.0.1", 0);
	int on = 1, fd = socket(AF_INET, SOCK_DGRAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &by.sin_addr,
	    sizeof(by.sin_addr));
	ck_assert_int_eq(sendto(fd, "x", 1, 0, (struct sockaddr *)&to,
			     sizeof(to)),
	    1);
	close(fd);
}

/*
 * The device's other end hears no IPv6, or it would come there a second time.
 * The end that sends comes up last: it finds a carrier, or the kernel would make
 * it ready some time later and until then drop what it sends.  Returns false if
 * no device can be made.
 */
static bool
send_to_all_nodes(void)
{
	struct sockaddr_in6 to = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(21567),
	};

	if (system("ip link add many type veth peer name other &&"
		   "echo 1 >/proc/sys/net/ipv6/conf/other/disable_ipv6 &&"
		   "ip link set other up && ip link set many up &&"
		   "ip addr add fe80::9/64 dev many nodad") != 0) {
		puts("skipped: no device can be made for IPv6 multicast");
		return false;
	}
	to.sin6_scope_id = if_nametoindex("many");
	inet_pton(AF_INET6, "ff02::1", &to.sin6_addr);
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	ck_assert_int_eq(sendto(fd, "x", 1, 0, (struct sockaddr *)&to,
			     sizeof(to)),
	    1);
	close(fd);
	return true;
}

/* ip_nonlocal_bind allows replies from addresses that the host lacks. */
START_TEST(multicast_and_broadcast_are_not_answered)
{
	static const char *const addresses[] = { "0.0.0.0:21567", "21567" };
	/* A socket of both families does not get IPv4 multicast. */
	unsigned long long dropped = _i == 0 ? 2 : 1;
	struct daemon server;

	if (!enter_own_network())
		return;
	allow_any_source("ipv4");
	allow_any_source("ipv6");
	start_udp(&server, addresses[_i]);
	send_ipv4("127.255.255.255");
	send_ipv4("224.0.0.1");
	if (_i == 1 && send_to_all_nodes())
		dropped++;
	daemon_await_counter(&server, "dropped_port", dropped);
	ck_assert_uint_eq(daemon_counter(&server, "udp_messages_out"), 0);
	send_ipv4("127.3.4.5");
	send_ipv4("10.99.0.2");
	daemon_await_counter(&server, "udp_messages_out", 2);
	daemon_stop(&server);
}
END_TEST

/* Emulates a kernel without IPv6 for this process and its children. */
static void
forbid_ipv6(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, args)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {
		.len = sizeof(code) / sizeof(code[0]),
		.filter = code,
	};

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter),
	    0);
}

START_TEST(a_host_without_ipv6_is_served)
{
	const char *const arguments[] = { "-l", "tcp:0", "-l", "udp:0", NULL };
	struct daemon server;

	forbid_ipv6();
	daemon_start(&server, arguments);
	int fd = client_tcp(daemon_port(&server, "tcp 0.0.0.0"));
	client_talk(fd, "hello");
	close(fd);
	fd = client_udp(daemon_port(&server, "udp 0.0.0.0"));
	client_send(fd, "hello", 5);
	client_expect_datagram(fd, "hello", 5);
	close(fd);
	daemon_stop(&server);
}
END_TEST

/*
 * Makes path hold text for this test and its daemons.  Returns false if this
 * user may not mount.
 */
static bool
cover_file(const char *name, const char *path, const char *text)
{
	scratch_write(name, text);
	if (unshare(CLONE_NEWNS) == 0 &&
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount(name, path, NULL, MS_BIND, NULL) == 0)
		return true;
	printf("skipped: %s can't be covered: %s\n", path, strerror(errno));
	return false;
}

/* Answers all questions so far with "no such name". */
static void
answer_questions(int name_server)
{
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	unsigned char packet[512];
	ssize_t len;

	while ((len = recvfrom(name_server, packet, sizeof(packet),
		    MSG_DONTWAIT, (struct sockaddr *)&from, &from_len)) > 3) {
		packet[2] = 0x81;
		packet[3] = 0x83;
		sendto(name_server, packet, (size_t)len, 0,
		    (struct sockaddr *)&from, from_len);
		from_len = sizeof(from);
	}
}

/* The resolver waits longer than the server's time limit for a look-up. */
START_TEST(a_mute_name_server_fails_a_reload_only)
{
	struct sockaddr_in address = inet("127.0.0.1", 53);
	struct daemon server;

	if (!enter_own_network() ||
	    !cover_file("hosts", "/etc/nsswitch.conf", "hosts: dns\n") ||
	    !cover_file("servers", "/etc/resolv.conf",
		"nameserver 127.0.0.1\noptions timeout:30 attempts:1\n"))
		return;
	int mute = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(mute, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	daemon_start_config(&server,
	    "listeners = ( { protocol = \"tcp\"; port = 0; } );\n");
	int port = daemon_port(&server, "tcp *");
	long threads = daemon_status(&server, "Threads:");
	daemon_reload(&server,
	    "listeners = (\n"
	    "{ protocol = \"tcp\"; address = \"a.example\"; },\n"
	    "{ protocol = \"udp\"; address = \"b.example\"; } );\n",
	    "conf:2: tcp a.example: name resolution took too long");
	daemon_await(&server,
	    "conf:3: udp b.example: name resolution took too long");
	daemon_await(&server, "reload refused");
	int fd = client_tcp(port);
	client_talk(fd, "hello");
	close(fd);
	/* With these answers the look-ups that still wait end. */
	do
		answer_questions(mute);
	while (daemon_status(&server, "Threads:") != threads);
	close(mute);
	daemon_stop(&server);
}
END_TEST

/* Answers a question: the name is 127.0.0.1, and has no IPv6 address. */
static void
answer_with_loopback(int name_server)
{
	static const unsigned char answer[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0,
		9, 0, 4, 127, 0, 0, 1 };
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	unsigned char packet[512 + sizeof(answer)];
	ssize_t len = recvfrom(name_server, packet, 512, 0,
	    (struct sockaddr *)&from, &from_len);

	ck_assert_int_gt(len, 16);
	packet[2] = 0x81;
	packet[3] = 0x80;
	/* The type is 4 bytes from the end: A or AAAA. */
	packet[7] = packet[len - 3] == 1;
	memcpy(packet + len, answer, sizeof(answer));
	len += packet[7] == 1 ? (ssize_t)sizeof(answer) : 0;
	sendto(name_server, packet, (size_t)len, 0, (struct sockaddr *)&from,
	    from_len);
}

/* Whether the server has a thread that answers HTTP; none may be of root's. */
static bool
has_http_thread(const struct daemon *server)
{
	char path[300], name[32];
	struct dirent *entry;
	bool is_found = false;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)server->pid);
	DIR *threads = opendir(path);
	ck_assert_ptr_nonnull(threads);
	while ((entry = readdir(threads)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/comm",
		    (int)server->pid, entry->d_name);
		FILE *file = fopen(path, "r");
		if (file != NULL && fgets(name, sizeof(name), file) != NULL)
			is_found |= strncmp(name, "MHD", 3) == 0;
		if (file != NULL)
			fclose(file);
	}
	closedir(threads);
	return is_found;
}

static int
listen_at_loopback(int port)
{
	struct sockaddr_in address = inet("127.0.0.1", port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)),
	    0);
	ck_assert_int_eq(listen(fd, 10), 0);
	return fd;
}

#define HTTP_PORT 7021
static const struct {
	const char *user, *http;
	bool is_passed, is_served; /* while a name server is asked */
} starts[] = {
	{ "nobody", "http: { port = 7021; };\n", false, false },
	{ "nobody", "", true, false },
	{ "", "http: { port = 7021; };\n", false, true },
	{ "", "", true, true },
};

/* A client of HTTP waits until the server has become its user. */
START_TEST(health_at_a_start)
{
	static const char *const arguments[] = { "-c", "conf", NULL };
	static const char request[] = "GET /ready HTTP/1.1\r\nHost: a\r\n\r\n";
	struct sockaddr_in address = inet("127.0.0.1", 53);
	struct daemon server;
	char config[256], answer[512] = "";

	if (daemon_is_wrapped() || !enter_own_network() ||
	    !cover_file("hosts", "/etc/nsswitch.conf",
		"passwd: files\ngroup: files\nhosts: dns\n") ||
	    !cover_file("servers", "/etc/resolv.conf",
		"nameserver 127.0.0.1\noptions timeout:30 attempts:1\n"))
		return;
	int name_server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(name_server, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	snprintf(config, sizeof(config),
	    "user = \"%s\"; %slisteners = ( { protocol = \"tcp\"; "
	    "address = \"a.example\"; port = 0; } );\n",
	    starts[_i].user, starts[_i].http);
	scratch_write("conf", config);
	if (starts[_i].is_passed) {
		char *names[] = { strdup("http") };
		daemon_pass(&(int){ listen_at_loopback(HTTP_PORT) }, names, 1);
	}
	daemon_spawn(&server, arguments);
	struct pollfd question = { .fd = name_server, .events = POLLIN };
	ck_assert_int_eq(poll(&question, 1, -1), 1);
	if (!starts[_i].is_served)
		ck_assert(!has_http_thread(&server));
	int client = client_tcp(HTTP_PORT);
	client_send(client, request, strlen(request));
	if (starts[_i].is_served)
		client_read_end(client, answer, sizeof(answer) - 1);
	answer_with_loopback(name_server);
	answer_with_loopback(name_server);
	daemon_await(&server, "ready: ");
	if (starts[_i].is_served)
		ck_assert_msg(strstr(answer, " 503 ") != NULL &&
				  strstr(answer, "\nstarting\n") != NULL,
		    "%s", answer);
	else
		client_read_end(client, answer, sizeof(answer) - 1);
	ck_assert_int_eq(strncmp(answer, "HTTP/1.1 ", 9), 0);
	ck_assert(has_http_thread(&server));
	close(client);
	close(name_server);
	daemon_stop(&server);
}
END_TEST

Suite *
network_suite(void)
{
	Suite *suite = suite_create("network");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, a_loop_between_equal_ports_ends_at_once);
	tcase_add_loop_test(tests,
	    a_loop_between_unequal_ports_ends_by_its_stamps, 0,
	    sizeof(pairs) / sizeof(pairs[0]));
	tcase_add_test(tests, a_loop_with_an_echo_ends_by_its_stamps);
	tcase_add_test(tests, a_loop_with_an_echo_that_adds_ends_by_growth);
	tcase_add_loop_test(tests,
	    a_loop_with_a_constant_answerer_ends_by_repeats, 0, 3);
	tcase_add_test(tests,
	    a_loop_with_a_numbering_answerer_ends_by_the_rate);
	tcase_add_test(tests, a_client_that_numbers_its_datagrams_loses_none);
	tcase_add_test(tests, a_client_that_repeats_itself_loses_few);
	tcase_add_test(tests, two_addresses_answer_for_themselves);
	tcase_add_loop_test(tests, multicast_and_broadcast_are_not_answered, 0,
	    2);
	tcase_add_test(tests, a_host_without_ipv6_is_served);
	tcase_add_test(tests, a_mute_name_server_fails_a_reload_only);
	tcase_add_loop_test(tests, health_at_a_start, 0,
	    sizeof(starts) / sizeof(starts[0]));
	suite_add_tcase(suite, tests);
	return suite;
}
