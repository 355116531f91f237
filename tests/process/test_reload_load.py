"""Reload and shutdown under load: no query is lost, and nothing leaks."""

import functools
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import dns.message
from peers import need
from process.running import PORT, WEB, CorefileServer, Start
from process.test_reload import BLOCK, OTHER_BLOCK, reload, rewrite

from testing.waiting import PATIENCE_SECONDS, wait_for

RELOADS = 20
UDP_PER_SECOND, TCP_PER_SECOND = 4_000, 1_000
UDP_BETWEEN, TCP_BETWEEN = 400, 100  # queries answered between two reloads, at least
UPSTREAM_SECONDS = 5.0  # how long a silent upstream is waited for
MAX_LOAD_SECONDS = 600
LATE_SECONDS = 60  # after which a query is lost
MANY_RELOADS = 200
MAX_GROWTH_KIB = 4_096
ENDING_PER_SECOND = 500  # of each transport
LAMEDUCK = BLOCK.replace("ready", "health HOST:8080 {\n lameduck 2s\n }\n ready")


class Load:
    """Run dnsperf within this context; its counts of sent and lost queries are there afterwards."""

    def __init__(self, server: CorefileServer, mode: str, per_second: int) -> None:
        questions = server.folder / "questions"
        questions.write_text(f"{WEB} A\n{WEB} AAAA\nnosuch.{WEB} A\n")
        self._command = [need("dnsperf"), "-s", server.host, "-p", str(PORT), "-d", str(questions), "-m", mode]
        self._command += ["-Q", str(per_second), "-l", str(MAX_LOAD_SECONDS), "-t", str(LATE_SECONDS)]
        self._command += ["-c", "8", "-q", "300"]  # a socket's buffer takes 300 queries while its reader has no core
        self.sent = self.lost = 0
        self.text = ""

    def __enter__(self) -> "Load":
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)  # it prints its counts
        self.text, _errors = self._process.communicate(timeout=2 * LATE_SECONDS)
        self.sent, self.lost = _number(self.text, "sent"), _number(self.text, "lost")


def _number(text: str, what: str) -> int:
    found = re.search(rf"Queries {what}: +(\d+)", text)
    assert found is not None, text
    return int(found[1])


def test_no_query_is_lost_through_reloads(start: Start) -> None:
    server = start(BLOCK).wait_serving()
    corefiles = [BLOCK + OTHER_BLOCK, BLOCK.replace("prometheus", "errors\n prometheus"), BLOCK]
    with Load(server, "udp", UDP_PER_SECOND) as udp, Load(server, "tcp", TCP_PER_SECOND) as tcp:
        for number in range(RELOADS):
            wait_for_load(server)
            rewrite(server, corefiles[number % len(corefiles)])
            reload(server)
        wait_for_load(server)
    for load in (udp, tcp):
        assert load.lost == 0, load.text
        assert load.sent > RELOADS * TCP_BETWEEN, load.text
    assert server.out.count("Reloading complete") == RELOADS
    assert server.out.count("objects of 1 manifest files") == 1, "the cluster is read once"


def wait_for_load(server: CorefileServer) -> None:
    """Wait until the server has answered many more queries over both transports."""
    wanted = {"udp": UDP_BETWEEN, "tcp": TCP_BETWEEN}
    before = {proto: answered(server, proto) for proto in wanted}

    def goes_on() -> bool:
        return all(answered(server, proto) >= before[proto] + count for proto, count in wanted.items())

    wait_for(goes_on, "queries over UDP and TCP")


def answered(server: CorefileServer, proto: str) -> float:
    return server.metric("coredns_dns_requests_total", proto=proto)


