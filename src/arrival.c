#include "arrival.h"

#include <string.h>

int
arrival_set(int fd, bool on)
{
	int value = on;

	return setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &value,
	    sizeof(value));
}

bool
arrival_read(const struct cmsghdr *control, struct timespec *arrived)
{
	if (control->cmsg_level != SOL_SOCKET ||
	    control->cmsg_type != SO_TIMESTAMPNS)
		return false;
	memcpy(arrived, CMSG_DATA(control), sizeof(*arrived));
	return true;
}
