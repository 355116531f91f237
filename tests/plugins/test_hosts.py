"""`hosts`: dependencies of its answers, following the file, and the errors of the directive."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from fakes.metrics import collect
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.chain import BlockContext, Part, Query, Reply
from clusterdns.corefile.checks import check_repetition
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors, ErrorList
from clusterdns.corefile.load import parse
from clusterdns.host import followed_file
from clusterdns.plugins.hosts import directive as hosts
from clusterdns.plugins.hosts.handler import HostsHandler
from clusterdns.plugins.hosts.hosts_file import HostsFile
from clusterdns.plugins.hosts.settings import HostsSettings
from clusterdns.plugins.hosts.table import HostsTable, address_from_text, name_from_text
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire import codes
from clusterdns.wire.encode import encode
from clusterdns.wire.name import ROOT, from_text, to_text

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]
MINUTE_NS = 60 * 10**9


async def below(query: Query) -> Reply:
    """Answer NXDOMAIN, reusable, as the next plugin."""
    return Reply(codes.NXDOMAIN, dependencies=("below",), reusable=True)


@pytest.fixture
def make_part(read_directives: ReadDirectives, context: BlockContext) -> Callable[[str], Part]:
    def make(text: str) -> Part:
        return hosts.build(hosts.parse(read_directives(text), context), context)

    return make


MakePart = Callable[[str], Part]


async def test_every_answer_depends_on_the_file(make_part: MakePart, make_query: MakeQuery, tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("10.0.0.1 a.cluster.local")
    part = make_part(f"hosts {path} {{\nfallthrough other.cluster.local\n}}")
    assert part.handling.wrap is not None
    assert part.life.start is not None
    assert part.life.stop is not None
    await part.life.start()
    handler = part.handling.wrap(below)
    ours = await handler(make_query("a.cluster.local"))
    passed = await handler(make_query("b.other.cluster.local"))
    refused = await handler(make_query("b.cluster.local"))
    await part.life.stop()
    assert (ours.rcode, ours.reusable, len(ours.dependencies)) == (codes.NOERROR, True, 1)
    assert (passed.rcode, passed.reusable, passed.dependencies) == (codes.NXDOMAIN, True, ("below", *ours.dependencies))
    assert (refused.rcode, refused.is_written) == (codes.SERVFAIL, False)
    assert refused.error == "hosts: the name is not listed, and no fallthrough includes it"
    assert part.handling.is_for_in_only


class Followed:
    """A hosts file with a fake clock, and what it reports."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now_ns = 0
        self.changes = 0
        self.registry = Registry()
        self.file = HostsFile(
            str(path), HostsTable, self.count_change, self.registry, inline_count=1, now_ns=lambda: self.now_ns
        )

    def count_change(self) -> None:
        self.changes += 1

    def write(self, content: bytes, age_ns: int = MINUTE_NS) -> None:
        self.path.write_bytes(content)
        self.now_ns = self.path.stat().st_mtime_ns + age_ns

    async def addresses(self, name: str) -> bytes:
        await self.file.poll()
        return self.file.table.v4(from_text(name))

    def number(self, metric: str) -> float:
        found = {sample.name: sample.value for family in collect(self.registry) for sample in family.samples}
        return found.get(metric, -1)


@pytest.fixture
def followed(tmp_path: Path) -> Followed:
    return Followed(tmp_path / "hosts")


async def test_a_changed_file_is_read_again(followed: Followed) -> None:
    followed.write(b"10.0.0.1 a b")
    assert await followed.addresses("a") == bytes((10, 0, 0, 1))
    assert followed.number("coredns_hosts_entries") == 5
    assert followed.number("coredns_hosts_reload_timestamp_seconds") == followed.path.stat().st_mtime_ns / 1e9
    followed.write(b"10.0.0.2 a")
    assert await followed.addresses("a") == bytes((10, 0, 0, 2))
    assert followed.number("coredns_hosts_entries") == 3
    assert followed.changes == 2


async def test_equal_content_changes_nothing(followed: Followed) -> None:
    followed.write(b"10.0.0.1 a")
    await followed.file.poll()
    table = followed.file.table
    followed.write(b"10.0.0.1 a")
    await followed.file.poll()
    assert followed.file.table is table
    assert followed.changes == 1


