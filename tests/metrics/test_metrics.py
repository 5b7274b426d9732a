"""Tests of the metrics.  Each has a folder of its own."""

import glob
import json
import os
import re
import socket
import urllib.error
import urllib.request

from daemon import LIMIT_S, Server, check
from prometheus import Prometheus, promtool

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir,
                   os.pardir)
RULES = os.path.abspath(os.path.join(TOP, "conf", "prometheus-alerts.yml"))
NAME = re.compile(r"\b(?:timestampd|process)_[a-z_]+")
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
STAMP = 27
MESSAGES, DATAGRAMS, OVERSIZE, CLIENTS = 23, 11, 5, 7


def start(folder, more=""):
    with open(os.path.join(folder, "conf"), "w", encoding="ascii") as file:
        file.write(f"""control = "";
stamp: {{ source = "arrival"; }};
http: {{ port = 0; }};
{more}
listeners = (
    {{ protocol = "tcp"; port = 0; }},
    {{ protocol = "udp"; port = 0; threads = 2; }},
    {{ protocol = "unix"; path = "{folder}/s"; }},
    {{ protocol = "unix-seqpacket"; path = "{folder}/q"; }},
    {{ protocol = "unix-dgram"; path = "{folder}/a\\"b"; }} );
""")
    server = Server(folder)
    check(server.await_ready(), server.log.decode())
    return server


def get(server, path="/metrics", accept="text/plain"):
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port('http 127.0.0.1')}{path}",
        headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
        return answer.read().decode()


def talk(server):
    """Traffic of which the numbers are known; returns the connections."""
    port = server.port("tcp *")
    clients = [socket.create_connection(("127.0.0.1", port), LIMIT_S)
               for _ in range(CLIENTS)]
    for _ in range(MESSAGES):
        clients[0].sendall(b"hello")
        left = STAMP + 5
        while left > 0:
            left -= len(clients[0].recv(left))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(LIMIT_S)
        udp.connect(("127.0.0.1", server.port("udp *")))
        for _ in range(OVERSIZE):
            udp.send(bytes(1401))
        for _ in range(DATAGRAMS):
            udp.send(b"four")
            udp.recv(100)
    clients.pop().close()
    return clients


def close(clients):
    for client in clients:
        client.close()


def check_names(server, folder):
    """promtool finds no fault in either format, and the numbers agree."""
    text = get(server)
    said = promtool("check", "metrics", input=text)
    check(said.strip() == "", said)
    families = set(re.findall(r"^# TYPE (\w+) ", text, re.M))
    helps = set(re.findall(r"^# HELP (\w+) \w", text, re.M))
    check(families == helps, "TYPE and HELP differ:", families ^ helps)
    samples = re.findall(r"^(\w+)(\{.*\})? \S+$", text, re.M)
    check(len(samples) == len(set(samples)), "a series twice:", text)
    check(len(text.splitlines()) == len(samples) + 2 * len(families), text)
    other = get(server, accept=OPEN_METRICS)
    check(other.endswith("\n# EOF\n"), other)
    check(sorted(samples) == sorted(re.findall(r"^(\w+)(\{.*\})? \S+$", other,
                                               re.M)), other)
    check(f'listener="{folder}/a\\"b"' in text, text)


def test_names_and_formats(folder):
    server = start(folder)
    try:
        close(talk(server))
        check_names(server, folder)
        server.stop()
    finally:
        server.kill()


def known_names(folder):
    """The names of all samples, with those of the histogram."""
    server = start(folder)
    try:
        close(talk(server))
        names = set(re.findall(r"^(\w+)(?:\{.*\})? \S+$", get(server), re.M))
        server.stop()
        return names
    finally:
        server.kill()


def test_what_conf_names_exists(folder):
    """The dashboard and the alerts use metrics that exist; the manual has all."""
    names = known_names(folder)
    with open(os.path.join(TOP, "conf", "grafana-dashboard.json"),
              encoding="ascii") as file:
        dashboard = json.load(file)
    expressions = [target["expr"] for panel in dashboard["panels"]
                   for target in panel["targets"]]
    expressions += [str(variable.get("query")) for variable in
                    dashboard["templating"]["list"]]
    with open(RULES, encoding="ascii") as file:
        expressions += re.findall(r"expr: (.*)", file.read())
    used = {name for text in expressions for name in NAME.findall(text)}
    check(len(used) > 15, used)
    check(used <= names, "no such metric:", used - names)
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
    with open(os.path.join(TOP, "man", "timestampd.8"),
              encoding="utf-8") as file:
        manual = set(NAME.findall(file.read().replace("\\&", "")))
    check(shown <= manual, "not in the manual:", shown - manual)
    check(manual <= names | shown, "not a metric:", manual - names - shown)


def test_alerts(_folder):
    promtool("check", "rules", RULES)
    for path in glob.glob(os.path.join(TOP, "tests/metrics/*-test.yml")):
        promtool("test", "rules", path)


def test_a_real_prometheus_has_the_right_numbers(folder):
    server = start(folder, "limits: { max_connections = 500; };")
    try:
        with Prometheus(folder, server.port("http 127.0.0.1"),
                        [RULES]) as prometheus:
            clients = talk(server)
            check_numbers(prometheus, server)
            close(clients)
            prometheus.await_value("timestampd_connections_open",
                                   lambda value: value == 0)
            server.stop()
            prometheus.await_value("up", lambda value: value == 0)
            prometheus.await_value('count(ALERTS{alertname="TimestampdDown"})',
                                   lambda value: value == 1)
    finally:
        server.kill()


def check_numbers(prometheus, server):
    def equals(expression, wanted):
        prometheus.await_value(expression, lambda value: value == wanted)

    equals("up", 1)
    equals("timestampd_connections_open", CLIENTS - 1)
    equals("timestampd_connections_limit", 500)
    equals("timestampd_connections_accepted_total", CLIENTS)
    equals('timestampd_connections_closed_total{cause="client"}', 1)
    equals("sum(timestampd_messages_answered_total)", MESSAGES + DATAGRAMS)
    equals("sum(timestampd_messages_received_total)",
           MESSAGES + DATAGRAMS + OVERSIZE)
    equals('timestampd_sent_bytes_total{protocol="tcp"}',
           MESSAGES * (STAMP + 5))
    equals('timestampd_datagrams_dropped_total{cause="oversize"}', OVERSIZE)
    equals(f'timestampd_listener_clients_total{{listener="*:'
           f'{server.port("tcp *")}"}}', CLIENTS)
    equals("sum(timestampd_listener_datagrams_answered_total)", DATAGRAMS)
    equals('timestampd_answer_delay_seconds_count{protocol="udp"}', DATAGRAMS)
    equals('timestampd_answer_delay_seconds_bucket{protocol="udp",le="+Inf"}',
           DATAGRAMS)
    equals("timestampd_ready", 1)
    equals("timestampd_build_info", 1)
    prometheus.await_value("time() - process_start_time_seconds",
                           lambda value: 0 < value < 3600)
    prometheus.await_value(
        "process_open_fds",
        lambda value: 0 < value - len(os.listdir(
            f"/proc/{server.child.pid}/fd")) + 10 < 20)
    prometheus.await_value("process_resident_memory_bytes",
                           lambda value: 1 << 20 < value < 1 << 30)
    prometheus.await_value(
        'timestampd_answer_delay_seconds_sum{protocol="udp"}',
        lambda value: 0 < value < LIMIT_S)
    check(not prometheus.query('ALERTS{alertstate="firing"}'), "an alert")
