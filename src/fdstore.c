#include "fdstore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define BATCH 250 /* the kernel takes no more than 253 at once, SCM_MAX_FD */
#define SYNC_US 5000000

/*
 * All names together must fit in one variable of the environment, which is
 * limited to 128 KiB: twenty thousand of ".conn:" do.
 */
#define SIZE_MAX_KEPT 20000

struct fdstore_fd *
fdstore_receive(size_t *count)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);

	if (n < 0) {
		errno = -n;
		return NULL;
	}
	*count = (size_t)n;
	struct fdstore_fd *fds = calloc(*count + 1, sizeof(*fds));
	for (size_t i = 0; i < *count; i++) {
		if (fds == NULL) {
			free(names[i]);
			continue;
		}
		fds[i].fd = SD_LISTEN_FDS_START + (int)i;
		fds[i].name = names[i];
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

bool
fdstore_is_connection(const struct fdstore_fd *fd)
{
	return strcmp(fd->name, FDSTORE_CONN) == 0 ||
	       strcmp(fd->name, FDSTORE_STATE) == 0;
}

size_t
fdstore_size(void)
{
	const char *text = getenv("FDSTORE");

	if (text == NULL || getenv("NOTIFY_SOCKET") == NULL)
		return 0;
	unsigned long size = strtoul(text, NULL, 10);
	return size < SIZE_MAX_KEPT ? size : SIZE_MAX_KEPT;
}

size_t
fdstore_put(const char *name, const int *fds, size_t count)
{
	char message[300];
	size_t sent = 0;

	snprintf(message, sizeof(message), "FDSTORE=1\nFDNAME=%s", name);
	while (sent < count) {
		size_t n = count - sent < BATCH ? count - sent : BATCH;
		int rc = sd_pid_notify_with_fds(0, 0, message, fds + sent,
		    (unsigned)n);
		if (rc <= 0) {
			errno = rc < 0 ? -rc : ENOTCONN;
			break;
		}
		sent += n;
	}
	return sent;
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