async def test_a_swapped_link_is_followed(followed: Followed, tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / f"..{number}"
        folder.mkdir()
        (folder / "hosts").write_text(f"10.0.0.{number} a")
        os.utime(folder / "hosts", ns=(MINUTE_NS, MINUTE_NS))
        (tmp_path / "new").symlink_to(folder)
        os.replace(tmp_path / "new", tmp_path / "..data")
        if number == 1:
            followed.path.symlink_to(tmp_path / "..data" / "hosts")
        followed.now_ns = 2 * MINUTE_NS
        assert await followed.addresses("a") == bytes((10, 0, 0, number))


async def test_content_that_changes_while_the_status_stays_is_seen_in_a_recent_file(followed: Followed) -> None:
    followed.write(b"10.0.0.1 a", age_ns=10**9)
    await followed.file.poll()
    status = followed.path.stat()
    followed.path.write_bytes(b"10.0.0.2 a")
    os.utime(followed.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert await followed.addresses("a") == bytes((10, 0, 0, 2))


async def test_a_file_that_is_being_written_is_left_for_the_next_poll(followed: Followed) -> None:
    followed.write(b"10.0.0.1 a")
    await followed.file.poll()
    followed.write(b"", age_ns=10**6)
    assert await followed.addresses("a") == bytes((10, 0, 0, 1))
    followed.now_ns += MINUTE_NS
    assert await followed.addresses("a") == b""


def remove(path: Path) -> None:
    path.unlink()


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_binary(path: Path) -> None:
    path.write_bytes(b"10.0.0.2 a\n\0")


def make_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 << 20)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (remove, "No such file or directory"),
        (make_folder, "is not a regular file"),
        (make_binary, "is not text: it contains NUL bytes"),
        (make_large, "is larger than 32 MiB"),
    ],
)
async def test_the_last_good_content_stays_when_the_file_is_damaged(
    followed: Followed, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None], problem: str
) -> None:
    caplog.set_level(logging.INFO, "clusterdns")
    followed.write(b"10.0.0.1 a")
    await followed.file.poll()
    damage(followed.path)
    followed.now_ns += 2 * 10**18
    for _ in range(3):
        assert await followed.addresses("a") == bytes((10, 0, 0, 1))
    message = f"{followed.path}: {problem}"
    assert [one.getMessage() for one in caplog.records] == [f"{message}; serving its last good content"]
    assert followed.file.problem == message
    assert followed.number("clusterdns_hosts_read_failures_total") == 1
    if followed.path.is_dir():
        followed.path.rmdir()
    followed.write(b"10.0.0.3 a")
    assert await followed.addresses("a") == bytes((10, 0, 0, 3))
    assert caplog.records[-1].getMessage() == f"{followed.path} can be read again"
    assert followed.file.problem == ""


