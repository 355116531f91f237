"""A fault at each step of a reload, under load: it is complete or undone, no query is lost, and the log says which."""

import asyncio
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dns.message
import pytest
from server.in_process import MANIFEST, WEB, Process

from clusterdns.admin.http import AdminHttp
from clusterdns.chain import LifeCycle, Part
from clusterdns.server import assembly, reloading
from clusterdns.server.instance import Instance
from clusterdns.server.lastgood import LastGood
from clusterdns.server.listeners import takeover, tcp, udp
from clusterdns.server.shared import SharedState
from testing.ports import free_ports
from testing.waiting import PATIENCE_SECONDS, until

OLD_TTL, NEW_TTL = 5, 30


class Fault(Exception):
    """The fault that a test injects."""


async def _fails(*_: Any, **__: Any) -> None:
    raise Fault("as asked")


def _raises(*_: Any, **__: Any) -> None:
    raise Fault("as asked")


def _raises_os_error(*_: Any, **__: Any) -> None:
    raise OSError(24, "Too many open files")


Inject = Callable[[pytest.MonkeyPatch], None]


def _method(kind: Any, name: str, fault: Callable[..., Any] = _raises) -> Inject:
    return lambda patch: patch.setattr(kind, name, fault)


def _hook(**hooks: Callable[[], Awaitable[None]]) -> Inject:
    """Add a part with these callbacks to each configuration that is built from now on."""

    def inject(patch: pytest.MonkeyPatch) -> None:
        build = assembly.Draft.build

        def with_part(draft: assembly.Draft) -> assembly.Configuration:
            configuration = build(draft)
            configuration.shared.parts.insert(0, Part("faulty", life=LifeCycle(**hooks)))
            return configuration

        patch.setattr(assembly.Draft, "build", with_part)

    return inject


def _on_second_call(kind: Any, name: str) -> Inject:
    """Fail in the second use: part of the work is done by then."""

    def inject(patch: pytest.MonkeyPatch) -> None:
        real, calls = getattr(kind, name), 0

        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 2:
                _raises_os_error()
            return real(*arguments, **options)

        patch.setattr(kind, name, call)

    return inject


def _at_its_end(kind: Any, name: str) -> Inject:
    real = getattr(kind, name)

    async def call(*arguments: Any) -> None:
        await real(*arguments)
        raise Fault("as asked")

    return lambda patch: patch.setattr(kind, name, call)


UNDONE: dict[str, Inject] = {
    "parsing": _method(reloading, "draft"),
    "building": _method(assembly.Draft, "build"),
    "making an instance": _method(reloading, "Instance"),
    "binding": _method(takeover, "bind_udp", _raises_os_error),
    "binding the second socket": _on_second_call(takeover, "bind_tcp"),
    "reading from a new socket": _on_second_call(udp.UdpListener, "start"),
    "starting a part": _hook(start=_fails),
    "starting a part that cannot be stopped either": _hook(start=_fails, stop=_fails),
    "readiness": _method(Instance, "unready"),
    "opening pages": _method(AdminHttp, "apply", _fails),
    "listening": _on_second_call(tcp.TcpListener, "start"),
    "making answer tables at the takeover": _on_second_call(SharedState, "new_table"),
}
COMPLETE: dict[str, Inject] = {
    "serving": _hook(serving=_fails),
    "serving, without waiting": _hook(serving=_raises),  # type: ignore[arg-type]
    "showing the version": _method(reloading.Reloader, "_show_version"),
    "settling": _method(takeover.Listeners, "settle", _fails),
    "closing a listener": _at_its_end(takeover._BoundSocket, "close"),
    "collecting": _method(reloading.Reloader, "_collect"),
    "saving the last good configuration": _method(LastGood, "save"),
    "stopping the new parts later": _hook(stop=_fails),
}


