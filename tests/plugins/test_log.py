"""`log`: which replies are logged, and that only logged replies are not reusable."""

import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest

from clusterdns.chain import BlockContext, Query, Reply, Reuse
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins.log import directive as log
from clusterdns.telemetry.logs import BARE_LINES, LineFormatter
from clusterdns.wire import codes, record
from clusterdns.wire.name import from_text

WEB = "web.prod.svc.cluster.local."
NAME = from_text(WEB)
ADDRESS = record.address(NAME, 5, bytes((10, 96, 0, 1)))
SOA = record.soa(NAME, 5, NAME, NAME, 1, 5)
NS = record.ns(NAME, 5, NAME)

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]


def reply(rcode: int, answer: tuple[Any, ...] = (), authority: tuple[Any, ...] = ()) -> Reply:
    return Reply(rcode, answer, authority, reusable=True)


async def logged(text: str, query: Query, made: Reply, read_directives: ReadDirectives, context: BlockContext) -> Reply:
    """Pass a query and its reply to the observer of the directive `text`."""
    part = log.build(log.parse(read_directives(text), context), context)
    assert part.handling.observe is not None
    part.handling.observe(query, made, 0.000113502)
    return made


@pytest.mark.parametrize(
    ("text", "made", "lines"),
    [
        ("log", reply(codes.NOERROR, (ADDRESS,)),
         [f'10.1.0.9:40222 - 4711 "A IN {WEB} udp 44 false 512" NOERROR qr,aa,rd 86 0.000113502s']),
        ("log . {type}", reply(codes.NOERROR, (ADDRESS,)), ["A"]),
        ("log prod.svc.cluster.local {name}", reply(codes.NOERROR, (ADDRESS,)), [WEB]),
        ("log example.org {name}", reply(codes.NOERROR, (ADDRESS,)), []),
        ("log example.org Cluster.Local {name}", reply(codes.NOERROR, (ADDRESS,)), [WEB]),
        ('log . "{type} {rcode}"', reply(codes.NOERROR, (ADDRESS,)), ["A NOERROR"]),
        ("log . {type} {\n class denial\n}", reply(codes.NOERROR, (ADDRESS,)), []),
        ("log . {type} {\n class denial\n}", reply(codes.NXDOMAIN), ["A"]),
        ("log . {type} {\n class denial error\n}", reply(codes.SERVFAIL), ["A"]),
        ("log . {type} {\n class denial\n class success\n}", reply(codes.NOERROR, (ADDRESS,)), ["A"]),
        ("log . {type} {\n class all\n}", reply(codes.SERVFAIL), ["A"]),
        ("log cluster.local one{type} {\n class error\n}\nlog . two{type}", reply(codes.NOERROR, (ADDRESS,)), []),
        ("log example.org one{type}\nlog . two{type}", reply(codes.NOERROR, (ADDRESS,)), ["twoA"]),
    ],
)  # fmt: skip
async def test_replies_are_logged_by_name_and_class(
    make_query: MakeQuery, read_directives: ReadDirectives, context: BlockContext, caplog: pytest.LogCaptureFixture,
    text: str, made: Reply, lines: list[str],
) -> None:  # fmt: skip
    made.reusable = True
    with caplog.at_level(logging.INFO, "clusterdns"):
        returned = await logged(text, make_query(WEB), made, read_directives, context)
    assert caplog.messages == lines
    assert returned is made
    assert returned.reusable == (not lines)
    assert {one.name for one in caplog.records} <= {"clusterdns.queries"}


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("log . {\n class loud\n}", "Corefile:3", "'loud' is not one of success, denial, error, all"),
        ("log . {\n class\n}", "Corefile:3", "Wrong argument count"),
    ],
)
def test_errors_name_their_line(
    read_directives: ReadDirectives, context: BlockContext, text: str, place: str, problem: str
) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        log.parse(read_directives(text), context)
    assert str(error.value).startswith(f"{place}: {problem}")


def test_the_part_decides_per_reply_and_may_be_repeated(read_directives: ReadDirectives, context: BlockContext) -> None:
    assert log.build(log.parse(read_directives("log"), context), context).handling.reuse is Reuse.PER_REPLY
    assert not log.PLUGIN.once


JSON_LINE = {
    "client": "10.1.0.9", "port": 40222, "id": 4711, "type": "A", "class": "IN", "name": WEB, "proto": "udp",
    "size": 44, "do": False, "bufsize": 512, "rcode": "NOERROR", "rflags": ["qr", "aa", "rd"], "rsize": 86,
    "duration_seconds": 0.000113502,
}  # fmt: skip


async def test_json_writes_one_object_per_query(
    make_query: MakeQuery, read_directives: ReadDirectives, context: BlockContext, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger=BARE_LINES):
        await logged("log {\n json\n}", make_query(WEB), reply(codes.NOERROR, (ADDRESS,)), read_directives, context)
    (record_of_line,) = caplog.records
    line = LineFormatter().format(record_of_line)
    shown = json.loads(line)
    assert datetime.fromisoformat(shown.pop("time")).tzinfo is not None
    assert shown == JSON_LINE
    assert "\n" not in line


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("log {\n json\n}", "rcode", None),
        ("log {\n json\n}", "rflags", []),
        ("log {\n json\n}", "rsize", 0),
        ("log . {rcode}/{>rflags}/{rsize}", "", "-/-/0"),
    ],
)
async def test_a_dropped_query_shows_no_reply(
    make_query: MakeQuery, read_directives: ReadDirectives, context: BlockContext, caplog: pytest.LogCaptureFixture,
    text: str, key: str, value: object,
) -> None:  # fmt: skip
    dropped = reply(codes.NOERROR)
    dropped.is_dropped = True
    with caplog.at_level(logging.INFO, logger="clusterdns"):
        await logged(text, make_query(WEB), dropped, read_directives, context)
    line = caplog.messages[0]
    assert (json.loads(line)[key] if key else line) == value