def test_two_hundred_reloads_leak_nothing(start: Start) -> None:
    server = start(BLOCK.replace("prometheus", "errors\n cache\n forward . 127.0.0.1:9\n prometheus")).wait_serving()
    reload_often(server, MANY_RELOADS // 4)  # the allocator's own pools fill first
    rss_before, open_before = rss_kib(server), open_files(server)
    reload_often(server, MANY_RELOADS)
    wait_for(lambda: open_files(server) == open_before, "files to be closed")
    assert rss_kib(server) - rss_before < MAX_GROWTH_KIB
    assert server.dig(WEB, "A") == ["10.96.0.10"]


def reload_often(server: CorefileServer, times: int) -> None:
    done = server.out.count("Reloading complete")
    for count in range(done + 1, done + 1 + times):
        server.send_signal(signal.SIGHUP)
        wait_for(functools.partial(_has_reloaded, server, count), "the end of a reload", every_seconds=0.002)


def _has_reloaded(server: CorefileServer, count: int) -> bool:
    return server.out.count("Reloading complete") >= count


def rss_kib(server: CorefileServer) -> int:
    status = Path(f"/proc/{server.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


def open_files(server: CorefileServer) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


class Client(threading.Thread):
    """Asks at a steady pace until the server has ended, and notes what came back."""

    def __init__(self, server: CorefileServer, kind: socket.SocketKind) -> None:
        super().__init__(daemon=True)
        self._kind = kind
        self._sock = socket.socket(socket.AF_INET, kind)
        self._sock.connect((server.host, PORT))
        self._sock.settimeout(0.002)
        self._query = dns.message.make_query(WEB, "A").to_wire()[2:]
        self._buffer = b""
        self.sent: dict[int, float] = {}  # number of each query → when it was sent
        self.answered: set[int] = set()
        self.is_over = False

    def run(self) -> None:
        due = time.monotonic()
        number = 0
        while not self.is_over:
            if time.monotonic() >= due:
                due += 1 / ENDING_PER_SECOND
                if not self._send(number):
                    break
                number += 1
            self._receive()
        while self._receive():  # the server has ended: all that it sent is here
            pass
        self._sock.close()

    def _send(self, number: int) -> bool:
        packet = struct.pack(">H", number) + self._query
        try:
            self._sock.send(packet if self._kind is socket.SOCK_DGRAM else struct.pack(">H", len(packet)) + packet)
        except OSError:  # closed
            return False
        self.sent[number] = time.monotonic()
        return True

    def _receive(self) -> bool:
        """Take what has come; false where there is nothing."""
        try:
            data = self._sock.recv(65_535)
        except OSError:  # none yet, or closed
            return False
        if self._kind is socket.SOCK_DGRAM:
            self.answered.add(int.from_bytes(data[:2], "big"))
            return True
        self._buffer += data
        while len(self._buffer) >= 2 and len(self._buffer) >= 2 + (size := int.from_bytes(self._buffer[:2], "big")):
            self.answered.add(int.from_bytes(self._buffer[2:4], "big"))
            self._buffer = self._buffer[2 + size :]
        return bool(data)


def test_a_silent_upstream_does_not_delay_the_exit(start: Start) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        forward = f"forward . 127.0.0.1:{silent.getsockname()[1]}"
        server = start(f".:{PORT} {{\n bind HOST\n {forward}\n}}\n").wait_serving()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(dns.message.make_query("slow.test.", "A").to_wire(), (server.host, PORT))
            silent.settimeout(PATIENCE_SECONDS)
            silent.recv(512)
            asked_at = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - asked_at < 0.9 * UPSTREAM_SECONDS
    assert server.err == ""


def test_accepted_queries_are_answered_before_the_exit(start: Start) -> None:
    server = start(LAMEDUCK).wait_serving()
    clients = [Client(server, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
    for client in clients:
        client.start()
    wait_for(lambda: all(len(client.answered) > ENDING_PER_SECOND / 2 for client in clients), "queries in flight")
    asked_at = time.monotonic()
    server.send_signal(signal.SIGTERM)
    assert server.wait_ended() == 0, "it does not wait for clients that go on asking"
    for client in clients:
        client.is_over = True
        client.join(PATIENCE_SECONDS)
    for client in clients:
        last = max(client.answered)
        assert client.sent[last] > asked_at, "it answers in the lameduck period"
        assert set(range(last + 1)) <= client.answered, "no gap: all that came before the last one answered"
    assert server.err == ""
