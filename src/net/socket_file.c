#include "net/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int
open_folder(const char *path, const char *name)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int len = (int)(name - path);

	snprintf(folder, sizeof(folder), "%.*s", len, path);
	return open(len == 0 ? "." : folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int
socket_file_open(struct socket_file *file, const char *path)
{
	const char *slash = strrchr(path, '/');

	file->name = slash == NULL ? path : slash + 1;
	file->folder_fd = open_folder(path, file->name);
	if (file->folder_fd == -1)
		return -1;
	file->fd = openat(file->folder_fd, file->name,
	    O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (file->fd != -1 && fstat(file->fd, &file->status) == 0)
		return 0;
	int problem = errno;
	socket_file_close(file);
	errno = problem;
	return -1;
}

void
socket_file_close(struct socket_file *file)
{
	if (file->fd != -1)
		close(file->fd);
	close(file->folder_fd);
}

struct sockaddr_any
socket_file_address(const struct socket_file *file)
{
	struct sockaddr_any address = { .len = sizeof(address.un) };

	address.un.sun_family = AF_UNIX;
	snprintf(address.un.sun_path, sizeof(address.un.sun_path),
	    "/proc/self/fd/%d", file->fd);
	return address;
}

static bool
has_one_name(const struct socket_file *file)
{
	if (file->status.st_nlink == 1)
		return true;
	errno = ESTALE;
	return false;
}

int
socket_file_set_mode(const struct socket_file *file, mode_t mode)
{
	struct sockaddr_any address = socket_file_address(file);

	return has_one_name(file) ? chmod(address.un.sun_path, mode) : -1;
}

int
socket_file_set_owner(const struct socket_file *file, uid_t user, gid_t group)
{
	if (!has_one_name(file))
		return -1;
	return fchownat(file->fd, "", user, group, AT_EMPTY_PATH);
}

int
socket_file_remove(const struct socket_file *file)
{
	return unlinkat(file->folder_fd, file->name, 0);
}
