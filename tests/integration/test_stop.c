#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/scratch.h"
#include "suites.h"

#define CONNECTIONS 200
#define MESSAGES 1000
#define MESSAGE_LEN 16

#define CONFIG(framing)                                                        \
	"limits: { drain_timeout = 60; };\n"                                   \
	"listeners = ( { protocol = \"tcp\"; port = 0; framing = \"" framing   \
	"\"; } );\n"

/* Two threads are a client that sends all it has while it reads. */
struct talk {
	int fd;
	pthread_t sender, reader;
	size_t reply_len;
	char *reply;
};

static _Atomic int sent_all;

static void *
send_messages(void *arg)
{
	struct talk *talk = arg;
	char message[MESSAGE_LEN + 1];

	for (int i = 0; i < MESSAGES; i++) {
		snprintf(message, sizeof(message), "message %07d\n", i);
		client_send(talk->fd, message, MESSAGE_LEN);
	}
	shutdown(talk->fd, SHUT_WR);
	sent_all++;
	return NULL;
}

static void *
read_replies(void *arg)
{
	struct talk *talk = arg;
	size_t room = (size_t)MESSAGES * (MESSAGE_LEN + STAMP_LEN);

	talk->reply = malloc(room + 1);
	talk->reply_len = 0;
	while (talk->reply_len <= room) {
		ssize_t n = recv(talk->fd, talk->reply + talk->reply_len,
		    room + 1 - talk->reply_len, 0);
		if (n <= 0)
			break;
		talk->reply_len += (size_t)n;
	}
	return NULL;
}

/*
 * The bytes that were sent, in order, with stamps where the framing wants; all
 * of them, or those up to the end of the replies.
 */
static void
check_replies(const struct talk *talk, bool lines, bool all)
{
	char message[MESSAGE_LEN + 1];
	const char *at = talk->reply, *end = at + talk->reply_len;
	int stamps = 0;

	for (size_t i = 0; i < (size_t)MESSAGES * MESSAGE_LEN; i++) {
		size_t column = i % MESSAGE_LEN;
		if (at == end && !all)
			return;
		if (column == 0)
			snprintf(message, sizeof(message), "message %07zu\n",
			    i / MESSAGE_LEN);
		if (at < end && *at == '[') {
			ck_assert_mem_eq(at + STAMP_LEN - 2, "] ", 2);
			at += STAMP_LEN;
			stamps++;
		}
		ck_assert_msg(at < end && *at == message[column],
		    "byte %zu is not what was sent", i);
		at++;
	}
	ck_assert_ptr_eq(at, end);
	ck_assert_int_ge(stamps, 1);
	if (lines)
		ck_assert_int_eq(stamps, MESSAGES);
}

static void
start_talks(struct talk *talks, int port)
{
	for (int i = 0; i < CONNECTIONS; i++) {
		talks[i].fd = client_tcp(port);
		pthread_create(&talks[i].reader, NULL, read_replies, &talks[i]);
		pthread_create(&talks[i].sender, NULL, send_messages,
		    &talks[i]);
	}
}

/*
 * Reloads come while all talk; the stop comes when all has been sent, though
 * not yet answered.
 */
START_TEST(nothing_is_lost)
{
	static struct talk talks[CONNECTIONS];
	struct daemon server;
	const char *config = _i == 0 ? CONFIG("chunk") : CONFIG("line");

	daemon_start_config(&server, config);
	start_talks(talks, daemon_port(&server, "tcp *"));
	for (int i = 0; i < 10; i++)
		daemon_reload(&server, config, "reloaded");
	for (int i = 0; i < CONNECTIONS; i++)
		pthread_join(talks[i].sender, NULL);
	daemon_signal(&server, SIGTERM);
	for (int i = 0; i < CONNECTIONS; i++) {
		pthread_join(talks[i].reader, NULL);
		check_replies(&talks[i], _i == 1, true);
		free(talks[i].reply);
		close(talks[i].fd);
	}
	daemon_finish(&server);
}
END_TEST

static void *
send_until_cut(void *arg)
{
	struct talk *talk = arg;
	char message[MESSAGE_LEN + 1];

	for (int i = 0; i < MESSAGES; i++) {
		snprintf(message, sizeof(message), "message %07d\n", i);
		if (send(talk->fd, message, MESSAGE_LEN, MSG_NOSIGNAL) == -1)
			break;
	}
	shutdown(talk->fd, SHUT_WR);
	return NULL;
}

/*
 * Stopped in the middle: who pauses for too long is cut off, and who does not
 * is answered to the end; what is answered is right up to the last byte.
 */
