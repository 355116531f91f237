"""The upstreams of the benchmarks do what the figures take them to do."""

import itertools
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench import field
from bench.forwarding import new_names
from bench.upstreams import TRUE, Scripted, black_hole, forgeries, question_end, reply_to
from testing import dns_client as ask

NAME = "www.example."


@contextmanager
def client(address: str, kind: socket.SocketKind = socket.SOCK_DGRAM) -> Iterator[socket.socket]:
    host, _, port = address.rpartition(":")
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.settimeout(5)
        sock.connect((host, int(port)))
        yield sock


def test_every_name_has_the_true_address() -> None:
    question = ask.question(NAME)
    with Scripted() as upstream, client(upstream.address) as sock:
        sock.send(question)
        reply = sock.recv(4096)
        assert reply[:2] == question[:2]
        assert ask.has_address(reply, TRUE)
        assert (upstream.asked, upstream.most_pending) == (1, 1)


def test_the_letters_asked_come_back_and_the_opt_does_not() -> None:
    question = ask.question("wWw.eXample.")
    end = question_end(question)
    assert question[end:] != b""
    assert reply_to(question, TRUE)[12:end] == question[12:end]
    assert ask.outcome(reply_to(question, TRUE)) == (ask.NOERROR, 1)


def test_a_thousand_questions_wait_together_on_one_connection() -> None:
    question = ask.question(NAME)
    framed = len(question).to_bytes(2, "big") + question
    with Scripted(pause_seconds=0.1) as upstream, client(upstream.address, socket.SOCK_STREAM) as sock:
        sock.sendall(framed * 1000)
        with sock.makefile("rb") as replies:
            for _ in range(1000):
                assert ask.has_address(replies.read(int.from_bytes(replies.read(2), "big")), TRUE)
        assert (upstream.asked, upstream.most_pending, upstream.most_open) == (1000, 1000, 1)
        upstream.forget()
        assert (upstream.asked, upstream.most_open) == (0, 1)


def test_forgeries_leave_no_id_out() -> None:
    question = ask.question("WWW.example.")
    seen = list(forgeries(question, 70_000, random.Random(1)))
    plain = b"\3www\7example\0"
    assert len(seen) == 70_000
    assert len({one[:2] for one in seen if one[12:].startswith(plain)}) == 1 << 16
    assert not any(TRUE in one for one in seen)
    others = [one for one in seen if not one[12:].startswith(plain)]
    assert {one[:2] for one in others} == {question[:2]}


def test_checks_of_health_are_not_forged() -> None:
    assert not list(forgeries(ask.question(".", "NS"), 100_000, random.Random(1)))


def test_the_black_hole_takes_everything_and_says_nothing() -> None:
    with black_hole() as address, client(address) as sock:
        sock.settimeout(0.05)
        sock.send(ask.question(NAME))
        with pytest.raises(TimeoutError):
            sock.recv(4096)


def test_new_names_are_new() -> None:
    names = [name for name, _ in itertools.islice(new_names(), 1000)]
    assert len(set(names)) == 1000
    assert all(name.endswith(f".new.{field.EXTERNAL}.") for name in names)
