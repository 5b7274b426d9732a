#include "systemd/fdstore.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define SYNC_US 5000000
#define PROBES_MAX 64

struct fdstore_fd *
fdstore_receive(size_t *count)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);

	if (n < 0) {
		errno = -n;
		return NULL;
	}
	struct fdstore_fd *fds = calloc((size_t)n + 1, sizeof(*fds));
	*count = fds == NULL ? 0 : (size_t)n;
	for (int i = 0; i < n; i++) {
		if (fds == NULL)
			free(names[i]);
		else
			fds[i] = (struct fdstore_fd){ SD_LISTEN_FDS_START + i,
				names[i] };
	}
	free(names);
	return fds;
}

void
fdstore_free(struct fdstore_fd *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (fds[i].fd != -1)
			close(fds[i].fd);
		free(fds[i].name);
	}
	free(fds);
}

size_t
fdstore_capacity(void)
{
	const char *text = getenv("FDSTORE");

	if (text == NULL || getenv("NOTIFY_SOCKET") == NULL)
		return 0;
	return strtoul(text, NULL, 10);
}

int
fdstore_put(const char *name, int fd)
{
	char message[320];

	/* FDPOLL=0: the manager must not drop a socket that has hung up. */
	snprintf(message, sizeof(message), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s",
	    name);
	int rc = sd_pid_notify_with_fds(0, 0, message, &fd, 1);
	if (rc > 0)
		return 0;
	errno = rc < 0 ? -rc : ENOTCONN;
	return -1;
}

void
fdstore_remove(const char *name)
{
	sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

int
fdstore_sync(void)
{
	return sd_notify_barrier(0, SYNC_US) < 0 ? -1 : 0;
}

int
fdstore_put_pair(const char *name)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		0, ends) == -1)
		return -1;
	int rc = fdstore_put(name, ends[1]);
	int saved_errno = errno;
	close(ends[1]);
	if (rc == 0)
		return ends[0];
	close(ends[0]);
	errno = saved_errno;
	return -1;
}

/*
 * A probe that stays in the store, because this process was killed, is read as
 * a set of no connections.
 */
bool
fdstore_has_room(size_t count)
{
	struct pollfd probes[PROBES_MAX] = { 0 };

	if (count > PROBES_MAX)
		count = PROBES_MAX;
	for (size_t i = 0; i < count; i++)
		probes[i].fd = fdstore_put_pair(FDSTORE_CONNECTIONS);
	bool has_room = fdstore_sync() == -1 || poll(probes, count, 0) <= 0;
	fdstore_remove(FDSTORE_CONNECTIONS);
	for (size_t i = 0; i < count; i++)
		if (probes[i].fd != -1)
			close(probes[i].fd);
	return has_room;
}
