"""Reload within one process: what a configuration keeps of the previous one, and that a failure changes nothing."""

import asyncio
import gc
import logging
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path

import dns.message
import pytest
from fakes.held_clock import turns
from server.in_process import MANIFEST, WEB, Process, ask, ask_over_udp

from clusterdns.chain import StartError
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.objects import Change, Service
from clusterdns.corefile.errors import CorefileErrors, ErrorList
from clusterdns.corefile.load import Corefile, load, load_from_memory, parse
from clusterdns.host.sockets import bind_tcp, bind_udp
from clusterdns.plugins.kubernetes.feed import Feed
from clusterdns.server import reloading
from clusterdns.server.lastgood import MAX_BYTES, LastGood
from clusterdns.server.listeners.takeover import Listeners
from testing.ports import free_ports
from testing.waiting import PATIENCE_SECONDS, until

MAX_LEFT_OVER = 3  # instances of a class, after many reloads, without the help of the collector


@pytest.fixture
def free_port() -> int:
    (port,) = free_ports(1)
    return port


@pytest.fixture
async def process(tmp_path: Path, free_port: int) -> AsyncIterator[Process]:
    (tmp_path / "web.yaml").write_text(MANIFEST)
    process = Process(tmp_path, free_port)
    yield process
    await process.end()


def sockets(listeners: Listeners) -> dict[object, int]:
    return {key: one.sock.fileno() for key, one in listeners._open.items()}


async def test_reload_keeps_index_and_listeners_and_changes_still_reach_answers(process: Process) -> None:
    process.text = process.corefile()
    await process.reloader.begin()
    feed, opened = process.feed, sockets(process.listeners)
    assert await ask(process.port) == ["10.96.0.10"]
    await process.reload(process.corefile("errors", "loadbalance"))
    assert process.feed is feed
    assert sockets(process.listeners) == opened
    assert await ask(process.port) == ["10.96.0.10"]  # compiled again
    old = Service("prod", "web", cluster_ips=("10.96.0.10",))
    feed.index.apply(Change(old, Service("prod", "web", cluster_ips=("10.96.0.99",))))
    assert await ask(process.port) == ["10.96.0.99"]
    assert len(feed.index._dependents._subscribers) == 1, "the previous configuration is not notified any more"


async def test_udp_is_answered_until_the_sockets_close_at_the_end(process: Process) -> None:
    process.text = process.corefile()
    await process.reloader.begin()
    await process.listeners.finish(0)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", process.port)
    query = dns.message.make_query(WEB, "A")
    assert dns.message.from_wire(await ask_over_udp(process.port, query.to_wire())).answer
    process.listeners.close_now()
    with pytest.raises(ConnectionRefusedError):
        await ask_over_udp(process.port, query.to_wire())


async def test_blocks_with_the_same_source_share_an_index(process: Process) -> None:
    process.text = process.corefile() + process.corefile(key="other.local")
    await process.reloader.begin()
    feed = process.feed
    assert feed._users == 2
    await process.reload(process.corefile(key="other.local"))
    assert (process.feed, feed._users) == (feed, 1)


async def test_a_failed_reload_leaves_no_socket_user_or_route(process: Process, free_port: int) -> None:
    process.text = process.corefile("ready 127.0.0.1:0")
    await process.reloader.begin()
    feed, opened = process.feed, sockets(process.listeners)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        other = taken.getsockname()[1]
        for bad in (
            process.corefile("nosuch"),
            process.corefile() + process.corefile().replace("127.0.0.1", "192.0.2.77"),
            process.corefile(f"prometheus 127.0.0.1:{other}"),
            process.corefile(f"}}\nx.:{other} {{\n bind 127.0.0.1\n whoami"),
        ):
            failures = process.reloader._failed.value
            await process.reload(bad)
            assert process.reloader._failed.value == failures + 1, bad
            assert sockets(process.listeners) == opened
            assert process.listeners._fresh == {}
            assert feed._users == 1
            assert process.admin.port("127.0.0.1:0")
            assert await ask(process.port) == ["10.96.0.10"]


