"""The errors with which each system call may fail, and their effect.

Each call has a dictionary: its errnos from section 2 (and 7) of the manual, by
the counter that each failure increments while the server serves clients;
NOTHING: no counter changes and no client notices it.  For starts, reloads and
stops other rules hold; see test_syscalls.py.

The keys of read and write say what the descriptor is.
"""

NOTHING = ""

SOCKET = "EBADF EFAULT EINVAL ENOTSOCK ENOMEM ENOBUFS"
NETWORK = "ENETDOWN ENETUNREACH EHOSTUNREACH ECONNREFUSED"
FILES = "EACCES ELOOP ENAMETOOLONG ENOENT ENOTDIR ENOMEM"
OPEN = FILES + (
    " EFAULT EINTR EINVAL EIO EMFILE ENFILE ENODEV ENXIO EOVERFLOW EPERM"
    " ETXTBSY EAGAIN")
RECEIVE = SOCKET + " " + NETWORK + " ECONNRESET ENOTCONN ETIMEDOUT"
SEND = SOCKET + " " + NETWORK + (
    " EACCES EALREADY ECONNRESET EDESTADDRREQ EISCONN EMSGSIZE ENOTCONN"
    " EOPNOTSUPP EPIPE ETIMEDOUT")
WRITE = ("EAGAIN EBADF EDESTADDRREQ EDQUOT EFAULT EFBIG EINTR EINVAL EIO"
         " ENOSPC EPERM EPIPE")
READ = "EAGAIN EBADF EFAULT EINTR EINVAL EIO EISDIR"

