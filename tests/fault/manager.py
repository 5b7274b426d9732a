"""A service manager, as far as the server knows one."""

import array
import fcntl
import os
import socket
import threading

FIRST = 3  # SD_LISTEN_FDS_START
HIGH = 300  # above all that is passed
BATCH = 253  # SCM_MAX_FD

# Held while a child begins, which until then has all that is open here: what is
# closed meanwhile would not be gone.
BEGINNING = threading.Lock()


def close_all(fds):
    with BEGINNING:
        for fd in fds:
            os.close(fd)


class Manager:
    """Hears messages, keeps descriptors and passes them to the next server.

    size: how many it keeps for servers; 0: it has no store.
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
        """The next message, when done as it says."""
        fds = array.array("i")
        # socket.recv_fds takes flags and forgets them.
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
        """In the server to be: what is kept goes where it looks for it."""
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH)
                for _, fd in self.kept]
        for number, fd in enumerate(high, FIRST):
            os.dup2(fd, number)

    def listeners(self):
        """{inode: (kind, address)} of the sockets that clients come to."""
        found = {}
        for name, fd in self.kept:
            if name != ".connections":
                with socket.socket(fileno=os.dup(fd)) as kept:
                    found[os.fstat(fd).st_ino] = kept.type, kept.getsockname()
        return found

    def close(self):
        close_all(fd for _, fd in self.kept)
        self.socket.close()