START_TEST(a_stop_answers_who_still_sends)
{
	static struct talk talks[CONNECTIONS];
	struct daemon server;

	daemon_start_config(&server, CONFIG("line"));
	int port = daemon_port(&server, "tcp *");
	for (int i = 0; i < CONNECTIONS; i++) {
		talks[i].fd = client_tcp(port);
		pthread_create(&talks[i].reader, NULL, read_replies, &talks[i]);
		pthread_create(&talks[i].sender, NULL, send_until_cut,
		    &talks[i]);
	}
	daemon_signal(&server, SIGTERM);
	for (int i = 0; i < CONNECTIONS; i++) {
		pthread_join(talks[i].sender, NULL);
		pthread_join(talks[i].reader, NULL);
		check_replies(&talks[i], true, false);
		free(talks[i].reply);
		close(talks[i].fd);
	}
	daemon_finish(&server);
}
END_TEST

/* Clients that the kernel has accepted, but the stopped server not yet. */
START_TEST(a_stop_takes_in_who_is_in_the_backlog)
{
	struct daemon server;
	int fds[50];

	daemon_start_config(&server, CONFIG("chunk"));
	int port = daemon_port(&server, "tcp *");
	daemon_pause(&server);
	for (int i = 0; i < 50; i++) {
		fds[i] = client_tcp(port);
		client_send(fds[i], "hello", 5);
	}
	daemon_signal(&server, SIGTERM);
	daemon_signal(&server, SIGCONT);
	for (int i = 0; i < 50; i++) {
		client_expect(fds[i], "hello", 5);
		client_expect_end(fds[i]);
		close(fds[i]);
	}
	daemon_finish(&server);
}
END_TEST

START_TEST(datagrams_that_have_arrived_are_answered)
{
	const char *const arguments[] = { "-l", "udp:127.0.0.1:0", NULL };
	struct daemon server;

	daemon_start(&server, arguments);
	int fd = client_udp(daemon_port(&server, "udp 127.0.0.1"));
	daemon_pause(&server);
	for (int i = 0; i < 100; i++)
		client_send(fd, "hello", 5);
	daemon_signal(&server, SIGTERM);
	daemon_signal(&server, SIGCONT);
	for (int i = 0; i < 100; i++)
		client_expect_datagram(fd, "hello", 5);
	close(fd);
	daemon_finish(&server);
}
END_TEST

/* Quiet clients are told by the end of the stream, not by a reset. */
START_TEST(quiet_clients_see_an_orderly_end)
{
	struct daemon server;
	int fds[20];

	daemon_start_config(&server, CONFIG("chunk"));
	int port = daemon_port(&server, "tcp *");
	for (int i = 0; i < 20; i++) {
		fds[i] = client_tcp(port);
		client_talk(fds[i], "hello");
	}
	daemon_signal(&server, SIGTERM);
	for (int i = 0; i < 20; i++)
		client_expect_end(fds[i]);
	daemon_finish_saying(&server, "closed_stop=20");
	for (int i = 0; i < 20; i++)
		close(fds[i]);
}
END_TEST

static void
fill(int fd)
{
	static char piece[1 << 16];
	struct pollfd room = { .fd = fd, .events = POLLOUT };

	while (poll(&room, 1, 200) == 1)
		if (send(fd, piece, sizeof(piece),
			MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
			break;
}

START_TEST(drain_timeout_bounds_the_stop)
{
	struct daemon server;

	daemon_start_config(&server,
	    "limits: { drain_timeout = 1; };\n"
	    "listeners = ( { protocol = \"tcp\"; port = 0; } );\n");
	int fd = client_tcp(daemon_port(&server, "tcp *"));
	fill(fd);
	daemon_signal(&server, SIGTERM);
	daemon_finish_saying(&server, "drain_timeout is over");
	close(fd);
}
END_TEST

START_TEST(a_second_signal_ends_it_at_once)
{
	struct daemon server;

	daemon_start_config(&server,
	    "limits: { drain_timeout = 3600; send_timeout = 3600; };\n"
	    "listeners = ( { protocol = \"tcp\"; port = 0; } );\n");
	int fd = client_tcp(daemon_port(&server, "tcp *"));
	fill(fd);
	if (_i == 0) {
		daemon_signal(&server, SIGTERM);
		daemon_await(&server, "stopping");
		daemon_signal(&server, SIGINT);
	} else {
		/* Both at the same moment. */
		daemon_pause(&server);
		daemon_signal(&server, SIGTERM);
		daemon_signal(&server, SIGINT);
		daemon_signal(&server, SIGCONT);
	}
	daemon_finish(&server);
	close(fd);
}
END_TEST

Suite *
stop_suite(void)
{
	Suite *suite = suite_create("stop");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 300);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_loop_test(tests, nothing_is_lost, 0, 2);
	tcase_add_test(tests, a_stop_answers_who_still_sends);
	tcase_add_test(tests, a_stop_takes_in_who_is_in_the_backlog);
	tcase_add_test(tests, datagrams_that_have_arrived_are_answered);
	tcase_add_test(tests, quiet_clients_see_an_orderly_end);
	tcase_add_test(tests, drain_timeout_bounds_the_stop);
	tcase_add_loop_test(tests, a_second_signal_ends_it_at_once, 0, 2);
	suite_add_tcase(suite, tests);
	return suite;
}
