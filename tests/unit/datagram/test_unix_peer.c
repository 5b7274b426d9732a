#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datagram/unix_peer.h"
#include "harness/scratch.h"
#include "unit/suites.h"

static struct unix_peer peer;

static void
start(void)
{
	scratch_enter();
	unix_peer_init(&peer);
}

static void
stop(void)
{
	unix_peer_end(&peer);
	scratch_leave();
}

/* The name of a new client in the scratch folder. */
static struct sockaddr_any
client_at(const char *name)
{
	struct sockaddr_any address = { .un.sun_family = AF_UNIX };
	char folder[64];
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	int len = snprintf(address.un.sun_path, sizeof(address.un.sun_path),
	    "%s/%s", folder, name);
	address.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				  (size_t)len + 1);
	ck_assert_int_eq(bind(fd, &address.any, address.len), 0);
	close(fd);
	return address;
}

START_TEST(datagrams_of_one_client_share_a_descriptor)
{
	struct sockaddr_any one = client_at("one"), other = client_at("other");
	struct sockaddr_any first = one, second = one;

	ck_assert_int_eq(unix_peer_hold(&peer, &first, geteuid()), 0);
	ck_assert_int_eq(unix_peer_hold(&peer, &second, geteuid()), 0);
	ck_assert_uint_eq(peer.count, 1);
	ck_assert_str_eq(first.un.sun_path, second.un.sun_path);
	ck_assert_int_eq(unix_peer_hold(&peer, &other, geteuid()), 0);
	ck_assert_uint_eq(peer.count, 2);
	ck_assert_str_ne(first.un.sun_path, other.un.sun_path);
	unix_peer_release(&peer);
	ck_assert_uint_eq(peer.count, 0);
}
END_TEST

Suite *
unix_peer_suite(void)
{
	Suite *suite = suite_create("unix_peer");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, start, stop);
	tcase_add_test(tests, datagrams_of_one_client_share_a_descriptor);
	suite_add_tcase(suite, tests);
	return suite;
}
