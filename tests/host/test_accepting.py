"""Accepting connections while accept() fails."""

import asyncio
import errno
import logging
import os
import socket
from typing import Any

import pytest

from clusterdns.host import accepting
from clusterdns.host.accepting import Acceptor


class FailingSocket:
    """A listening socket whose accept() raises these errors first."""

    def __init__(self, *errors: int) -> None:
        self.real = socket.create_server(("127.0.0.1", 0))
        self.errors = list(errors)
        self.calls = 0

    def accept(self) -> tuple[socket.socket, Any]:
        self.calls += 1
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, os.strerror(number))
        return self.real.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@pytest.mark.parametrize(
    ("errors", "evicted"),
    [
        ([], []),
        ([errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN], []),
        ([errno.EMFILE], [accepting.EVICTED_AT_ONCE]),
        ([errno.ENFILE, errno.ENOBUFS, errno.ENOMEM], [accepting.EVICTED_AT_ONCE] * 3),
    ],
    ids=["none", "of one connection", "EMFILE", "three shortages"],
)
async def test_a_client_is_accepted_after_errors(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, errors: list[int], evicted: list[int]
) -> None:
    monkeypatch.setattr(accepting, "PAUSE_SECONDS", 0.001)
    listening = FailingSocket(*errors)
    taken: asyncio.Queue[socket.socket] = asyncio.Queue()
    asked: list[int] = []
    acceptor = Acceptor(listening, lambda sock, _: taken.put_nowait(sock), asked.append)  # type: ignore[arg-type]
    acceptor.start(asyncio.get_running_loop())
    with socket.create_connection(listening.getsockname()), await asyncio.wait_for(taken.get(), 30) as found:
        assert not found.getblocking()
    acceptor.close()
    listening.close()
    assert asked == evicted
    assert listening.calls <= len(errors) + 3, "accept() is not called in a loop"
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == bool(evicted), "one warning per shortage"
    assert all("raise the limit of open files" in warning for warning in warnings)


async def test_an_acceptor_that_pauses_can_be_closed() -> None:
    listening = FailingSocket(errno.EMFILE)
    acceptor = Acceptor(listening, lambda sock, _: sock.close(), lambda count: None)  # type: ignore[arg-type]
    acceptor.start(asyncio.get_running_loop())
    acceptor.accept_rest()
    acceptor.close()
    listening.close()
