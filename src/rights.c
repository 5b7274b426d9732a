#include "rights.h"

#include <string.h>
#include <unistd.h>

void
rights_close(const struct cmsghdr *control)
{
	size_t len = control->cmsg_len - CMSG_LEN(0);
	int fd;

	if (control->cmsg_level != SOL_SOCKET ||
	    control->cmsg_type != SCM_RIGHTS)
		return;
	for (size_t at = 0; at + sizeof(fd) <= len; at += sizeof(fd)) {
		memcpy(&fd, CMSG_DATA(control) + at, sizeof(fd));
		close(fd);
	}
}