async def test_a_file_that_appears_later_is_read(followed: Followed, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        assert await followed.addresses("a") == b""
    assert caplog.records == []  # parsing the directive has logged it
    followed.write(b"10.0.0.1 a")
    assert await followed.addresses("a") == bytes((10, 0, 0, 1))


async def test_the_null_device_is_an_empty_file(followed: Followed, caplog: pytest.LogCaptureFixture) -> None:
    followed.path.symlink_to(os.devnull)
    for _ in range(2):
        assert await followed.addresses("a") == b""
    assert (caplog.records, followed.file.problem) == ([], "")
    followed.path.unlink()
    followed.write(b"10.0.0.1 a")
    assert await followed.addresses("a") == bytes((10, 0, 0, 1))


async def test_a_file_that_is_damaged_from_the_start_serves_no_names(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    followed.write(b"\0")
    assert await followed.addresses("a") == b""
    assert caplog.messages == [f"{followed.path}: is not text: it contains NUL bytes; no names of it are served"]


async def test_the_event_loop_runs_while_a_large_file_is_read(followed: Followed) -> None:
    followed.write(b"".join(b"0.0.0.0 ads%d.example\n" % number for number in range(5000)))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await followed.file.poll()
    counting.cancel()
    assert followed.file.table.entry_count == 10_000
    assert turns >= 5000 // 250


def lines(text: str, count: int = 20_000) -> bytes:
    return "".join([text % number for number in range(count)]).encode()


@pytest.mark.parametrize(
    ("content", "name", "qtype", "least"),
    [
        (lines("0.0.0.0 ads%d.example\n"), "0.0.0.0.in-addr.arpa", "PTR", 14),
        (b"0.0.0.0" + lines(" ads%d.example"), "0.0.0.0.in-addr.arpa", "PTR", 14),
        (lines("10.0.0.%d big.example\n", 256) * 80, "big.example", "A", 16),
        (lines("fd00::%x big.example\n"), "big.example", "AAAA", 28),
    ],
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_twenty_thousand_records_of_one_name_fill_a_message(
    make_query: MakeQuery, content: bytes, name: str, qtype: str, least: int, transport: str
) -> None:
    table = HostsTable()
    interned = [sum(map(len, table._interned)) for _ in table.load(content)]
    assert len(interned) >= 20_000 // 251
    assert max(interned) < 20_000  # bytes; all lists of the addresses of a name would be 300 MB
    settings = HostsSettings("", (ROOT,))
    file = cast(HostsFile, SimpleNamespace(table=table, is_read=True))
    query = make_query(name, qtype, transport=transport)
    reply = await HostsHandler(settings, file, HostsTable(), below)(query)
    encoded = encode(query, reply)
    assert 65535 // least < len(reply.answer) < 65535 // 12
    assert encoded.is_truncated
    assert query.size_limit - 40 < len(encoded.message()) < query.size_limit


@pytest.mark.parametrize("line", [b"# a comment\n", b"\n", b"10.0.0.1\n", b"nowhere name\n", b"10.0.0.1 a b\n"])
def test_lines_of_any_kind_are_read_in_slices(line: bytes) -> None:
    assert sum(1 for _ in HostsTable().load(line * 20_000)) >= 20_000 // 251


async def test_a_change_of_the_file_forgets_its_answers(
    make_part: MakePart, make_query: MakeQuery, shared: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_file, "_RECENT_NS", 0)
    path = tmp_path / "hosts"
    path.write_text("10.0.0.1 a.cluster.local")
    part = make_part(f"hosts {path} {{\nreload 1ms\n}}")
    assert part.handling.wrap is not None
    assert part.life.start is not None
    assert part.life.stop is not None
    handler = part.handling.wrap(below)
    await part.life.start()
    first = await handler(make_query("a.cluster.local"))
    path.write_text("10.0.0.2 a.cluster.local")
    forgotten = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(shared, "forget", forgotten.set_result)
    async with asyncio.timeout(30):
        dependencies = await forgotten
    second = await handler(make_query("a.cluster.local"))
    await part.life.stop()
    assert dependencies == first.dependencies
    assert [one.rdata for reply in (first, second) for one in reply.answer] == [
        bytes((10, 0, 0, 1)),
        bytes((10, 0, 0, 2)),
    ]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("ttl", 3, "Wrong argument count"),
        ("ttl 0", 3, "'0' is out of range; write 1 to 65535"),
        ("ttl 65536", 3, "'65536' is out of range; write 1 to 65535"),
        ("ttl 1m", 3, "'1m' is not an integer"),
        ("reload 5", 3, "'5' is not a duration"),
        ("reload -5s", 3, "'-5s' is out of range"),
        ("fallthrough\n10.0.0.1 a", 4, "unknown property '10.0.0.1'; write lines with an address before 'fallthrough'"),
        ("fallthrough\nreloads 5s", 4, "unknown property 'reloads'; did you mean 'reload'?"),
        ("fallthrough_unsupported", 2, "fallthrough_unsupported requires fallthrough"),
    ],
)
def test_errors_name_their_line(
    read_directives: ReadDirectives, context: BlockContext, text: str, line: int, problem: str
) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        hosts.parse(read_directives(f"hosts {{\n{text}\n}}"), context)
    assert str(error.value).startswith(f"Corefile:{line}: {problem}")


def test_a_second_hosts_in_a_block_names_both_lines() -> None:
    errors = ErrorList()
    blocks = parse(". {\nhosts\nhosts /etc/hosts\n}\n", "Corefile", {}).blocks
    assert hosts.PLUGIN.once
    check_repetition(blocks, {"hosts"}, errors)
    assert [str(error).partition(";")[0] for error in errors.errors] == [
        "Corefile:3: 'hosts': this plugin can only be used once per Server Block, and is used at Corefile:2"
    ]


@pytest.mark.parametrize(
    ("where", "warning"),
    [
        ("missing", "File does not exist: {folder}/missing"),
        (".", 'Hosts file "{folder}/." is a directory'),
    ],
)
def test_a_missing_file_and_a_folder_are_warned_of(
    read_directives: ReadDirectives, context: BlockContext, caplog: pytest.LogCaptureFixture, tmp_path: Path,
    where: str, warning: str,
) -> None:  # fmt: skip
    hosts.parse(read_directives(f"hosts {tmp_path}/{where}"), context)
    assert [one.getMessage() for one in caplog.records] == [warning.format(folder=tmp_path)]


def test_a_path_through_a_file_is_an_error(
    read_directives: ReadDirectives, context: BlockContext, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CorefileError, match="unable to access hosts file"):
        hosts.parse(read_directives(f"hosts {tmp_path}/file/hosts"), context)


def test_a_line_without_an_address_is_warned_of(
    read_directives: ReadDirectives, context: BlockContext, caplog: pytest.LogCaptureFixture
) -> None:
    settings = hosts.parse(read_directives("hosts {\nreloads 5s\n10.0.0.1 a\n}"), context)
    assert settings.inline == ("reloads 5s", "10.0.0.1 a")
    assert [one.getMessage() for one in caplog.records] == [
        "Corefile:3: 'reloads' is neither an address nor an option; the line is ignored"
    ]


def test_a_relative_path_is_in_the_root_folder(
    read_directives: ReadDirectives, context: BlockContext, tmp_path: Path
) -> None:
    (tmp_path / "hosts").touch()
    context = BlockContext(
        context.zones_text, context.server_text, context.registry, context.shared, root=str(tmp_path)
    )
    assert hosts.parse(read_directives("hosts hosts"), context).path == str(tmp_path / "hosts")


TEXT = st.text("019.:af%#* \t\r\n\\abcXY\u00e4\0", max_size=80)


@given(st.binary(max_size=120) | TEXT.map(str.encode))
def test_any_bytes_make_a_table(content: bytes) -> None:
    table = HostsTable()
    for _ in table.load(content):
        pass
    assert table.entry_count >= 0
    for word in content.split():
        name = name_from_text(word)
        address = address_from_text(word)
        assert address is None or len(address) in (4, 16)
        if name is not None:
            assert to_text(name).endswith(".")
            assert len(table.v4(name)) % 4 == 0
            assert len(table.v6(name)) % 16 == 0
