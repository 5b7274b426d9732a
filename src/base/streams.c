#include "base/streams.h"

#include <fcntl.h>
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
