"""Hosts on networks of their own, made of network namespaces."""

import ctypes
import os
import shutil
import socket
import subprocess
import tempfile

from daemon import LIBC, LIMIT_S, Server, check, prepare_child, spawn

CLONE_NEWNET = 0x40000000
PROGRAMS = os.path.abspath(os.environ.get("HOSTS_PROGRAMS", "build/hosts"))
CONTROL = 'control = "";\n'  # the servers of a lab need no control socket


class Skip(Exception):
    """A test can't run here."""


def enter(descriptor):
    """Moves the calling thread to the network namespace of descriptor."""
    if LIBC.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def may_make_namespaces():
    return subprocess.run(["unshare", "--net", "true"], check=False,
                          stderr=subprocess.DEVNULL).returncode == 0


class Host:
    """A network namespace.  addresses and addresses6: of its links, in the
    order in which they were made."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.addresses, self.addresses6 = [], []
        # The namespace lives as long as this process, and that until close().
        self.holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            preexec_fn=prepare_child)
        self.holder.stdout.readline()
        self.namespace = os.open(f"/proc/{self.holder.pid}/ns/net",
                                 os.O_RDONLY | os.O_CLOEXEC)
        # An address that is still probed for duplicates can't be used.
        self.sysctl("net.ipv6.conf.default.accept_dad", "0")
        self.run("ip", "link", "set", "lo", "up")

    @property
    def address(self):
        return self.addresses[0]

    @property
    def address6(self):
        return self.addresses6[0]

    def enter(self):
        prepare_child()
        enter(self.namespace)

    def popen(self, *words, **options):
        """Starts a program on this host; the lab ends it."""
        child = spawn(words, preexec_fn=self.enter, **options)
        self.lab.children.append(child)
        return child

    def run(self, *words):
        """Runs a program on this host; returns what it wrote."""
        done = subprocess.run(words, preexec_fn=self.enter, text=True,
                              stdout=subprocess.PIPE, timeout=LIMIT_S,
                              stderr=subprocess.STDOUT, check=False)
        check(done.returncode == 0, f"{self.name}:", *words, "ended with",
              done.returncode, done.stdout)
        return done.stdout

    def sysctl(self, name, value):
        self.run("sh", "-c", 'echo "$2" >"/proc/sys/$1"', "sh",
                 name.replace(".", "/"), value)

    def socket(self, family, kind, protocol=0):
        """A socket that belongs to this host, with a timeout."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(self.namespace)
            made = socket.socket(family, kind, protocol)
        finally:
            enter(home)
            os.close(home)
        made.settimeout(LIMIT_S)
        return made

    def server(self, configuration, **options):
        """Starts the server on this host; it is ready on return.  options: of
        Server."""
        folder = self.lab.folder(self.name)
        with open(os.path.join(folder, "conf"), "w", encoding="utf-8") as file:
            file.write(CONTROL + configuration)
        server = HostServer(self, folder, **options)
        self.lab.servers.append(server)
        check(server.await_ready(), "it did not start:", server.log.decode())
        return server

    def close(self):
        os.close(self.namespace)
        self.holder.stdout.close()
        self.holder.stdin.close()
        self.holder.wait()


class HostServer(Server):
    """A server that runs on host."""

    def __init__(self, host, folder, **options):
        self.host = host
        super().__init__(folder, **options)

    def prepare(self):
        # Before stored descriptors are put in place, perhaps of the namespace's.
        enter(self.host.namespace)
        super().prepare()


class Lab:
    """The hosts, programs and servers of one test; ends all of them."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="timestampd-hosts.")
        self.hosts, self.children, self.servers = [], [], []
        self.things = []  # whatever else is to be closed
        self.networks = self.folders = 0

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        for thing in self.things:
            thing.close()
        for server in self.servers:
            server.kill()
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
            for stream in child.stdin, child.stdout, child.stderr:
                if stream is not None:
                    stream.close()
        for host in self.hosts:
            host.close()
        shutil.rmtree(self.top, ignore_errors=True)

    def folder(self, name):
        """A new folder for name."""
        self.folders += 1
        path = os.path.join(self.top, f"{self.folders}-{name}")
        os.mkdir(path)
        return path

    def program(self, name):
        """The path of a program that was built from tests/hosts/NAME.c."""
        return os.path.join(PROGRAMS, name)

    def host(self, name):
        host = Host(self, name)
        self.hosts.append(host)
        return host

    def number_host(self, host, network, number):
        """Gives the newest device of host the address with this number in a
        network; returns the device's name."""
        device = f"eth{len(host.addresses)}"
        host.addresses.append(f"10.77.{network}.{number}")
        host.addresses6.append(f"fd77:{network}::{number}")
        host.run("ip", "address", "add", host.addresses[-1] + "/24", "dev",
                 device)
        host.run("ip", "address", "add", host.addresses6[-1] + "/64", "dev",
                 device, "nodad")
        host.run("ip", "link", "set", device, "up")
        return device

    def link(self, first, second):
        """Joins two hosts by a cable; returns the names of its devices.  They
        get the addresses 10.77.N.1 and .2, fd77:N::1 and ::2."""
        self.networks += 1
        first.run("ip", "link", "add", f"eth{len(first.addresses)}", "type",
                  "veth", "peer", "name", f"eth{len(second.addresses)}",
                  "netns", str(second.holder.pid))
        return [self.number_host(host, self.networks, number)
                for number, host in enumerate((first, second), 1)]

    def switch(self, *hosts):
        """Joins hosts by a switch; as link() otherwise."""
        self.networks += 1
        switch = self.host(f"switch{self.networks}")
        switch.run("ip", "link", "add", "bridge", "type", "bridge")
        switch.run("ip", "link", "set", "bridge", "up")
        devices = []
        for number, host in enumerate(hosts, 1):
            port = f"port{number}"
            switch.run("ip", "link", "add", port, "type", "veth", "peer",
                       "name", f"eth{len(host.addresses)}", "netns",
                       str(host.holder.pid))
            switch.run("ip", "link", "set", port, "master", "bridge", "up")
            devices.append(self.number_host(host, self.networks, number))
        return devices
