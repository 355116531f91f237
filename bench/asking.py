"""Asks a server for names at a fixed rate, and keeps the answers until they are judged.

dnsperf makes more load, but does not say which question was answered with what, and when.
"""

import select
import socket
import threading
import time
from collections.abc import Callable
from functools import lru_cache

from dnslib import QTYPE, DNSRecord

from bench.truth import Answer, Truth
from testing import dns_client
from testing.ports import LOOPBACK

LOST_SECONDS = 2.0
_JUDGE_AFTER_SECONDS = 1.5
_CODES = (dns_client.NOERROR, dns_client.NXDOMAIN)


class Asker:
    """A thread that asks one server. `next_name` chooses the names; `late` and `wrong` grow as answers are judged."""

    def __init__(self, port: int, truth: Truth, next_name: Callable[[], str], per_second: int) -> None:
        self.asked = 0
        self.failed = 0  # SERVFAIL and the like
        self.lost_at: list[float] = []  # when each question without a reply was sent
        self.wrong: list[tuple[Answer, str]] = []
        self.late: list[tuple[Answer, float]] = []  # with the time at which what it shows ceased to be true
        self.lateness: list[float] = []  # seconds, of every answer
        self._port = port
        self._truth = truth
        self._next_name = next_name
        self._gap = 1.0 / per_second
        self._open: dict[bytes, tuple[str, float]] = {}
        self._answers: list[Answer] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def forget(self) -> None:
        """Judge what was answered, and begin to count anew."""
        self.judge()
        self.asked = self.failed = 0
        self.wrong, self.late, self.lateness, self.lost_at = [], [], [], []

    def stop(self) -> None:
        """Stop asking, and judge what was answered."""
        time.sleep(LOST_SECONDS)
        self._stopping.set()
        self._thread.join()
        self.judge()

    def judge(self) -> None:
        """Judge the answers of which the truth is known by now."""
        ripe = time.monotonic() - _JUDGE_AFTER_SECONDS
        answers, self._answers = self._answers, []
        for answer in answers:
            if answer.replied > ripe:
                self._answers.append(answer)
                continue
            if answer.code not in _CODES:
                self.failed += 1
                continue
            wrong, late_since = self._truth.judge(answer)
            if wrong:
                self.wrong.append((answer, wrong))
            elif late_since < answer.asked:
                self.late.append((answer, late_since))
            self.lateness.append(max(0.0, answer.asked - late_since))

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((LOOPBACK, self._port))
            sock.setblocking(False)
            number, due = 0, time.monotonic()
            while not self._stopping.is_set():
                number = number % 0xFFFF + 1
                self._ask(sock, number.to_bytes(2, "big"))
                due = max(due + self._gap, time.monotonic())  # never catches up in a burst
                while select.select([sock], [], [], max(0.0, due - time.monotonic()))[0]:
                    self._receive(sock)

    def _ask(self, sock: socket.socket, message_id: bytes) -> None:
        name = self._next_name()
        now = time.monotonic()
        self.asked += 1
        self._open[message_id] = name, now
        while self._open and now - next(iter(self._open.values()))[1] > LOST_SECONDS:
            self.lost_at.append(self._open.pop(next(iter(self._open)))[1])
        try:
            sock.send(message_id + _question(name)[2:])
        except OSError:  # the server has ended: the question is lost
            return

    def _receive(self, sock: socket.socket) -> None:
        try:
            reply = sock.recv(dns_client.MAX_DATAGRAM_BYTES)
        except OSError:  # no server listens
            return
        if opened := self._open.pop(reply[:2], None):
            code, addresses = _content(reply[2:])
            self._answers.append(Answer(*opened, time.monotonic(), code, addresses))


@lru_cache(1 << 14)
def _question(name: str) -> bytes:
    return dns_client.question(name)


@lru_cache(1 << 14)
def _content(reply: bytes) -> tuple[int, frozenset[bytes]]:
    """Read the response code and the addresses of a reply without its ID."""
    record = DNSRecord.parse(b"\0\0" + reply)
    addresses = frozenset(bytes(one.rdata.data) for one in record.rr if one.rtype == QTYPE.A)
    return record.header.rcode, addresses