async def test_a_poll_tries_a_changed_corefile_once(process: Process) -> None:
    good, bad = process.corefile(), process.corefile("nosuch")
    process.text = good
    await process.reloader.begin()
    failed = process.reloader._failed
    first = process.reloader.running
    for text, failures, warning in (
        (good, 0, ""),
        (bad, 1, "nosuch"),
        (bad, 1, "nosuch"),
        (good, 1, ""),  # taken back
        (bad, 2, "nosuch"),
        (None, 2, "nosuch"),  # missing for a moment
        (bad, 3, "nosuch"),
    ):
        await process.look(text)
        assert (failed.value, warning in process.reloader._warning) == (failures, True), text
        assert process.reloader.running is first
    await process.look(process.corefile("errors"))
    assert process.reloader.running is not first
    assert (failed.value, process.reloader._warning) == (3, "")


async def test_previous_configuration_answers_on_new_sockets_until_the_takeover(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the wildcard to one address: the kernel prefers the new socket at once, and its clients must not wait."""
    process.text = process.corefile().replace("bind 127.0.0.1", "bind 0.0.0.0")
    await process.reloader.begin()
    gate = asyncio.Event()
    start = Feed.start

    async def slow_start(feed: Feed) -> None:
        await gate.wait()
        await start(feed)

    monkeypatch.setattr(Feed, "start", slow_start)
    reloads = asyncio.create_task(process.reload(process.corefile()))
    await until(lambda: process.listeners._fresh, "the new socket")
    assert await ask(process.port) == ["10.96.0.10"]
    assert not reloads.done()
    gate.set()
    await reloads
    assert {key.address for key in process.listeners._open} == {"127.0.0.1"}
    assert await ask(process.port) == ["10.96.0.10"]


@pytest.mark.parametrize("is_failure", [False, True], ids=["that starts", "that does not start"])
async def test_a_new_port_is_answered_over_udp_and_tcp_by_the_configuration(
    process: Process, monkeypatch: pytest.MonkeyPatch, is_failure: bool
) -> None:
    process.text = process.corefile()
    await process.reloader.begin()
    opened, gate, (new_port,) = sockets(process.listeners), asyncio.Event(), free_ports(1)
    start = Feed.start

    async def slow_start(feed: Feed) -> None:
        await gate.wait()
        await start(feed)
        if is_failure:
            raise StartError("as asked")

    monkeypatch.setattr(Feed, "start", slow_start)
    changed = process.corefile("errors") + process.corefile("errors").replace(str(process.port), str(new_port))
    reloads = asyncio.create_task(process.reload(changed))
    await until(lambda: process.listeners._fresh, "the new sockets")
    for port in (process.port, new_port):
        assert await ask(port) == ["10.96.0.10"]
    assert not reloads.done()
    gate.set()
    await reloads
    assert await ask(process.port) == ["10.96.0.10"]
    if is_failure:
        assert sockets(process.listeners) == opened
        bind_tcp("127.0.0.1", new_port).close()
    else:
        assert await ask(new_port) == ["10.96.0.10"]


async def test_a_reload_is_complete_when_the_log_says_so(process: Process, caplog: pytest.LogCaptureFixture) -> None:
    """The Corefile is saved, the warning of a failed reload is gone, and the metrics are those of the new one."""
    process.text = process.corefile("nosuch")
    process.last_good.save(parse(process.corefile(), "Corefile", {}))
    await process.reloader.begin()
    found = []

    class Look(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "Reloading complete":
                saved = process.last_good.load()
                assert saved is not None
                reloader = process.reloader
                found.append(("whoami" in str(saved[0]), reloader._warning, reloader._is_last_good.value))

    look, log = Look(), logging.getLogger("clusterdns")
    log.addHandler(look)
    try:
        with caplog.at_level(logging.INFO):
            await process.reload(process.corefile("reload", "errors", "whoami"))
    finally:
        log.removeHandler(look)
    assert found == [(True, "", 0)]


@pytest.mark.parametrize(
    ("bound", "who_answers"),
    [
        (["bind ::"], {"0.0.0.0": "::", "::": "::"}),
        (["bind 0.0.0.0"], {"0.0.0.0": "0.0.0.0", "::": "0.0.0.0"}),
        (["bind :: 0.0.0.0"], {"0.0.0.0": "0.0.0.0", "::": "::"}),
        (["bind ::", "bind 0.0.0.0"], {"0.0.0.0": "0.0.0.0", "::": "::"}),
        (["bind ::", "bind 127.0.0.1"], {"0.0.0.0": "::", "::": "::", "127.0.0.1": "127.0.0.1"}),
    ],
    ids=str,
)
async def test_either_wildcard_binds_both_families_unless_another_block_has_the_other(
    process: Process, bound: list[str], who_answers: dict[str, str]
) -> None:
    """As in CoreDNS, where Go listens for both families whichever wildcard it is given."""
    blocks = [f"zone{number}.test:{process.port} {{\n {line}\n whoami\n}}" for number, line in enumerate(bound)]
    process.text = "\n".join(blocks)
    await process.reloader.begin()
    assert {key.address: one.point.address for key, one in process.listeners._open.items()} == who_answers


async def test_the_port_is_ours_alone_through_reloads_between_one_address_and_all(process: Process) -> None:
    bound = process.corefile()
    every = bound.replace("bind 127.0.0.1", "")
    shared = bound.replace("bind", "multisocket 2\n bind")
    process.text = bound
    await process.reloader.begin()
    for text in (bound, every, bound, shared, bound, every, shared):
        await process.reload(text)
        await ask(process.port)
        for bind in (bind_udp, bind_tcp):
            with pytest.raises(OSError, match="in use"):
                bind("127.0.0.1", process.port)
        with nullcontext() if text is shared else pytest.raises(OSError, match="in use"):
            bind_udp("127.0.0.1", process.port, shares_port=True).close()


async def test_a_cancelled_reload_is_undone(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    process.text = process.corefile()
    await process.reloader.begin()
    feed, opened = process.feed, sockets(process.listeners)

    async def endless(feed: Feed) -> None:
        feed._users += 1
        await asyncio.Event().wait()

    monkeypatch.setattr(Feed, "start", endless)
    reloads = asyncio.create_task(process.reload(process.corefile().replace(str(process.port), f"{process.port} b.")))
    await until(lambda: feed._users == 2, "the start")
    reloads.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reloads
    assert (feed._users, len(feed.index._dependents._subscribers), sockets(process.listeners)) == (1, 1, opened)
    assert await ask(process.port) == ["10.96.0.10"]


async def test_queries_that_wait_in_the_previous_configuration_are_answered(
    process: Process, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upstream answers after the swap, and the sockets of `forward` are closed after that."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(reloading, "GRACE_SECONDS", PATIENCE_SECONDS)
    loop = asyncio.get_running_loop()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as upstream,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as client,
    ):
        upstream.bind(("127.0.0.1", 0))
        process.text = f".:{process.port} {{\n bind 127.0.0.1\n forward . 127.0.0.1:{upstream.getsockname()[1]}\n}}\n"
        await process.reloader.begin()
        client.connect(("127.0.0.1", process.port))
        await loop.sock_sendall(client, dns.message.make_query("slow.test.", "A", id=7).to_wire())
        readable = asyncio.Event()
        loop.add_reader(upstream, readable.set)
        await asyncio.wait_for(readable.wait(), PATIENCE_SECONDS)
        loop.remove_reader(upstream)
        asked, server = upstream.recvfrom(4096)
        reloads = asyncio.create_task(process.reload(process.corefile()))
        before = process.reloader.running
        await until(lambda: process.reloader.running is not before, "the takeover")
        await until(lambda: "Reloading complete" in caplog.text, "what follows it")
        await turns()
        assert not reloads.done()
        upstream.sendto(dns.message.make_response(dns.message.from_wire(asked)).to_wire(), server)
        assert dns.message.from_wire(await asyncio.wait_for(loop.sock_recv(client, 4096), PATIENCE_SECONDS)).id == 7
        await asyncio.wait_for(reloads, PATIENCE_SECONDS)


async def test_reloads_leave_no_objects_behind_without_a_collection(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = process.corefile("errors", "loadbalance", "ready 127.0.0.1:0", "prometheus 127.0.0.1:0")
    process.text = text
    await process.reloader.begin()
    await ask(process.port)
    await process.reload(text)
    gc.collect()
    monkeypatch.setattr(gc, "collect", lambda: 0)
    gc.disable()
    try:
        before = of_ours()
        for _ in range(20):
            await process.reload(text)
            await ask(process.port)
        grown = of_ours() - before
    finally:
        gc.enable()
    assert {name: count for name, count in grown.items() if count > MAX_LEFT_OVER} == {}


def of_ours() -> Counter[str]:
    types = (type(one) for one in gc.get_objects())
    return Counter(one.__qualname__ for one in types if str(one.__module__).startswith("clusterdns."))


async def test_last_good_configuration_starts_where_the_first_has_errors(process: Process, tmp_path: Path) -> None:
    process.text = process.corefile()
    process.last_good.save(process._load(ErrorList()))
    process.text = process.corefile("nosuch")
    await process.reloader.begin()
    assert await ask(process.port) == ["10.96.0.10"]
    assert process.reloader._is_last_good.value == 1
    assert process.reloader.running is not None
    assert "nosuch" in "".join(process.reloader.running.configuration.shared.warnings().values())
    await process.reload(process.corefile("errors"))
    assert process.reloader._is_last_good.value == 0
    assert process.reloader.running.configuration.shared.warnings() == {}


@pytest.mark.parametrize(
    "kept", [b"", b"{}", b'{"version":2,"saved_at":"","files":[]}', b'{"version":1,"saved_at":"","files":[]}', b"\xff"]
)
async def test_an_invalid_state_file_is_ignored(process: Process, tmp_path: Path, kept: bytes) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "last-good-corefile.json").write_bytes(kept)
    process.text = process.corefile("nosuch")
    with pytest.raises(CorefileErrors):
        await process.reloader.begin()


async def test_the_first_error_is_raised_where_the_last_good_one_fails_too(process: Process) -> None:
    process.text = process.corefile().replace("127.0.0.1", "192.0.2.77")
    process.last_good.save(process._load(ErrorList()))
    process.text = process.corefile().replace("127.0.0.1", "192.0.2.78")
    with pytest.raises(StartError, match=r"192\.0\.2\.78"):
        await process.reloader.begin()


def test_imports_are_saved_and_loaded(tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text("import *.server\nimport snippets/one\n")
    (tmp_path / "a.server").write_text("a. {\n whoami\n}\n")
    (tmp_path / "b.server").write_text("b. {\n whoami\n}\n")
    (tmp_path / "snippets").mkdir()
    (tmp_path / "snippets" / "one").write_text("c. {\n whoami\n}\n")
    last_good = LastGood(str(tmp_path / "state"))
    corefile = load_file(tmp_path)
    last_good.save(corefile)
    for path in tmp_path.glob("*.server"):
        path.unlink()
    kept = last_good.load()
    assert kept is not None
    again = load_from_memory(kept[0], {})
    assert [block.zones_text for block in again.blocks] == [("a.",), ("b.",), ("c.",)]
    assert again.sha512 == corefile.sha512


def load_file(folder: Path) -> Corefile:
    return load(str(folder / "Corefile"), environ={})


def test_a_corefile_too_large_is_not_saved(tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text(". {\n whoami\n}\n" + "#" * MAX_BYTES)
    LastGood(str(tmp_path / "state")).save(load_file(tmp_path))
    assert not (tmp_path / "state").exists()


def test_an_index_notifies_each_subscription() -> None:
    notified: list[int] = []
    index = Index()
    index.subscribe(len)
    index.subscribe(len)
    index.unsubscribe(len)
    index.subscribe(lambda dependencies: notified.append(len(dependencies)))
    index.apply(Change(None, Service("prod", "web", cluster_ips=("10.96.0.10",))))
    assert notified == [3]  # the Service, its address, and any Service
    assert len(index._dependents._subscribers) == 2