CALLS = {
    "accept4": {
        NOTHING: "EAGAIN EINTR",
        "accept_errors": "ECONNABORTED EHOSTDOWN EHOSTUNREACH ENETDOWN"
                         " ENETUNREACH ENONET ENOPROTOOPT EOPNOTSUPP EPERM"
                         " EPROTO ETIMEDOUT",
        "accept_pauses": "EBADF EFAULT EINVAL EMFILE ENFILE ENOBUFS ENOMEM"
                         " ENOSR ENOTSOCK EPROTONOSUPPORT ESOCKTNOSUPPORT",
    },
    "access": {NOTHING: FILES + " EINVAL EIO EROFS EFAULT"},
    "bind": {NOTHING: FILES + " EADDRINUSE EADDRNOTAVAIL EBADF EFAULT EINVAL"
                              " ENOTSOCK EROFS"},
    "chmod": {NOTHING: FILES + " EIO EPERM EROFS EFAULT"},
    # Of CPU time; the other clocks need no system call.
    "clock_gettime": {NOTHING: "EFAULT EINVAL EPERM"},
    "clock_nanosleep": {NOTHING: "EFAULT EINTR EINVAL"},
    "clone3": {NOTHING: "EAGAIN EBUSY EINVAL ENOMEM ENOSPC EPERM EUSERS"},
    "connect": {NOTHING: SOCKET + " " + NETWORK +
                " EACCES EPERM EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN"
                " EALREADY EINPROGRESS EINTR EISCONN ENOENT EPROTOTYPE"
                " ETIMEDOUT"},
    "epoll_create1": {NOTHING: "EINVAL EMFILE ENFILE ENOMEM"},
    "epoll_ctl": {"closed_error": "EBADF EEXIST EINVAL ELOOP ENOENT ENOMEM"
                                  " ENOSPC EPERM"},
    "epoll_wait": {NOTHING: "EBADF EFAULT EINTR EINVAL"},
    "eventfd2": {NOTHING: "EINVAL EMFILE ENFILE ENODEV ENOMEM"},
    "fcntl": {NOTHING: "EACCES EAGAIN EBADF EINTR EINVAL EMFILE"},
    # Another C library calls it instead of newfstatat.
    "fstat": {NOTHING: "EBADF EFAULT ENOMEM EOVERFLOW"},
    "ftruncate": {NOTHING: "EBADF EINVAL EIO EPERM"},
    "getpeername": {NOTHING: SOCKET + " ENOTCONN"},
    "getrandom": {NOTHING: "EAGAIN EFAULT EINTR EINVAL ENOSYS"},
    "getsockname": {NOTHING: SOCKET},
    "getsockopt": {NOTHING: SOCKET + " ENOPROTOOPT"},
    "ioctl": {NOTHING: "EBADF EFAULT EINVAL ENOTTY"},
    "listen": {NOTHING: "EADDRINUSE EBADF ENOTSOCK EOPNOTSUPP"},
    "lseek": {NOTHING: "EBADF EINVAL ENXIO EOVERFLOW ESPIPE"},
    "madvise": {NOTHING: "EACCES EAGAIN EBADF EINVAL EIO ENOMEM EPERM"},
    "memfd_create": {NOTHING: "EFAULT EINVAL EMFILE ENFILE ENOMEM EPERM"},
    "mmap": {NOTHING: "EACCES EAGAIN EINVAL ENFILE ENODEV ENOMEM EOVERFLOW"
                      " EPERM"},
    "mprotect": {NOTHING: "EACCES EINVAL ENOMEM"},
    "munmap": {NOTHING: "EINVAL ENOMEM"},
    "newfstatat": {NOTHING: FILES + " EBADF EFAULT EINVAL EOVERFLOW"},
    "openat": {NOTHING: OPEN},
    # The path is then opened in another way.
    "openat2": {NOTHING: "EAGAIN ENOSYS",
                "dropped_send": OPEN.replace(" EAGAIN", "") + " E2BIG EXDEV"},
    "pipe2": {NOTHING: "EFAULT EINVAL EMFILE ENFILE ENOPKG"},
    "poll": {NOTHING: "EFAULT EINTR EINVAL ENOMEM"},
    "ppoll": {NOTHING: "EFAULT EINTR EINVAL ENOMEM"},
    "pread64": {NOTHING: READ + " ENXIO EOVERFLOW ESPIPE"},
    "prctl": {NOTHING: "EFAULT EINVAL"},
    "prlimit64": {NOTHING: "EFAULT EINVAL EPERM ESRCH"},
    "pwritev": {NOTHING: WRITE},
    "read of a file": {NOTHING: READ},
    "read of events": {NOTHING: READ},
    "read of signals": {NOTHING: READ},
    "recvfrom": {NOTHING: "EAGAIN EINTR", "closed_error": RECEIVE},
    "recvmmsg": {NOTHING: "EAGAIN EINTR", "receive_errors": RECEIVE},
    "recvmsg": {NOTHING: "EAGAIN EINTR", "closed_error": RECEIVE},
    "sched_getaffinity": {NOTHING: "EFAULT EINVAL EPERM ESRCH"},
    "sendmmsg": {NOTHING: "EINTR", "dropped_send": SEND + " EAGAIN"},
    "sendmsg": {NOTHING: SEND + " EAGAIN EINTR"},
    "sendto": {NOTHING: "EAGAIN EINTR", "closed_error": SEND},
    "setsockopt": {NOTHING: SOCKET + " ENOPROTOOPT EDOM EISCONN EPERM"},
    "shutdown": {NOTHING: "EBADF EINVAL ENOTCONN ENOTSOCK"},
    "signalfd4": {NOTHING: "EBADF EINVAL EMFILE ENFILE ENODEV ENOMEM"},
    "socket": {NOTHING: "EACCES EAFNOSUPPORT EINVAL EMFILE ENFILE ENOBUFS"
                        " ENOMEM EPROTONOSUPPORT"},
    "socketpair": {NOTHING: "EAFNOSUPPORT EFAULT EMFILE ENFILE EOPNOTSUPP"
                            " EPROTONOSUPPORT"},
    "statx": {"dropped_send": FILES + " EBADF EFAULT EINVAL"},
    "unlink": {NOTHING: FILES + " EBUSY EFAULT EIO EISDIR EPERM EROFS"},
    "unlinkat": {NOTHING: FILES + " EBUSY EFAULT EIO EISDIR EPERM EROFS EBADF"
                                  " EINVAL"},
    "write of the log": {NOTHING: WRITE},
}

# Calls that the tests do not make fail, and why.
UNTOUCHED = {
    "brk": "returns the old address when it fails; an errno looks like success",
    "close": "strace would leave it open; see test_shim.py",
    "exit": "does not return",
    "exit_group": "does not return",
    "futex": "the C library's own: it aborts on impossible errors",
    "getegid": "never fails",
    "getdents64": "before Linux 6.2 only: the open files of the metrics",
    "geteuid": "never fails",
    "getgid": "never fails",
    "getpid": "never fails",
    "gettid": "never fails",
    "getuid": "never fails",
    "read of proc": "strace selects by the path, and it has the PID in it",
    "restart_syscall": "the kernel's own",
    "rseq": "the C library's own, in a new thread",
    "rt_sigaction": "fails for bad arguments only",
    "rt_sigprocmask": "fails for bad arguments only",
    "rt_sigreturn": "does not return",
    "set_robust_list": "the C library's own, in a new thread",
    "umask": "never fails",
    "write of events": "eventfd(2) fails only after 2^64 events",
}

# These errors mean that the work is done already, so an injected one is a lie.
HARMLESS_IF_TRUE = {("epoll_ctl", "EEXIST")}

# What a descriptor is, as "strace -y" shows it, and how strace selects it.
SIGNALS = "anon_inode:[signalfd]"
EVENTS = "anon_inode:[eventfd]"
