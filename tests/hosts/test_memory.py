"""What clients that do not read cost in memory, also after their end."""

import contextlib
import errno
import re
import resource
import select
import signal
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from daemon import LIMIT_S, check
from manager import Manager
from test_places import Place

KIB, MIB = 1 << 10, 1 << 20
PIECE = b"\n" * (64 * KIB)  # empty lines have the longest replies
CLIENT_MAX = 512 * KIB  # of kernel and process, for a client that never reads
PROCESS_MAX = 66 * KIB  # of it
WAVES, WAVE = 5, 200
LEAVING = 200
READ_AT_ONCE = 32 * KIB  # a close with unread input would be a reset
FEW = 20 * KIB  # they fit into the send buffer
FILES = 4000
LINES = (b"x" * 99 + b"\n") * 2000
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
TCP_RECV_QUEUE, TCP_SEND_QUEUE, TCP_REPAIR_OFF_NO_WP = 1, 2, -1
SEQUENCE_MAX = 0xffffffff
LONG_S = 60  # for a wait in which much is sent, or the server measures often

TCP = 'workers = WORKERS; log_level = "debug";\n' \
      'limits: { max_connections_per_address = MOST; LIMITS };\n' \
      'listeners = ( { protocol = "tcp"; port = 0; framing = "line"; } );\n'