class Load:
    """Clients that ask all the time, over UDP and TCP; each query is answered, with the data of the old or new one."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answered = 0
        self.ttls: list[int] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(one()) for one in (self._over_udp, self._over_udp, self._over_tcp)]
        try:
            yield
            enough = self.answered + 20
            await until(
                lambda: self.answered >= enough or any(one.done() for one in tasks), "the load to go on after a reload"
            )
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in outcomes), outcomes

    def _check(self, message: bytes) -> None:
        reply = dns.message.from_wire(message)
        assert [str(one) for rrset in reply.answer for one in rrset] == ["10.96.0.10"], reply
        self.ttls.append(reply.answer[0].ttl)
        self.answered += 1

    async def _over_udp(self) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            sock.connect(("127.0.0.1", self.port))
            while True:
                await loop.sock_sendall(sock, dns.message.make_query(WEB, "A").to_wire())
                async with asyncio.timeout(PATIENCE_SECONDS):  # `wait_for` may swallow a cancellation before 3.12
                    message = await loop.sock_recv(sock, 4096)
                self._check(message)
                await asyncio.sleep(0.001)

    async def _over_tcp(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            while True:
                packet = dns.message.make_query(WEB, "A").to_wire()
                writer.write(struct.pack(">H", len(packet)) + packet)
                async with asyncio.timeout(PATIENCE_SECONDS):
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    self._check(await reader.readexactly(size))
                await asyncio.sleep(0.001)
        finally:
            writer.transport.abort()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def ports() -> list[int]:
    return free_ports(2)


@pytest.fixture
async def process(tmp_path: Path, ports: list[int]) -> AsyncIterator[Process]:
    (tmp_path / "web.yaml").write_text(MANIFEST)
    process = Process(tmp_path, ports[0])
    process.text = corefile(process)
    await process.reloader.begin()
    yield process
    await process.end()


def corefile(process: Process, *, ttl: int = OLD_TTL, more: str = "") -> str:
    text = process.corefile("reload 1h", "ready 127.0.0.1:0", "errors")
    return text.replace("manifests ", f"ttl {ttl}\n manifests ") + more


async def reload(process: Process, text: str) -> None:
    """Reload as the task of the process does, which is the edge for unexpected errors."""
    process.text = text
    requests, is_done = iter([True]), asyncio.Event()

    async def wait_for_request(seconds: float | None) -> bool:
        if not next(requests, False):
            is_done.set()
            await asyncio.Event().wait()
        return True

    process.reloader._wait_for_request = wait_for_request  # type: ignore[method-assign]
    following = asyncio.create_task(process.reloader.follow())
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await is_done.wait()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def ends(caplog: pytest.LogCaptureFixture) -> tuple[int, int]:
    """The lines that report a failed and a complete reload."""
    lines = [record.getMessage() for record in caplog.records]
    failed = sum(line.startswith("Restart failed") for line in lines)
    return failed, lines.count("Reloading complete")


async def come_back_to(opened: int, tasks: int) -> None:
    """Wait until no more descriptors are open and no more tasks run than before; connections close a little later."""
    await until(lambda: descriptors() <= opened and len(asyncio.all_tasks()) <= tasks, "sockets and tasks to end")


def connections(process: Process) -> list[object]:
    opened = (one.listener for one in process.listeners._open.values())
    return [connection for one in opened if isinstance(one, tcp.TcpListener) for connection in one.table.connections]


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("step", UNDONE)
async def test_a_fault_before_the_takeover_is_undone(
    process: Process, ports: list[int], step: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    more = f"other.test:{ports[1]} {{\n bind 127.0.0.1 127.0.0.2\n whoami\n}}\n"
    async with Load(process.port).running():
        pass  # the event loop opens what it keeps itself
    await until(lambda: not connections(process), "the connections of the load to end")
    await settled()
    running, opened, tasks = process.reloader.running, descriptors(), len(asyncio.all_tasks())
    load = Load(process.port)
    async with load.running():
        with monkeypatch.context() as patch:
            UNDONE[step](patch)
            await reload(process, corefile(process, ttl=NEW_TTL, more=more))
        assert process.reloader.running is running
    assert ends(caplog) == (1, 0)
    assert set(load.ttls) == {OLD_TTL}
    assert process.reloader._failed.value == 1
    assert "previous" in process.reloader._warning
    await come_back_to(opened, tasks)
    async with load.running():
        await reload(process, corefile(process, ttl=NEW_TTL, more=more))
    assert ends(caplog) == (1, 1)
    assert load.ttls[-1] == NEW_TTL
    assert process.reloader._warning == ""


@pytest.mark.parametrize("step", COMPLETE)
async def test_a_fault_after_the_takeover_does_not_stop_the_new_configuration(
    process: Process, ports: list[int], step: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    more = f"other.test:{ports[1]} {{\n bind 127.0.0.1\n whoami\n}}\n"
    await reload(process, corefile(process, more=more))
    await settled()
    opened, before = descriptors(), process.reloader.running
    caplog.clear()
    load = Load(process.port)
    async with load.running():
        with monkeypatch.context() as patch:
            COMPLETE[step](patch)
            await reload(process, corefile(process, ttl=NEW_TTL))
            if step == "stopping the new parts later":
                await reload(process, corefile(process, ttl=NEW_TTL, more="# again\n"))
        assert process.reloader.running is not before
    assert load.ttls[-1] == NEW_TTL
    assert ends(caplog)[0] == 0, "the reload took place"
    assert any(record.levelno >= logging.ERROR for record in caplog.records), "the fault is logged"
    assert process.reloader._failed.value == 0
    assert (before is not None and before._dispatches) == {}, "the previous configuration is stopped"
    async with load.running():
        await reload(process, corefile(process, more=more))
        await reload(process, corefile(process))
    assert load.ttls[-1] == OLD_TTL
    await come_back_to(opened, len(asyncio.all_tasks()))  # what could not be closed is closed by a later reload


async def test_a_part_that_does_not_stop_is_left_behind(
    process: Process, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hangs() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("clusterdns.server.instance.STOP_SECONDS", 0.01)
    with monkeypatch.context() as patch:
        _hook(stop=hangs)(patch)
        await reload(process, corefile(process))
    await reload(process, corefile(process, ttl=NEW_TTL))
    assert "stopping plugin/faulty failed: TimeoutError()" in caplog.text


@pytest.mark.parametrize("fault", [_fails, _raises])
async def test_a_first_start_goes_on_after_a_fault_of_serving(
    tmp_path: Path, ports: list[int], fault: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "web.yaml").write_text(MANIFEST)
    process = Process(tmp_path, ports[0])
    process.text = corefile(process)
    _hook(serving=fault)(monkeypatch)
    try:
        await process.reloader.begin()
        assert "plugin/faulty: its work after the start failed: Fault('as asked')" in caplog.text
        async with Load(process.port).running():
            pass
    finally:
        await process.end()


@pytest.mark.parametrize("step", [one for one in UNDONE if one not in ("readiness",)])
async def test_a_first_start_that_fails_leaves_nothing(
    tmp_path: Path, ports: list[int], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "web.yaml").write_text(MANIFEST)
    process = Process(tmp_path, ports[0])
    process.text = corefile(process, more=f"other.test:{ports[1]} {{\n bind 127.0.0.1\n whoami\n}}\n")
    for attempt in range(3):
        with monkeypatch.context() as patch:
            UNDONE[step](patch)
            with pytest.raises(Exception, match=r"as asked|oo many open files"):
                await process.reloader.begin()
        assert process.reloader.running is None
        await settled()
        if not attempt:  # the event loop has opened what it keeps itself
            opened, tasks = descriptors(), len(asyncio.all_tasks())
    await come_back_to(opened, tasks)
    await process.reloader.begin()
    async with Load(process.port).running():
        pass
    await process.end()
