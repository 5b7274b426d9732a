#include "unit/listen/fixture.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

char error[LISTENER_ERROR_MAX];

struct listener_config
configured(enum protocol protocol, const char *address, int port)
{
	struct listener_config config = {
		.protocol = protocol,
		.address = "*",
		.port = port,
		.backlog = 5,
		.receive_buffer = 81920,
		.mode = 0640,
		.max_datagram = 1400,
		.threads = 1,
		.where = "file:3",
	};

	if (protocol_is_unix(protocol))
		snprintf(config.path, sizeof(config.path), "%s", address);
	else
		snprintf(config.address, sizeof(config.address), "%s", address);
	return config;
}

struct listener *
resolve_one(enum protocol protocol, const char *address, int port)
{
	struct listener_config config = configured(protocol, address, port);
	struct listener_list list = TAILQ_HEAD_INITIALIZER(list);

	ck_assert_msg(listener_resolve(&config, &list, NO_DEADLINE, error) == 0,
	    "%s", error);
	struct listener *listener = TAILQ_FIRST(&list);
	ck_assert_ptr_null(TAILQ_NEXT(listener, link));
	return listener;
}

struct listener *
open_one(enum protocol protocol, const char *address, int port)
{
	struct listener *listener = resolve_one(protocol, address, port);

	ck_assert_msg(listener_open(listener, NULL, error) == 0, "%s", error);
	return listener;
}

int
connect_to(const struct listener *listener)
{
	int fd = socket(listener->bound.any.sa_family,
	    SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (connect(fd, &listener->bound.any, listener->bound.len) == 0 ||
	    errno == EINPROGRESS)
		return fd;
	close(fd);
	return -1;
}