def start(lab, limits="", most=0, workers=2):
    """Returns (host, server, host of the clients)."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    host, other = lab.host("server"), lab.host("clients")
    lab.link(host, other)
    configuration = TCP.replace("LIMITS", limits).replace("MOST", str(most))
    configuration = configuration.replace("WORKERS", str(workers))
    return host, host.server(configuration), other


def connect(server, host, receive_buffer=None):
    client = host.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.connect((server.host.address, server.port("tcp *")))
    client.setblocking(False)
    return client


def send_some(client, data=PIECE):
    """Returns how much the kernel took."""
    try:
        return client.send(data)
    except BlockingIOError:
        return 0
    except OSError as problem:
        check(problem.errno in (errno.ECONNRESET, errno.EPIPE), problem)
        return 0


def fill(server, clients):
    """Sends until neither side takes any more."""
    before, end = None, time.monotonic() + LONG_S
    while True:
        sent = sum(map(send_some, clients))
        taken = server.counters().get("tcp_bytes_in")
        if sent == 0 and taken == before:
            return
        check(time.monotonic() < end, "the server still takes more")
        before = taken


def read_quickly(clients, size):
    """Each client sends, and reads size bytes of its replies at once."""
    left = {client: size for client in clients}
    end = time.monotonic() + LONG_S
    while left:
        check(time.monotonic() < end, len(left), "clients await replies")
        for client in list(left):
            send_some(client)
            try:
                left[client] -= len(client.recv(MIB))
            except BlockingIOError:
                continue
            if left[client] <= 0:
                del left[client]


def sockets(server):
    """(state, bytes of kernel memory) of each connection, owned or not."""
    found = server.host.run("ss", "-tanmOH", "state", "all", "sport", "=",
                            f":{server.port('tcp *')}")
    rows = []
    for row in found.splitlines():
        state = row.split()[0]
        held = dict(re.findall(r"\b([rfw])(\d+),", row))
        if state != "LISTEN":
            rows.append((state, sum(map(int, held.values()))))
    return rows


def private_bytes(server):
    with open(f"/proc/{server.child.pid}/smaps_rollup",
              encoding="ascii") as file:
        return KIB * int(re.search(r"Private_Dirty: +(\d+)",
                                   file.read()).group(1))


def check_memory(server, before, count):
    """Checks what count deaf clients cost, each alone and all together."""
    held = [memory for _, memory in sockets(server)]
    check(len(held) == count, len(held), "connections, not", count)
    process = (private_bytes(server) - before) // count
    check(process <= PROCESS_MAX, process, "bytes a client in the process")
    check(max(held) + process <= CLIENT_MAX, "a client holds", max(held),
          "bytes in the kernel and", process, "in the process")


def await_memory(server, most):
    """Waits until the connections hold at most so many bytes of the kernel."""
    end = time.monotonic() + LONG_S
    while (now := sum(memory for _, memory in sockets(server))) > most:
        check(time.monotonic() < end, "they hold", now, "bytes, not", most)


def await_counter(server, name, value):
    end = time.monotonic() + LIMIT_S
    while (now := server.counters().get(name)) != value:
        check(time.monotonic() < end, name, "is", now, "not", value)


def set_budget(server, budget):
    """Reloads with this kept_memory."""
    with open(f"{server.folder}/conf", encoding="utf-8") as file:
        text = file.read()
    with open(f"{server.folder}/conf", "w", encoding="utf-8") as file:
        file.write(re.sub(r"kept_memory = \d+", f"kept_memory = {budget}",
                          text))
    server.signal(signal.SIGHUP)


def await_least(server, name, least):
    """Waits until a counter is at least so high."""
    end = time.monotonic() + LONG_S
    while (now := server.counters().get(name, 0)) < least:
        check(time.monotonic() < end, name, "is", now, "not", least)


def check_none_is_left(server):
    """Without an owner sockets keep their memory for minutes."""
    check(sockets(server) == [], "sockets are left:", sockets(server))


def test_a_client_that_never_reads_costs_little(lab):
    """400 of one address, with small, usual and large receive buffers, some of
    which read quickly first: at most 512 KiB each, kernel and process."""
    _, server, host = start(lab, "send_timeout = 0;")
    first = connect(server, host)
    first.setblocking(True)
    first.sendall(b"hello\n")
    first.recv(100)
    before = private_bytes(server)
    first.close()
    await_counter(server, "closed_client", 1)
    clients = [connect(server, host, size)
               for size in (1, None, None, 4 * MIB) for _ in range(100)]
    read_quickly(clients[200:240], 16 * MIB)
    fill(server, clients)
    check_memory(server, before, 400)
    check(server.counters()["closed_memory"] == 0, "one was closed")


def test_clients_that_leave_return_memory(lab):
    """The process gives back what it kept for clients that have left, also
    while some of them stay."""
    _, server, host = start(lab)
    clients = [connect(server, host) for _ in range(LEAVING)]
    fill(server, clients)
    kept = private_bytes(server)
    for number, client in enumerate(clients):
        if number % 20 != 0:
            client.close()
    end = time.monotonic() + LONG_S
    while (now := private_bytes(server)) > kept // 2:
        check(time.monotonic() < end, "the process has", now, "bytes, not half"
              " of", kept)


def test_clients_that_take_all_return_memory(lab):
    """As those that leave, though they stay: each worker gives it back."""
    _, server, host = start(lab)
    clients = [connect(server, host) for _ in range(LEAVING)]
    fill(server, clients)
    kept = private_bytes(server)
    readers = [client for number, client in enumerate(clients)
               if number % 20 != 0]
    end = time.monotonic() + LONG_S
    while (now := private_bytes(server)) > kept // 2:
        check(time.monotonic() < end, "the process has", now, "bytes, not half"
              " of", kept)
        for client in readers:
            try:
                client.recv(MIB)
            except BlockingIOError:
                pass


def test_a_cut_cable_leaves_little_to_send(lab):
    """A client that read quickly, and then acknowledges nothing."""
    _, server, host = start(lab, "send_timeout = 0;")
    clients = [connect(server, host) for _ in range(20)]
    read_quickly(clients, 64 * MIB)
    before = private_bytes(server)
    for client in clients:
        send_some(client)
    host.run("ip", "link", "set", "eth0", "down")
    fill(server, clients)
    check_memory(server, before, 20)


def closed_for_memory(server):
    """The ports of the clients that were closed for it, in order."""
    return [int(port) for port in re.findall(
        r"from [\d.:a-f\[\]]*:(\d+): closed, kept_memory", server.log.decode())]


def open_deaf(server, host, count):
    """Returns the ports of clients that never read, one after the other."""
    clients = [connect(server, host, 1) for _ in range(count)]
    for client in clients:
        fill(server, [client])
    return clients, [client.getsockname()[1] for client in clients]


def check_closed(server, most, first):
    """Waits until the connections hold at most so many bytes; those of the
    ports first were closed before any other."""
    await_memory(server, most)
    count = server.counters()["closed_memory"]
    closed = closed_for_memory(server)
    check(len(closed) == count > len(first), count, "counted", *closed)
    check(set(closed[:len(first)]) == set(first), *closed, "closed, not first",
          *first)


def test_kept_memory_closes_who_has_read_nothing_for_longest(lab):
    """Over the budget, whichever worker has that client; a reload applies."""
    _, server, host = start(lab, "kept_memory = 6; send_timeout = 0; "
                                 "idle_timeout = 2;")
    clients, old = open_deaf(server, host, 8)
    idle = connect(server, host)
    idle.setblocking(True)
    check(idle.recv(1) == b"", "an idle client was not closed")
    others, _ = open_deaf(server, host, 24)
    reader = connect(server, host)
    check_closed(server, 6 * MIB, old)
    set_budget(server, 2)
    check_closed(server, 2 * MIB, old)
    reader.setblocking(True)
    reader.sendall(b"hello\n")
    check(reader.recv(100).endswith(b"] hello\n"), "the reader got no reply")
    for client in clients + others:
        client.close()


def test_send_timeout_leaves_no_socket(lab):
    """Five waves of 200 that send and never read."""
    _, server, host = start(lab, "send_timeout = 1;")
    for wave in range(1, WAVES + 1):
        clients = [connect(server, host, 1) for _ in range(WAVE)]
        for client in clients:
            send_some(client, PIECE[:READ_AT_ONCE])
        await_counter(server, "closed_send_timeout", wave * WAVE)
    check_none_is_left(server)


def test_the_end_of_a_deaf_client_leaves_no_socket(lab):
    """It sends, ends its side, and never reads."""
    _, server, host = start(lab, "send_timeout = 1;")
    clients = [connect(server, host, 1) for _ in range(WAVE)]
    for client in clients:
        send_some(client, b"x" * FEW)
        client.shutdown(socket.SHUT_WR)
    await_counter(server, "open", 0)
    check_none_is_left(server)
    await_counter(server, "closed_send_timeout", WAVE)


def test_a_client_that_ends_gets_all(lab):
    """It ends its side while its replies wait, and then reads them."""
    _, server, host = start(lab)
    client = connect(server, host, 1)
    sent = 40 * KIB
    check(send_some(client, b"x" * sent) == sent, "not all was sent")
    client.shutdown(socket.SHUT_WR)
    await_counter(server, "tcp_bytes_in", sent)
    client.setblocking(True)
    got = 0
    while data := client.recv(1000):
        got += len(data)
    check(got == sent + 27, got, "bytes came back")
    await_counter(server, "closed_client", 1)


def test_idle_timeout_leaves_no_socket(lab):
    """The replies of a client that reads nothing fit into the send buffer."""
    _, server, host = start(lab, "idle_timeout = 1; send_timeout = 0;")
    clients = [connect(server, host, 1) for _ in range(WAVE)]
    for client in clients:
        send_some(client, b"x" * FEW)
    await_counter(server, "closed_idle", WAVE)
    check_none_is_left(server)


class Reader:
    """A client that sends lines and reads at full speed until done is set."""

    def __init__(self, server, host, address):
        self.client = host.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.client.connect((address, server.port("tcp *")))
        self.client.setblocking(False)
        self.turns, self.is_closed = 0, False

    def run(self, done):
        buffer = bytearray(MIB)
        while not done.is_set() and not self.is_closed:
            select.select([self.client], [self.client], [], 1)
            try:
                self.is_closed = self.client.recv_into(buffer) == 0
                self.turns += 1
            except BlockingIOError:
                pass
            except ConnectionResetError:
                self.is_closed = True
            send_some(self.client, LINES)


def read_little(server, host, clients, done):
    """They send all they can and take some 2 KiB a turn, until done is set.
    Who is closed comes again."""
    while not done.is_set():
        for number, client in enumerate(clients):
            send_some(client)
            with contextlib.suppress(BlockingIOError):
                try:
                    is_closed = client.recv(2304) == b""
                except ConnectionResetError:
                    is_closed = True
                if is_closed:
                    client.close()
                    clients[number] = connect(server, host, 1)


def test_kept_memory_closes_no_quick_reader(lab):
    """Beside 120 that take a little of much and use the budget up again and
    again.  There may be none of these in the worker of a reader."""
    host, server, other = start(lab, "kept_memory = 12;", workers=6)
    friends = lab.host("friends")
    lab.link(host, friends)
    clients = [connect(server, other, 1) for _ in range(120)]
    readers = [Reader(server, friends, host.addresses[1]) for _ in range(3)]
    done = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        try:
            jobs = [pool.submit(read_little, server, other, clients, done)]
            jobs += [pool.submit(reader.run, done) for reader in readers]
            for count in range(1, 100):
                turns = [reader.turns for reader in readers]
                await_least(server, "closed_memory", count)
                while any(reader.turns == turn for reader, turn in
                          zip(readers, turns) if not reader.is_closed):
                    server.counters()
        finally:
            done.set()
    for job in jobs:
        job.result()
    check(not any(reader.is_closed for reader in readers),
          "a reader was closed")


def read_slowly(client, size):
    """Returns False when the server has closed the connection."""
    try:
        return client.recv(size) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


def test_kept_memory_closes_no_slow_reader(lab):
    """It holds little, and that is older than what others hold who fill the
    budget again and again and take nothing."""
    _, server, other = start(lab, "kept_memory = 6; send_timeout = 0;")
    slow, clients = connect(server, other, 1), []
    check(send_some(slow, b"\n" * 1500) == 1500, "not all was sent")
    while (count := server.counters()["closed_memory"]) < 200:
        clients.append(connect(server, other, 1))
        send_some(clients[-1])
        check(read_slowly(slow, 200), "the slow reader was closed after", count,
              "others")
    check(read_slowly(slow, 200), "the slow reader was closed")


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def sequence_numbers(client):
    """Returns (of what it sends next, of what it receives next)."""
    found = []
    client.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    for queue in TCP_SEND_QUEUE, TCP_RECV_QUEUE:
        client.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
        found.append(client.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) &
                     SEQUENCE_MAX)
    client.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP)
    return found


def segment(client, sequence, acknowledged):
    """A TCP segment of client's with one byte."""
    (source, source_port), (target, port) = (client.getsockname(),
                                             client.getpeername())
    head = struct.pack("!HHIIBBH", source_port, port, sequence & SEQUENCE_MAX,
                       acknowledged, 5 << 4, 0x18, 1000)  # PSH, ACK
    tail = b"\0\0" + b"x"
    size = len(head) + 2 + len(tail)
    covered = (socket.inet_aton(source) + socket.inet_aton(target) +
               struct.pack("!HH", socket.IPPROTO_TCP, size) + head +
               b"\0\0" + tail + b"\0")  # an even number of bytes
    return head + struct.pack("!H", checksum(covered)) + tail


