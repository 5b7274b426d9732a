"""A service manager: its notify socket and its descriptor store."""

import array
import fcntl
import os
import socket
import threading

FIRST = 3  # SD_LISTEN_FDS_START
HIGH = 300  # above all descriptors that are passed
BATCH = 253  # SCM_MAX_FD

# Held from fork to exec of a child, and by close_all(): until its exec the child
# has copies of all descriptors, so a descriptor closed here would stay open.
BEGINNING = threading.Lock()


def close_all(fds):
    with BEGINNING:
        for fd in fds:
            os.close(fd)


class Manager:
    """Receives messages, stores descriptors and passes them to the next server.

    size: the number of descriptors that it stores; 0: it has no store.
    """

    def __init__(self, folder, size=0):
        self.path = os.path.join(folder, "notify")
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.size, self.kept = size, []  # (name, descriptor)

    def fileno(self):
        return self.socket.fileno()

    def hear(self):
        """Receives a message and does what it asks; returns the message."""
        fds = array.array("i")
        # socket.recv_fds ignores its flags.
        data, control, _, _ = self.socket.recvmsg(
            4096, socket.CMSG_SPACE(BATCH * fds.itemsize),
            socket.MSG_CMSG_CLOEXEC)
        for _, kind, received in control:
            if kind == socket.SCM_RIGHTS:
                fds.frombytes(received)
        fds = list(fds)
        said = dict(line.split("=", 1) for line in data.decode().splitlines())
        if "FDSTORE" in said and len(self.kept) + len(fds) <= self.size:
            self.kept += [(said["FDNAME"], fd) for fd in fds]
            fds = []
        if "FDSTOREREMOVE" in said:
            fds += [fd for name, fd in self.kept if name == said["FDNAME"]]
            self.kept = [kept for kept in self.kept if kept[1] not in fds]
        close_all(fds)
        return data

    def environment(self):
        variables = {"NOTIFY_SOCKET": self.path}
        if self.size:
            variables["FDSTORE"] = str(self.size)
        if self.kept:
            variables["LISTEN_FDS"] = str(len(self.kept))
            variables["LISTEN_FDNAMES"] = ":".join(
                name for name, _ in self.kept)
        return variables

    def put_in_place(self):
        """Called in the child before exec: moves the stored descriptors to
        3 and up, where the server expects them."""
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH)
                for _, fd in self.kept]
        for number, fd in enumerate(high, FIRST):
            os.dup2(fd, number)

    def listeners(self):
        """{inode: (kind, address)} of the stored listening sockets."""
        found = {}
        for name, fd in self.kept:
            if name != ".connections":
                with socket.socket(fileno=os.dup(fd)) as kept:
                    found[os.fstat(fd).st_ino] = kept.type, kept.getsockname()
        return found

    def close(self):
        close_all(fd for _, fd in self.kept)
        self.socket.close()
