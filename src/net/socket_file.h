#ifndef NET_SOCKET_FILE_H
#define NET_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "net/sockaddr.h"

/*
 * The file at the path of a Unix listener, held open: whoever owns its folder
 * may put another file or a link in its place at any moment.  A function works
 * on the held file, or on the folder in which it was found.  The main thread.
 */
struct socket_file {
	int folder_fd, fd;
	const char *name; /* in the folder; of the path that was opened */
	struct stat status;
};

/* Opens the file at path, a link itself.  -1 with errno; nothing to close. */
int socket_file_open(struct socket_file *file, const char *path);
void socket_file_close(struct socket_file *file);

/* An address that leads to exactly this file until it is closed. */
struct sockaddr_any socket_file_address(const struct socket_file *file);

/* -1 with errno.  ESTALE: the file has another name too, so it may be what
 * somebody else made elsewhere. */
int socket_file_set_mode(const struct socket_file *file, mode_t mode);
int socket_file_set_owner(const struct socket_file *file, uid_t user,
    gid_t group);

/* Removes what has its name in its folder now. */
int socket_file_remove(const struct socket_file *file);

#endif