def test_kept_memory_counts_what_came_out_of_order(lab):
    """100 clients leave out the first byte, and each second one after it."""
    _, server, other = start(lab, "kept_memory = 1;")
    other.sysctl("net.ipv4.tcp_timestamps", "0")
    raw = other.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    clients = [connect(server, other) for _ in range(100)]
    for client in clients:
        sends, receives = sequence_numbers(client)
        for hole in range(215):
            raw.sendto(segment(client, sends + 1 + 2 * hole, receives),
                       (server.host.address, 0))
    await_least(server, "closed_memory", 1)
    await_memory(server, 3 * MIB)


def end_deaf(client):
    """It has sent little, ends its side, and never reads."""
    send_some(client, b"x" * 4000)
    client.shutdown(socket.SHUT_WR)


def test_few_replies_leave_no_socket(lab):
    """Of a client that ended its side the kernel would keep trying to send the
    last 3 KB of them for minutes."""
    _, server, host = start(lab, "send_timeout = 1;")
    clients = [connect(server, host, 1) for _ in range(300)]
    for client in clients:
        end_deaf(client)
    await_counter(server, "tcp_bytes_in", 300 * 4000)
    end = time.monotonic() + LONG_S
    while left := sockets(server):
        check(time.monotonic() < end, len(left), "sockets are left:", left[:3])


