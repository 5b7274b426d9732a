#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/config.h"
#include "harness/client.h"
#include "http/http.h"
#include "unit/suites.h"

static const char request[] = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";

static struct http http;
static struct listener_set set;
static int epoll_fd;

static void
set_up(void)
{
	http = (struct http){ 0 };
	set = (struct listener_set){ .user = { .is_settled = true } };
	TAILQ_INIT(&set.listeners);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ck_assert_int_ne(epoll_fd, -1);
	http_init(&http);
	http_watch(&http, epoll_fd);
}

static void
tear_down(void)
{
	ck_assert(http_close(&http));
	close(epoll_fd);
}

static int
prepare(const char *address, int port)
{
	struct config config = { .http = { .protocol = PROTOCOL_TCP,
				     .port = port,
				     .backlog = 100,
				     .threads = 1,
				     .where = "test" } };

	strcpy(config.http.address, address);
	return http_prepare(&http, &config, &set, stderr);
}

static int
port_of(const struct http_site *site)
{
	return sockaddr_port(&site->listener->bound);
}

/* How many places the clients of a daemon have. */
static int
count_clients(const struct MHD_Daemon *daemon)
{
	struct crowd *crowd = &http.crowd;
	int count = 0;

	pthread_mutex_lock(&crowd->lock);
	for (int i = 0; i < CROWD_DAEMONS * CROWD_MAX; i++)
		count += crowd->clients[i].fd != -1 &&
		         crowd->clients[i].daemon == daemon;
	pthread_mutex_unlock(&crowd->lock);
	return count;
}

static void
await_clients(const struct MHD_Daemon *daemon, int count)
{
	while (count_clients(daemon) != count)
		sched_yield();
}

static void
connect_all(int *fds, int count, int port)
{
	for (int i = 0; i < count; i++)
		fds[i] = client_tcp(port);
}

static void
close_all(const int *fds, int count)
{
	for (int i = 0; i < count; i++)
		close(fds[i]);
}

#define SOME (CROWD_MAX - 1)

/* Two daemons serve during a reload: each client has a place, and a limit. */
START_TEST(clients_of_both_sites_have_places)
{
	int old[SOME], new[SOME];

	ck_assert_int_eq(prepare("127.0.0.1", 0), 0);
	http_replace(&http);
	connect_all(old, SOME, port_of(&http.site));
	await_clients(http.site.daemon, SOME);
	ck_assert_int_eq(prepare("127.0.0.2", 0), 0);
	for (int i = 0; i < SOME; i++)
		new[i] = client_tcp_to("127.0.0.2", port_of(&http.next));
	await_clients(http.next.daemon, SOME);
	http_replace(&http);
	await_clients(http.site.daemon, SOME);
	http_note_beat(&http, true, UINT64_MAX);
	await_clients(http.site.daemon, 0);
	close_all(old, SOME);
	close_all(new, SOME);
}
END_TEST

START_TEST(the_oldest_gives_its_place)
{
	int fds[2 * CROWD_MAX];
	char byte;

	ck_assert_int_eq(prepare("127.0.0.1", 0), 0);
	http_replace(&http);
	for (int i = 0; i < 2 * CROWD_MAX; i++) {
		fds[i] = client_tcp(port_of(&http.site));
		await_clients(http.site.daemon,
		    i < SOME ? i + 1 : CROWD_MAX - 1);
		if (i >= SOME)
			ck_assert_int_eq(recv(fds[i - SOME], &byte, 1, 0), 0);
	}
	close_all(fds, 2 * CROWD_MAX);
}
END_TEST

/* How often figures have been asked for, once or more. */
static unsigned long long
count_asks(void)
{
	struct pollfd ask = { .fd = http.ask_fd, .events = POLLIN };
	eventfd_t asks;

	ck_assert_int_eq(poll(&ask, 1, -1), 1);
	ck_assert_int_eq(eventfd_read(http.ask_fd, &asks), 0);
	return asks;
}

/*
 * The main thread has none while it ends the other: then nobody awaits them.  On
 * a busy machine the client may give up before the end begins.
 */
