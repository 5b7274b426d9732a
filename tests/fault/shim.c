/*
 * Preloaded into the server: makes allocations fail, sends and receives short,
 * and close(2) return an error, as the test driver says in the file
 * FAULT_CONTROL, which both map.  Without that file it changes nothing.
 */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* glibc's own names for its allocator. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static struct shim_control nothing;
static struct shim_control *control = &nothing;

/*
 * Where libconfig's code is: version 1.5 does not check what malloc returns, and
 * its caller can't do anything about it.
 */
static uintptr_t careless_begin, careless_end;

static int
find_careless(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size, (void)context;
	if (strstr(info->dlpi_name, "libconfig.so") == NULL)
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		if (header->p_type == PT_LOAD && (header->p_flags & PF_X)) {
			careless_begin = info->dlpi_addr + header->p_vaddr;
			careless_end = careless_begin + header->p_memsz;
		}
	}
	return 1;
}

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("FAULT_CONTROL");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd == -1)
		return;
	dl_iterate_phdr(find_careless, NULL);
	void *shared = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	if (shared != MAP_FAILED)
		control = shared;
	syscall(SYS_close, fd);
}

/* Whether this allocation of caller must fail. */
static bool
fails(const void *caller)
{
	uintptr_t at = (uintptr_t)caller;

	if (at >= careless_begin && at < careless_end)
		return false;
	if (atomic_fetch_add(&control->allocations, 1) + 1 != control->fail_at)
		return false;
	control->failed++;
	errno = ENOMEM;
	return true;
}

#define CALLER __builtin_extract_return_addr(__builtin_return_address(0))

void *
malloc(size_t size)
{
	return fails(CALLER) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t nmemb, size_t size)
{
	return fails(CALLER) ? NULL : __libc_calloc(nmemb, size);
}

void *
realloc(void *ptr, size_t size)
{
	return fails(CALLER) ? NULL : __libc_realloc(ptr, size);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
	return fails(CALLER) ? NULL : __libc_memalign(alignment, size);
}

int
posix_memalign(void **memptr, size_t alignment, size_t size)
{
	if (fails(CALLER))
		return ENOMEM;
	*memptr = __libc_memalign(alignment, size);
	return *memptr == NULL ? ENOMEM : 0;
}

static char *
copy_for(const char *text, const void *caller)
{
	size_t size = strlen(text) + 1;
	char *copy = fails(caller) ? NULL : __libc_malloc(size);

	return copy == NULL ? NULL : memcpy(copy, text, size);
}

/* With libc's strdup the caller of malloc would be libc, not libconfig. */
char *
strdup(const char *s)
{
	return copy_for(s, CALLER);
}

/* Objects built with an older C library call strdup by this name. */
char *__strdup(const char *s);

char *
__strdup(const char *s)
{
	return copy_for(s, CALLER);
}

/*
 * Returns -1 with errno if this call is interrupted or finds nothing to do;
 * 0 if it does as little as it can.
 */
static int
meddle(void)
{
	static _Thread_local unsigned calls;

	control->meddled++;
	switch (calls++ % 4) {
	case 1:
		errno = EINTR;
		return -1;
	case 3:
		errno = EAGAIN;
		return -1;
	default:
		return 0;
	}
}

/* The kernel does not cut records and datagrams. */
static bool
may_be_cut(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_STREAM;
}

ssize_t
send(int fd, const void *buf, size_t n, int flags)
{
	if (control->meddling && meddle() == -1)
		return -1;
	if (control->meddling && n > 1 && may_be_cut(fd))
		n = 1;
	return syscall(SYS_sendto, fd, buf, n, flags, NULL, 0);
}

ssize_t
recv(int fd, void *buf, size_t n, int flags)
{
	if (control->meddling && meddle() == -1)
		return -1;
	if (control->meddling && n > 1 && may_be_cut(fd))
		n = 1;
	return syscall(SYS_recvfrom, fd, buf, n, flags, NULL, NULL);
}

/* If the compiler knows the size of the buffer, recv becomes this function. */
ssize_t __recv_chk(int fd, void *data, size_t len, size_t room, int flags);

ssize_t
__recv_chk(int fd, void *data, size_t len, size_t room, int flags)
{
	if (len > room)
		abort();
	return recv(fd, data, len, flags);
}

ssize_t
recvmsg(int fd, struct msghdr *message, int flags)
{
	if (control->meddling && meddle() == -1)
		return -1;
	return syscall(SYS_recvmsg, fd, message, flags);
}

int
recvmmsg(int fd, struct mmsghdr *vmessages, unsigned vlen, int flags,
    struct timespec *tmo)
{
	if (control->meddling && meddle() == -1)
		return -1;
	return (int)syscall(SYS_recvmmsg, fd, vmessages,
	    control->meddling ? 1 : vlen, flags, tmo);
}

/* No EAGAIN: the server rightly drops a reply for which there is no room. */
int
sendmmsg(int fd, struct mmsghdr *vmessages, unsigned vlen, int flags)
{
	if (control->meddling && meddle() == -1 && errno == EINTR)
		return -1;
	return (int)syscall(SYS_sendmmsg, fd, vmessages,
	    control->meddling ? 1 : vlen, flags);
}

/* Linux frees the descriptor also if close(2) returns an error. */
int
close(int fd)
{
	int rc = (int)syscall(SYS_close, fd);

	if (rc == 0 && control->close_errno != 0) {
		control->meddled++;
		errno = control->close_errno;
		return -1;
	}
	return rc;
}