def test_few_replies_count_for_the_address(lab):
    """As long as the kernel has them, also after the end of the client's
    side."""
    _, server, host = start(lab, "", most=3)
    clients = []
    for _ in range(30):
        with contextlib.suppress(OSError):  # it may be closed already
            clients.append(connect(server, host, 1))
            end_deaf(clients[-1])
        end = time.monotonic() + LIMIT_S
        while "ESTAB" in [state for state, _ in sockets(server)]:
            check(time.monotonic() < end, "a client did not end")
    await_counter(server, "closed_address", 27)


def test_kept_memory_counts_unix_clients(lab):
    """300 that send 146 messages of a byte, and never read."""
    path = lab.top + "/socket"
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    server = lab.host("server").server(
        "workers = 2; limits: { kept_memory = 1; };\n"
        'listeners = ( { protocol = "unix-seqpacket"; '
        f'path = "{path}"; }} );\n')
    clients = []
    for _ in range(300):
        clients.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        clients[-1].connect(path)
        clients[-1].setblocking(False)
    for _ in range(146):
        for client in clients:
            send_some(client, b"x")
    await_least(server, "closed_memory", 1)


def test_restarts_keep_no_deaf_client(lab):
    """They come sooner than idle_timeout and send_timeout.  All replies fit
    into the send buffer; one of the clients has ended its side."""
    configuration = "limits: { idle_timeout = 4; send_timeout = 4; };\n" + \
        'listeners = ( { protocol = "tcp"; port = 0; } );\n'
    manager = Manager(lab.top, 100)
    place = Place(lab, configuration, manager=manager)
    deaf = [connect(place.server, place.crowd, 1) for _ in range(2)]
    poller = select.poll()
    for client in deaf:
        check(send_some(client, b"x" * FEW) == FEW, "not all was sent")
        poller.register(client, 0)  # only a reset is reported
    deaf[1].shutdown(socket.SHUT_WR)
    end = time.monotonic() + LONG_S
    while deaf:
        ready = [number for number, _ in poller.poll(2500)]
        check(ready or time.monotonic() < end, len(deaf),
              "that take nothing live on")
        for client in [one for one in deaf if one.fileno() in ready]:
            poller.unregister(client)
            deaf.remove(client)
        place.restart(configuration)
    place.server.stop()
    manager.close()
