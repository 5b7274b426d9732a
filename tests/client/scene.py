"""What a test of the client needs: servers, clients, and what lies between."""

import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading

from daemon import LIMIT_S, Server, check, prepare_child

CLIENT = os.path.abspath(os.environ.get("TIMESTAMPC", "timestampc"))
# Fewer lines where the programs are slow.
FEWER = int(os.environ.get("CLIENT_FEWER", "1"))
MARK = rb"\((?:\+\d+\.\ds|again)\) "
REPLY = re.compile(rb"\[[^]]*\] (" + MARK + rb")?(.*)", re.DOTALL)
LINE = 'control = ""; listeners = ({ protocol = "tcp"; ' \
    'address = "127.0.0.1"; port = %d; framing = "line"; });'
CHUNK = LINE.replace("line", "chunk")


def texts(output):
    """What stands behind the stamps and marks of output's lines."""
    found = []
    for line in output.split(b"\n")[:-1]:
        reply = REPLY.fullmatch(line)
        check(reply, "not a reply:", line[:100])
        found.append(reply.group(2))
    return found


def marks(output):
    """The number of lines that are marked as late."""
    return len(re.findall(rb"^\[[^]]*\] " + MARK, output, re.M))


def check_lines(output, expected):
    """Checks that each line came once and in order."""
    found = texts(output)
    for number, (one, other) in enumerate(zip(found, expected)):
        check(one == other, "line", number, "is", one[:60], "not", other[:60])
    check(len(found) == len(expected), len(found), "lines of", len(expected))


class Client:
    """timestampc with pipes for its input and output, or what is passed."""

    def __init__(self, *arguments, stdin=subprocess.PIPE,
                 stdout=subprocess.PIPE, environment=None, tracer=()):
        self.child = subprocess.Popen(
            [*tracer, CLIENT, *arguments], stdin=stdin, stdout=stdout,
            stderr=subprocess.PIPE, preexec_fn=prepare_child,
            env={**os.environ, "TZ": "UTC0", **(environment or {})})
        self.heard = b""

    def feed(self, data):
        """Writes data in a thread of its own, then closes the input."""
        def run():
            try:
                self.child.stdin.write(data)
                self.child.stdin.close()
            except BrokenPipeError:
                pass
        self.feeder = threading.Thread(target=run, daemon=True)
        self.feeder.start()

    def say(self, data):
        self.child.stdin.write(data)
        self.child.stdin.flush()

    def read(self, stream):
        check(select.select([stream], [], [], LIMIT_S)[0],
              "the client wrote nothing for", LIMIT_S, "s")
        return os.read(stream.fileno(), 1 << 16)

    def hear(self, text):
        """Reads the output until text is in it; returns what came."""
        since = len(self.heard)
        while text not in self.heard[max(0, since - len(text)):]:
            data = self.read(self.child.stdout)
            check(data, "the output ended before", text)
            self.heard += data
        return self.heard[since:]

    def hear_until(self, size):
        """Reads until so many bytes of output have come; False: it ended."""
        while len(self.heard) < size:
            data = self.read(self.child.stdout)
            if not data:
                return False
            self.heard += data
        return True

    def complain(self, text):
        """Reads standard error until text is in it."""
        said = b""
        while text not in said:
            data = self.read(self.child.stderr)
            check(data, "no", text, "but", said)
            said += data
        return said

    def rest(self):
        """All the output that is not read yet."""
        while True:
            data = self.read(self.child.stdout)
            if not data:
                return self.heard
            self.heard += data

    def end(self, status=0):
        """Waits for the end; returns what it said on standard error."""
        said = b""
        while data := self.read(self.child.stderr):
            said += data
        check(self.child.wait(LIMIT_S) == status, "it ended with",
              self.child.returncode, "not", status, said.decode())
        return said

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        for stream in self.child.stdin, self.child.stdout, self.child.stderr:
            if stream:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass


class Proxy:
    """Passes connections on to a port, and cuts those that cuts lists.

    cuts: [(bytes, direction, how)] for one connection after the other: after
    so many bytes "up" to the server or "down" to the client, with "fin" or
    "rst".  Connections behind the last one are not cut.
    """

    def __init__(self, port, cuts=()):
        self.target, self.cuts, self.done = port, list(cuts), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            cut = self.cuts[self.done] if self.done < len(self.cuts) else None
            self.carry(client, cut)
            self.done += cut is not None

    def carry(self, client, cut):
        server = socket.create_connection(("127.0.0.1", self.target))
        left = {client: None, server: None}
        if cut:
            left[client if cut[1] == "up" else server] = cut[0]
        other = {client: server, server: client}
        while other:
            ready = select.select([client, server], [], [])[0]
            for source in ready:
                if not self.move(source, other[source], left):
                    if cut and cut[2] == "rst":
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                          struct.pack("ii", 1, 0))
                    other = None
                    break
        client.close()
        server.close()

    @staticmethod
    def move(source, sink, left):
        try:
            data = source.recv(1 << 16)
            if left[source] is not None:
                data = data[:left[source]]
                left[source] -= len(data)
            sink.sendall(data)
        except OSError:
            return False
        return data and left[source] != 0

    def close(self):
        self.listener.close()


class Scene:
    """Ends what a test began."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="timestampc.")
        os.chmod(self.folder, 0o755)
        self.open = []
        return self

    def __exit__(self, *_):
        for thing in reversed(self.open):
            (thing.kill if isinstance(thing, Server) else thing.close)()
        shutil.rmtree(self.folder, ignore_errors=True)

    def add(self, thing):
        self.open.append(thing)
        return thing

    def server(self, text=LINE % 0):
        """A server with this configuration, ready."""
        with open(os.path.join(self.folder, "conf"), "w") as conf:
            conf.write(text)
        server = self.add(Server(self.folder))
        check(server.await_ready(), "no start:", server.log.decode())
        return server

    def client(self, *arguments, **options):
        return self.add(Client(*arguments, **options))

    def proxy(self, port, cuts=()):
        return self.add(Proxy(port, cuts))

    def pipe(self, data, *arguments, status=0):
        """Runs the client with this input; returns (output, errors)."""
        client = self.client(*arguments)
        client.feed(data)
        output = client.rest()
        return output, client.end(status)


def port_of(server):
    return server.port("tcp 127.0.0.1")


def target(port):
    return f"tcp:127.0.0.1:{port}"


def may_trace():
    """Whether strace works here."""
    try:
        return subprocess.run(["strace", "-o", "/dev/null", "true"],
                              stderr=subprocess.DEVNULL).returncode == 0
    except FileNotFoundError:
        return False


def naming(scene, name, *addresses):
    """The words in front of a command that let it see these addresses of name;
    None where only root may do so."""
    hosts = f"{scene.folder}/hosts"
    with open(hosts, "w") as file:
        file.writelines(f"{address} {name}\n" for address in addresses)
    words = ["unshare", "--mount", "sh", "-c",
             f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"]
    return words if subprocess.run(
        words + ["true"], check=False,
        stderr=subprocess.DEVNULL).returncode == 0 else None


def memory_of(pid):
    """The most memory that a process has had, in KiB."""
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmHWM:\s*(\d+)", status.read()).group(1))


def kill(server):
    server.signal(signal.SIGKILL)
    server.child.wait()
