#include "harness/fuse.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REQUEST_MAX 65536
#define NODE 2
#define FOREVER_S 3600

static int device_fd, silence_fd;
static pthread_t answering;
static struct fuse_times times;
static struct {
	char name[256]; /* "": not made yet */
	uint32_t mode, user;
} node;

static void
answer(uint64_t request, int problem, const void *data, size_t len)
{
	struct fuse_out_header header = {
		.len = (uint32_t)(sizeof(header) + len),
		.error = -problem,
		.unique = request,
	};
	struct iovec pieces[] = { { &header, sizeof(header) },
		{ (void *)data, len } };

	/* The asker may have gone. */
	(void)!writev(device_fd, pieces, len > 0 ? 2 : 1);
}

static struct fuse_attr
attributes(uint64_t id)
{
	if (id == FUSE_ROOT_ID)
		return (struct fuse_attr){ .ino = id,
			.mode = S_IFDIR | 0777,
			.nlink = 2 };
	return (struct fuse_attr){ .ino = id,
		.mode = node.mode,
		.uid = node.user,
		.nlink = 1 };
}

static void
answer_attributes(uint64_t request, uint64_t id)
{
	bool is_valid = id == FUSE_ROOT_ID ? times.folder_is_valid
	                                   : times.node_is_valid;
	struct fuse_attr_out out = {
		.attr_valid = is_valid ? FOREVER_S : 0,
		.attr = attributes(id),
	};

	answer(request, 0, &out, sizeof(out));
}

static void
answer_node(uint64_t request)
{
	struct fuse_entry_out out = {
		.nodeid = NODE,
		.entry_valid = times.name_is_valid ? FOREVER_S : 0,
		.attr_valid = times.node_is_valid ? FOREVER_S : 0,
		.attr = attributes(NODE),
	};

	answer(request, 0, &out, sizeof(out));
}

static void
make_node(const struct fuse_in_header *header, const char *arguments)
{
	struct fuse_mknod_in in;

	memcpy(&in, arguments, sizeof(in));
	ck_assert_uint_lt(strlen(arguments + sizeof(in)), sizeof(node.name));
	strcpy(node.name, arguments + sizeof(in));
	node.mode = in.mode;
	node.user = header->uid;
	answer_node(header->unique);
}

static void
handle(const struct fuse_in_header *header, const char *arguments)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = 31,
		.max_write = 4096,
	};

	switch (header->opcode) {
	case FUSE_INIT:
		answer(header->unique, 0, &init, sizeof(init));
		break;
	case FUSE_GETATTR:
		answer_attributes(header->unique, header->nodeid);
		break;
	case FUSE_MKNOD:
		make_node(header, arguments);
		break;
	case FUSE_LOOKUP:
		if (strcmp(arguments, node.name) == 0)
			answer_node(header->unique);
		else
			answer(header->unique, ENOENT, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer(header->unique, ENOSYS, NULL, 0);
	}
}

static void *
answer_all(void *unused)
{
	static char request[REQUEST_MAX];
	struct pollfd fds[] = { { silence_fd, POLLIN, 0 },
		{ device_fd, POLLIN, 0 } };
	struct fuse_in_header header;

	while (poll(fds, 2, -1) > 0 && fds[0].revents == 0) {
		ssize_t n = read(device_fd, request, sizeof(request));
		if (n < (ssize_t)sizeof(header))
			continue;
		memcpy(&header, request, sizeof(header));
		handle(&header, request + sizeof(header));
	}
	return unused;
}

bool
fuse_mount(const char *path, const struct fuse_times *wanted)
{
	char options[128];

	times = *wanted;
	device_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (device_fd == -1 || unshare(CLONE_NEWNS) == -1 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		return false;
	snprintf(options, sizeof(options),
	    "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other%s",
	    device_fd, times.checks_permissions ? ",default_permissions" : "");
	if (mount("silent", path, "fuse", MS_NOSUID | MS_NODEV, options) == -1)
		return false;
	silence_fd = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_ne(silence_fd, -1);
	ck_assert_int_eq(pthread_create(&answering, NULL, answer_all, NULL), 0);
	return true;
}

void
fuse_silence(void)
{
	ck_assert_int_eq(eventfd_write(silence_fd, 1), 0);
	ck_assert_int_eq(pthread_join(answering, NULL), 0);
}

void
fuse_unmount(const char *path)
{
	close(device_fd);
	close(silence_fd);
	ck_assert_int_eq(umount2(path, MNT_DETACH), 0);
}
