"""The upstream of the benchmarks: replies, pauses and forgeries."""

import itertools
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from bench import servers
from bench.forwarding import new_names
from bench.upstreams import GENUINE, BenchUpstream, forgeries, question_end, reply_to
from testing import dns_client

NAME = "www.example."


@contextmanager
def client(address: str, kind: socket.SocketKind = socket.SOCK_DGRAM) -> Iterator[socket.socket]:
    host, _, port = address.rpartition(":")
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.settimeout(30)
        sock.connect((host, int(port)))
        yield sock


def test_every_name_has_the_genuine_address() -> None:
    question = dns_client.question(NAME)
    with BenchUpstream() as upstream, client(upstream.address) as sock:
        sock.send(question)
        reply = sock.recv(4096)
        assert reply[:2] == question[:2]
        assert dns_client.has_address(reply, GENUINE)
        assert (upstream.query_count, upstream.most_pending) == (1, 1)


def test_the_case_is_copied_and_the_opt_is_not() -> None:
    question = dns_client.question("wWw.eXample.")
    end = question_end(question)
    assert question[end:] != b""
    assert reply_to(question, GENUINE)[12:end] == question[12:end]
    assert dns_client.outcome(reply_to(question, GENUINE)) == (dns_client.NOERROR, 1)


def test_a_thousand_queries_wait_on_one_connection() -> None:
    question = dns_client.question(NAME)
    framed = len(question).to_bytes(2, "big") + question
    with BenchUpstream(pause_seconds=0.1) as upstream, client(upstream.address, socket.SOCK_STREAM) as sock:
        sock.sendall(framed * 1000)
        with sock.makefile("rb") as replies:
            for _ in range(1000):
                assert dns_client.has_address(replies.read(int.from_bytes(replies.read(2), "big")), GENUINE)
        assert (upstream.query_count, upstream.most_pending, upstream.most_open) == (1000, 1000, 1)
        upstream.forget()
        assert (upstream.query_count, upstream.most_open) == (0, 1)


def test_forgeries_cover_every_id() -> None:
    question = dns_client.question("WWW.example.")
    seen = list(forgeries(question, 70_000, random.Random(1)))
    plain = b"\3www\7example\0"
    assert len(seen) == 70_000
    assert len({one[:2] for one in seen if one[12:].startswith(plain)}) == 1 << 16
    assert not any(GENUINE in one for one in seen)
    others = [one for one in seen if not one[12:].startswith(plain)]
    assert {one[:2] for one in others} == {question[:2]}


def test_health_checks_get_no_forgeries() -> None:
    assert not list(forgeries(dns_client.question(".", "NS"), 100_000, random.Random(1)))


def test_new_names_are_unique() -> None:
    names = [name for name, _ in itertools.islice(new_names(), 1000)]
    assert len(set(names)) == 1000
    assert all(name.endswith(f".new.{servers.EXTERNAL}.") for name in names)
