#include "systemd/fdstore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define SYNC_US 5000000

struct fdstore_fd *
fdstore_receive(size_t *count)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);

	if (n < 0) {
		errno = -n;
		return NULL;
	}
	*count = 0;
	struct fdstore_fd *fds = calloc((size_t)n + 1, sizeof(*fds));
	for (int i = 0; i < n; i++) {
		if (fds == NULL) {
			free(names[i]);
			continue;
		}
		fds[i].fd = SD_LISTEN_FDS_START + i;
		fds[i].name = names[i];
		++*count;
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
fdstore_size(void)
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

	/* Without a look at its state, by which the manager may drop it. */
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
