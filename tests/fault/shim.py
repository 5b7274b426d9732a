"""Controls the library that is preloaded into the server."""

import mmap
import os
import struct

SHIM = os.path.abspath(os.environ.get("FAULT_SHIM", "shim.so"))


class Control:
    """The file shared with the shim, with the layout of shim.h."""

    FIELDS = {"allocations": (0, "Q"), "fail_at": (8, "Q"),
              "failed": (16, "Q"), "meddled": (24, "Q"),
              "meddling": (32, "I"), "close_errno": (36, "i")}

    def __init__(self, path):
        with open(path, "w+b") as file:
            file.truncate(40)
            self.memory = mmap.mmap(file.fileno(), 40)
        self.path = path

    def environment(self):
        """The variables with which daemon.command preloads the shim."""
        return {"SHIM": SHIM, "FAULT_CONTROL": self.path}

    def get(self, name):
        at, kind = self.FIELDS[name]
        return struct.unpack_from(kind, self.memory, at)[0]

    def set(self, name, value):
        at, kind = self.FIELDS[name]
        struct.pack_into(kind, self.memory, at, value)

    def fail_next(self, n=1):
        """Makes the n-th allocation from now on fail."""
        self.set("fail_at", self.get("allocations") + n)
