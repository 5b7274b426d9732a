#include "base/streams.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int
streams_open(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1 &&
		    open("/dev/null",
			fd == STDOUT_FILENO ? O_RDONLY : O_RDWR) == -1)
			return -1;
	return 0;
}

int
streams_open_again(int fd)
{
	struct stat status;
	char path[32];

	if (fstat(fd, &status) == -1 ||
	    !(S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) ||
	    (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}