START_TEST(nobody_awaits_figures_that_cannot_come)
{
	do {
		http.busy_ms = 0;
		ck_assert_int_eq(prepare("127.0.0.1", 0), 0);
		int fd = client_tcp(port_of(&http.next));
		client_send(fd, request, strlen(request));
		count_asks();
		http_undo(&http);
		close(fd);
	} while (http.busy_ms != 0);
}
END_TEST

/* What others ask must not wait for many that each wait for the main thread. */
START_TEST(one_finds_out_that_there_are_no_figures)
{
	int fds[SOME];
	char answer[1024];
	struct epoll_event event;

	ck_assert_int_eq(prepare("127.0.0.1", 0), 0);
	connect_all(fds, SOME, port_of(&http.next));
	await_clients(http.next.daemon, SOME);
	for (int i = 0; i < SOME; i++)
		client_send(fds[i], request, strlen(request));
	for (int i = 0; i < SOME; i++)
		client_read_end(fds[i], answer, sizeof(answer));
	ck_assert_uint_lt(count_asks(), SOME);
	/* Once there are figures the next one asks again. */
	struct metrics *metrics = aligned_alloc(_Alignof(struct metrics),
	    sizeof(*metrics));
	memset(metrics, 0, sizeof(*metrics));
	metrics->references = 1;
	http_tell(&http, metrics);
	int fd = client_tcp(port_of(&http.next));
	client_send(fd, request, strlen(request));
	ck_assert_int_eq(epoll_wait(epoll_fd, &event, 1, -1), 1);
	close(fd);
	close_all(fds, SOME);
}
END_TEST

/* A first try that failed leaves nothing: the next one is asked for figures. */
START_TEST(it_can_be_tried_again)
{
	struct epoll_event event;

	http_watch(&http, -1);
	ck_assert_int_eq(prepare("127.0.0.1", 0), -1);
	http_watch(&http, epoll_fd);
	ck_assert_int_eq(prepare("127.0.0.1", 0), 0);
	int fd = client_tcp(port_of(&http.next));
	client_send(fd, request, strlen(request));
	ck_assert_int_eq(epoll_wait(epoll_fd, &event, 1, 10000), 1);
	ck_assert_ptr_eq(event.data.ptr, &http);
	close(fd);
}
END_TEST

static sem_t may_stop;

static void
stop_when_it_may(struct MHD_Daemon *daemon)
{
	(void)daemon;
	sem_wait(&may_stop);
}

START_TEST(an_end_that_hangs_is_not_awaited)
{
	sem_init(&may_stop, 0, 0);
	struct ender *ender = ender_start(stop_when_it_may, NULL);
	ck_assert_ptr_nonnull(ender);
	ck_assert(!ender_await(ender, 0));
	sem_post(&may_stop);
	ck_assert(ender_await(ender, UINT64_MAX / 2));
	sem_destroy(&may_stop);
}
END_TEST

/* From loopback to all addresses and back, with the same port. */
START_TEST(the_address_changes_at_the_same_port)
{
	static const char *const addresses[] = { "0.0.0.0", "127.0.0.1",
		"127.0.0.2", "*", "127.0.0.1" };

	ck_assert_int_eq(prepare("127.0.0.1", 0), 0);
	http_replace(&http);
	int port = port_of(&http.site);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		ck_assert_int_eq(prepare(addresses[i], port), 0);
		http_replace(&http);
		int fd = client_tcp_to(i == 2 ? "127.0.0.2" : "127.0.0.1",
		    port);
		await_clients(http.site.daemon, 1);
		close(fd);
	}
}
END_TEST

Suite *
http_suite(void)
{
	Suite *suite = suite_create("http");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, clients_of_both_sites_have_places);
	tcase_add_test(tests, the_oldest_gives_its_place);
	tcase_add_test(tests, nobody_awaits_figures_that_cannot_come);
	tcase_add_test(tests, one_finds_out_that_there_are_no_figures);
	tcase_add_test(tests, it_can_be_tried_again);
	tcase_add_test(tests, an_end_that_hangs_is_not_awaited);
	tcase_add_test(tests, the_address_changes_at_the_same_port);
	suite_add_tcase(suite, tests);
	return suite;
}
