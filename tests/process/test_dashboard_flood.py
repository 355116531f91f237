"""Clients that ask too much of the live page: bounded for them, while DNS is answered as before."""

import contextlib
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from process.running import WEB, CorefileServer, Start

from clusterdns.plugins.dashboard.events import MAX_STREAMS
from testing.dns_client import question
from testing.waiting import PATIENCE_SECONDS, wait_for

PORT = 8053
CLIENTS = 1000
QUESTIONS = 200
MAX_GROWTH_MIB = 64.0
COREFILE = """
.:1053 {
    bind HOST
    kubernetes cluster.local {
        manifests cluster
    }
    health HOST:8080
    dashboard HOST:8053
}
"""
EVENTS = b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture
def server(start: Start) -> CorefileServer:
    found = start(COREFILE).wait_serving()
    wait_for(lambda: found.get(PORT, "/").status == 200, "the page")
    return found


@contextlib.contextmanager
def connected(
    server: CorefileServer, count: int, request: bytes, receive_bytes: int = 0
) -> Iterator[list[socket.socket]]:
    """Open connections that send this, and leave what comes back unread."""
    with contextlib.ExitStack() as opened:
        clients = []
        for _ in range(count):
            client = opened.enter_context(socket.socket())
            if receive_bytes:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            client.settimeout(PATIENCE_SECONDS)
            client.connect((server.host, PORT))
            with contextlib.suppress(OSError):  # closed already, for one that came later
                client.sendall(request)
            clients.append(client)
        yield clients


def ask_questions(server: CorefileServer) -> int:
    """Ask one question after the other, and count those that are answered at the first try."""
    answered = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_SECONDS)
        client.connect((server.host, 1053))
        for number in range(QUESTIONS):
            client.send(number.to_bytes(2, "big") + question(f"n{number}.{WEB}" if number % 2 else WEB)[2:])
            answered += client.recv(4096)[:2] == number.to_bytes(2, "big")
    return answered


def resident_mib(server: CorefileServer) -> float:
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def status(client: socket.socket) -> str:
    """Return the status of the response on a connection; `closed` where there is none."""
    try:
        return (client.recv(12) or b"closed").decode().removeprefix("HTTP/1.1 ")
    except ConnectionError:
        return "closed"


def test_a_thousand_streams_are_bounded_and_dns_is_answered(server: CorefileServer) -> None:
    before = resident_mib(server)
    with connected(server, CLIENTS, EVENTS) as clients:
        assert ask_questions(server) == QUESTIONS
        statuses = Counter(map(status, clients))
        assert server.get(8080, "/health").status == 200
        assert ask_questions(server) == QUESTIONS
    assert set(statuses) <= {"200", "503", "closed"}
    assert 0 < statuses["200"] <= MAX_STREAMS, statuses
    assert resident_mib(server) - before < MAX_GROWTH_MIB
    wait_for(lambda: server.get(PORT, "/live.json").status == 200, "the page after the flood")
    with connected(server, 1, EVENTS) as (client,):
        wait_for(lambda: status(client) == "200", "a stream after the flood")


def test_clients_that_read_nothing_are_bounded_and_dns_is_answered(server: CorefileServer) -> None:
    before = resident_mib(server)
    with (
        connected(server, 60, EVENTS, receive_bytes=2048),
        connected(server, 60, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 50, receive_bytes=2048),
    ):
        assert ask_questions(server) == QUESTIONS
        assert server.get(PORT, "/").status == 200
        assert server.get(8080, "/health").status == 200
        assert ask_questions(server) == QUESTIONS
    assert resident_mib(server) - before < MAX_GROWTH_MIB


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /?q=" + b"a" * (10 << 20) + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /explain?name=" + b"a" * 4000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /../../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 1000,
    ],
    ids=["query of 10 MiB", "long name", "traversal", "other origin", "large body"],
)
def test_requests_that_are_refused_leave_dns_as_it_is(server: CorefileServer, request_: bytes) -> None:
    with connected(server, 20, request_) as clients:
        assert ask_questions(server) == QUESTIONS
        statuses = Counter(map(status, clients))
    assert all(one == "closed" or one.split()[-1].startswith("4") for one in statuses), statuses
    assert server.err == ""
