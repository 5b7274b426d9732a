#include "inet.h"

#include <arpa/inet.h>
#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sockaddr_any
inet_address(const char *ip, int port)
{
	struct sockaddr_any address = { 0 };

	if (strchr(ip, ':') != NULL) {
		address.len = sizeof(address.in6);
		address.in6.sin6_family = AF_INET6;
		address.in6.sin6_port = htons((uint16_t)port);
		ck_assert_int_eq(inet_pton(AF_INET6, ip,
				     &address.in6.sin6_addr),
		    1);
	} else {
		address.len = sizeof(address.in);
		address.in.sin_family = AF_INET;
		address.in.sin_port = htons((uint16_t)port);
		ck_assert_int_eq(inet_pton(AF_INET, ip, &address.in.sin_addr),
		    1);
	}
	return address;
}

int
inet_server(int type, int *port)
{
	struct sockaddr_any address = inet_address("127.0.0.1", 0);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, &address.any, address.len), 0);
	if (type == SOCK_STREAM)
		ck_assert_int_eq(listen(fd, 10), 0);
	ck_assert_int_eq(getsockname(fd, &address.any, &address.len), 0);
	*port = ntohs(address.in.sin_port);
	return fd;
}

bool
inet_enter_network(void)
{
	if (unshare(CLONE_NEWNET) == 0 && system("ip link set lo up") == 0)
		return true;
	puts("skipped: no network namespace can be made");
	return false;
}
