/*
 * Runs instead of the server, as root but with every other restriction of the
 * unit, and prints each forbidden action that succeeds.  It prints the last line
 * only if it can't execute another program.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int count;

static void
expect_failure(bool failed, const char *what)
{
	if (failed)
		return;
	printf("allowed: %s\n", what);
	count++;
}

static bool
writes(const char *path)
{
	return open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) != -1;
}

static bool
has_family(int family, int type)
{
	return socket(family, type | SOCK_CLOEXEC, 0) != -1;
}

static void
try_files(void)
{
	expect_failure(!writes("/etc/probe"), "a file in /etc");
	expect_failure(!writes("/usr/probe"), "a file in /usr");
	expect_failure(!writes("/var/probe"), "a file in /var");
	expect_failure(!writes("/proc/sys/kernel/hostname"), "a sysctl");
	expect_failure(open("/root/.profile", O_RDONLY | O_CLOEXEC) == -1,
	    "reading in /root");
	expect_failure(mkdir("/probe", 0700) == -1, "a folder in /");
}

/* A protocol of the kernel that is neither TCP nor UDP. */
static bool
binds_udplite(void)
{
	struct sockaddr_in loopback = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDPLITE);

	return bind(fd, (struct sockaddr *)&loopback, sizeof(loopback)) == 0;
}

static void
try_sockets(bool sealed)
{
	expect_failure(!has_family(AF_NETLINK, SOCK_RAW), "AF_NETLINK");
	expect_failure(!has_family(AF_PACKET, SOCK_RAW), "AF_PACKET");
	expect_failure(!has_family(AF_VSOCK, SOCK_STREAM), "AF_VSOCK");
	expect_failure(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP) ==
			   -1,
	    "a raw socket");
	if (!sealed)
		return;
	expect_failure(!has_family(AF_INET, SOCK_STREAM), "AF_INET");
	expect_failure(!has_family(AF_INET6, SOCK_DGRAM), "AF_INET6");
}

static void
try_calls(void)
{
	expect_failure(mmap(NULL, 4096, PROT_WRITE | PROT_EXEC,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED,
	    "memory to write and execute");
	expect_failure(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1, "ptrace");
	expect_failure(mount("none", "/mnt", "tmpfs", 0, NULL) == -1, "mount");
	expect_failure(unshare(CLONE_NEWUSER) == -1, "unshare");
	expect_failure(setuid(65534) == -1, "setuid");
	expect_failure(chroot("/") == -1, "chroot");
	expect_failure(setpriority(PRIO_PROCESS, 0, -5) == -1, "priority");
}

int
main(int argc, char **argv)
{
	try_files();
	try_sockets(argc > 1 && strcmp(argv[1], "sealed") == 0);
	try_calls();
	/* Not every systemd can forbid it. */
	if (argc > 2)
		expect_failure(!binds_udplite(), "a bind of UDP-Lite");
	fflush(stdout);
	execl("/bin/true", "true", (char *)NULL);
	printf("probe: %d allowed\n", count);
	return count;
}
