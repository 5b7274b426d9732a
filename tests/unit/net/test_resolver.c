#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "net/resolver.h"
#include "unit/suites.h"

START_TEST(a_number_takes_no_time)
{
	static const struct {
		const char *host;
		int family;
		uint64_t deadline_ms;
	} cases[] = {
		{ "127.0.0.1", AF_INET, 0 },
		{ "::1", AF_INET6, 0 },
		{ "127.0.0.1", AF_INET, UINT64_MAX },
	};
	struct addrinfo *found = NULL;

	ck_assert_int_eq(resolver_find(cases[_i].host, 7, SOCK_STREAM,
			     cases[_i].deadline_ms, &found),
	    0);
	ck_assert_int_eq(found->ai_family, cases[_i].family);
	ck_assert_int_eq(found->ai_socktype, SOCK_STREAM);
	ck_assert_ptr_null(found->ai_next);
	/* Both families have it in the same place. */
	struct sockaddr_in *address = (struct sockaddr_in *)found->ai_addr;
	ck_assert_uint_eq(ntohs(address->sin_port), 7);
	freeaddrinfo(found);
}
END_TEST

START_TEST(a_name_is_found)
{
	struct addrinfo *found = NULL;

	ck_assert_int_eq(resolver_find("localhost", 7, SOCK_DGRAM, UINT64_MAX,
			     &found),
	    0);
	ck_assert_int_eq(found->ai_socktype, SOCK_DGRAM);
	freeaddrinfo(found);
}
END_TEST

START_TEST(a_name_after_the_deadline_is_not)
{
	struct addrinfo *found = NULL;

	ck_assert_int_eq(resolver_find("localhost", 7, SOCK_STREAM, 0, &found),
	    EAI_SYSTEM);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_ptr_null(found);
}
END_TEST

Suite *
resolver_suite(void)
{
	Suite *suite = suite_create("resolver");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, a_number_takes_no_time, 0, 3);
	tcase_add_test(tests, a_name_is_found);
	tcase_add_test(tests, a_name_after_the_deadline_is_not);
	suite_add_tcase(suite, tests);
	return suite;
}
