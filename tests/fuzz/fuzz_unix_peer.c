/*
 * The names of Unix datagram clients: hostile ones, files that change in
 * between, and users who are not the owner.  Each call holds exactly the socket
 * that lstat(2) shows at the path, if it is of that user, or nothing.
 *
 * The input is a script: an action, for a name also its owner and its parts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datagram/unix_peer.h"
#include "fuzz.h"

#define OTHER_USER 12345
#define OVERFLOW_USER 65534
#define PATH_BEGIN offsetof(struct sockaddr_un, sun_path)
#define ACTIONS_MAX 200
#define SOCKETS 3
#define FILES 10
#define FOLDER "/tmp/fuzz-XXXXXX"

static struct {
	char folder[sizeof(FOLDER)];
	char path[FILES][64];
	struct unix_peer peer;
	/* What is held last: the same name and user get it again. */
	bool is_held;
	struct sockaddr_any name;
	uid_t owner;
	struct stat held;
} world;

/* In the folder; the first ones are sockets. */
static const char *const files[FILES] = { "own", "other", "folder/own", "file",
	"fifo", "link", "dangling", "round", "folder", "way" };

static void
ensure(int condition)
{
	if (!condition)
		abort();
}

static void
make_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	strcpy(address.sun_path, path);
	ensure(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	close(fd);
}

static void
clean(void)
{
	for (int i = 0; i < FILES; i++)
		remove(world.path[i]);
	rmdir(world.folder);
}

static void
make_folder(void)
{
	strcpy(world.folder, FOLDER);
	ensure(mkdtemp(world.folder) != NULL);
	for (int i = 0; i < FILES; i++)
		snprintf(world.path[i], sizeof(world.path[i]), "%s/%s",
		    world.folder, files[i]);
	atexit(clean);
	ensure(mknod(world.path[3], S_IFREG | 0600, 0) == 0);
	ensure(mkfifo(world.path[4], 0600) == 0);
	ensure(symlink("nothing", world.path[6]) == 0);
	ensure(symlink("round", world.path[7]) == 0);
	ensure(mkdir(world.path[8], 0700) == 0);
	ensure(symlink("folder", world.path[9]) == 0);
}

/* These are made anew for each input, since actions change them. */
static void
make_sockets(void)
{
	if (world.folder[0] == '\0')
		make_folder();
	for (int i = 0; i < SOCKETS; i++) {
		unlink(world.path[i]);
		make_socket(world.path[i]);
	}
	unlink(world.path[5]);
	ensure(symlink("own", world.path[5]) == 0);
	/* Only root can: otherwise they are just other sockets. */
	ensure(lchown(world.path[1], OTHER_USER, OTHER_USER) == 0 ||
	       errno == EPERM);
	ensure(lchown(world.path[2], OVERFLOW_USER, OVERFLOW_USER) == 0 ||
	       errno == EPERM);
}

/* Puts parts into name: files, slashes and dots, or single bytes. */
static size_t
compose(char *name, size_t room, const uint8_t *parts, size_t count)
{
	static const char *const tokens[] = { "/", "..", ".", "//", "/way/",
		"/folder/", world.folder };
	size_t used = 0, token_count = sizeof(tokens) / sizeof(tokens[0]);

	for (size_t i = 0; i < count; i++) {
		char byte[2] = { (char)parts[i], '\0' };
		const char *part = byte;
		size_t which = parts[i] - 1U;
		if (which < token_count)
			part = tokens[which];
		else if (which - token_count < FILES)
			part = files[which - token_count];
		size_t len = part == byte ? 1 : strlen(part);
		if (len > room - used)
			break;
		memcpy(name + used, part, len);
		used += len;
	}
	return used;
}

/* Whether path is owner's socket: the slow version. */
static bool
is_good(const char *path, uid_t owner, struct stat *status)
{
	return path[0] == '/' && owner != OVERFLOW_USER &&
	       lstat(path, status) == 0 && S_ISSOCK(status->st_mode) &&
	       status->st_uid == owner;
}

static void
ensure_held(const struct sockaddr_any *source)
{
	struct stat status;
	int fd;

	ensure(sscanf(source->un.sun_path, "/proc/self/fd/%d", &fd) == 1);
	ensure(source->len == PATH_BEGIN + strlen(source->un.sun_path) + 1);
	ensure((fcntl(fd, F_GETFL) & O_PATH) != 0);
	ensure((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	ensure(fstat(fd, &status) == 0);
	ensure(status.st_dev == world.held.st_dev &&
	       status.st_ino == world.held.st_ino);
}

static void
hold(struct sockaddr_any source, uid_t owner)
{
	const struct sockaddr_any name = source;
	char path[sizeof(source.un.sun_path) + 1] = "";
	struct stat status;

	memcpy(path, source.un.sun_path, source.len - PATH_BEGIN);
	bool again = world.is_held && world.owner == owner &&
	             sockaddr_equal(&world.name, &source);
	bool good = again || is_good(path, owner, &status);
	size_t count = world.peer.count;
	int rc = unix_peer_hold(&world.peer, &source, owner);
	if (path[0] == '\0' || rc == -1) {
		ensure(sockaddr_equal(&source, &name));
		ensure(world.peer.count == count);
		ensure(path[0] == '\0' ? rc == 0 : !good);
		return;
	}
	ensure(good && world.peer.count == count + !again);
	if (!again)
		world.held = status;
	world.is_held = true;
	world.name = name;
	world.owner = owner;
	ensure_held(&source);
}

static void
release(void)
{
	unix_peer_release(&world.peer);
	ensure(world.peer.count == 0);
	world.is_held = false;
}

/* Returns how many bytes of the script it took. */
static size_t
act(const uint8_t *script, size_t left)
{
	uid_t owners[] = { geteuid(), OTHER_USER, OVERFLOW_USER, 0 };
	struct sockaddr_any source = { .un.sun_family = AF_UNIX };
	const char *path = world.path[script[1] % SOCKETS];
	size_t count = left - 2 < script[1] % 16U ? left - 2 : script[1] % 16U;

	switch (script[0] % 8) {
	case 0:
		release();
		return 2;
	case 1:
		ensure(
		    rename(path, world.path[(script[1] + 1) % SOCKETS]) == 0 ||
		    errno == ENOENT);
		return 2;
	case 2:
		unlink(path);
		ensure(symlink("other", path) == 0);
		return 2;
	default:
		source.len = (socklen_t)(PATH_BEGIN +
					 compose(source.un.sun_path,
					     sizeof(source.un.sun_path),
					     script + 2, count));
		/* The server drops datagrams without a name before. */
		if (source.len > PATH_BEGIN)
			hold(source, owners[script[0] >> 6]);
		return 2 + count;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int actions = 0, free_fd = dup(STDIN_FILENO);

	close(free_fd);
	make_sockets();
	for (size_t at = 0; at + 2 <= size && actions < ACTIONS_MAX;
	     actions++) {
		if (world.peer.count == UNIX_PEER_MAX)
			release();
		at += act(data + at, size - at);
	}
	release();
	int fd = dup(STDIN_FILENO);
	ensure(fd == free_fd);
	close(fd);
	return 0;
}
