"""Formats of the query log: every placeholder, and the formats `common` and `combined`."""

from collections.abc import Callable
from typing import Any

import pytest

from clusterdns.chain import Query, Reply
from clusterdns.plugins.log.line import COMBINED_FORMAT, COMMON_FORMAT, LineFormat, LogEntry
from clusterdns.wire import codes, record

WEB = "web.prod.svc.cluster.local."
MakeQuery = Callable[..., Query]


def entry(query: Query, reply: Reply | None = None, nanoseconds: int = 113_502) -> LogEntry:
    if reply is None:
        reply = Reply(codes.NOERROR, (record.address(query.name, 5, bytes((10, 96, 0, 1))),))
    return LogEntry(query, reply, nanoseconds)


def test_the_common_format(make_query: MakeQuery) -> None:
    query = make_query("Web.prod.svc.cluster.local.", edns_bytes=1232)
    line = LineFormat(COMMON_FORMAT)(entry(query))
    assert line == (
        '10.1.0.9:40222 - 4711 "A IN web.prod.svc.cluster.local. udp 55 false 1232" NOERROR qr,aa,rd 86 0.000113502s'
    )


@pytest.mark.parametrize(("text", "meant"), [("{common}", COMMON_FORMAT), ("{combined}", COMBINED_FORMAT)])
def test_the_name_of_a_format_is_replaced_by_it(make_query: MakeQuery, text: str, meant: str) -> None:
    one = entry(make_query(WEB))
    assert LineFormat(f"<{text}>")(one) == f"<{LineFormat(meant)(one)}>"


def test_the_combined_format_adds_the_opcode(make_query: MakeQuery) -> None:
    one = entry(make_query(WEB))
    assert LineFormat(COMBINED_FORMAT)(one) == LineFormat(COMMON_FORMAT)(one) + ' "0"'


@pytest.mark.parametrize(
    ("text", "asked", "shown"),
    [
        ("{type}", {"qtype": "AAAA"}, "AAAA"),
        ("{type}", {"qtype": "TYPE65400"}, "TYPE65400"),
        ("{class}", {}, "IN"),
        ("{name}", {}, WEB),
        ("{name}", {"name": r"a\032b\.c."}, r"a\032b\.c."),
        ("{name}", {"name": "."}, "."),
        ("{proto}", {"transport": "tcp"}, "tcp"),
        ("{remote}", {"client": ("2001:db8::9", 53, 0, 0)}, "[2001:db8::9]"),
        ("{remote}", {"client": ("::ffff:10.0.0.7", 53, 0, 0)}, "10.0.0.7"),
        ("{remote}", {"client": ("fe80::1%eth0", 53, 0, 2)}, "[fe80::1%eth0]"),
        ("{port}", {}, "40222"),
        ("{size}", {}, "44"),
        ("{size}", {"edns_bytes": 512}, "55"),
        ("{>id}", {}, "4711"),
        ("{>opcode}", {}, "0"),
        ("{>do}", {}, "false"),
        ("{>do}", {"edns_bytes": 1232, "do": True}, "true"),
        ("{>bufsize}", {}, "512"),
        ("{>bufsize}", {"edns_bytes": 100}, "512"),
        ("{>bufsize}", {"edns_bytes": 4096}, "4096"),
        ("{>bufsize}", {"edns_bytes": 4096, "transport": "tcp"}, "65535"),
        ("{>rflags}", {"checking_disabled": True}, "qr,aa,rd,cd"),
        ("{rsize}", {}, "86"),
        ("{duration}", {}, "0.000113502s"),
        ("{/kubernetes/endpoint}", {}, "-"),
        ("{local}", {}, "10.96.0.10"),
        ("{local}", {"server": "2001:db8::a"}, "[2001:db8::a]"),
        ("{local}", {"server": "::ffff:10.0.0.8"}, "10.0.0.8"),
        ("{local}", {"server": "fe80::a%eth0"}, "[fe80::a%eth0]"),
        ("{unknown} text {}", {}, "{unknown} text {}"),
        ("{ {type} }", {}, "{ A }"),
        ("no placeholder", {}, "no placeholder"),
    ],
)
def test_placeholders(make_query: MakeQuery, text: str, asked: dict[str, Any], shown: str) -> None:
    query = make_query(**{"name": WEB} | asked)
    assert LineFormat(text)(entry(query)) == shown


@pytest.mark.parametrize(("rcode", "shown"), [(codes.NOERROR, "NOERROR"), (codes.NXDOMAIN, "NXDOMAIN"), (3841, "3841")])
def test_unknown_rcodes_are_numbers(make_query: MakeQuery, rcode: int, shown: str) -> None:
    assert LineFormat("{rcode}")(entry(make_query(WEB), Reply(rcode))) == shown


def test_flags_of_the_reply_in_header_order(make_query: MakeQuery) -> None:
    reply = Reply(codes.NOERROR, is_authoritative=False)
    reply.is_truncated = reply.recursion_available = True
    assert LineFormat("{>rflags} {rsize}")(entry(make_query(WEB), reply)) == "qr,tc,rd,ra 44"


@pytest.mark.parametrize(
    ("asked", "is_truncated"),
    [({}, True), ({"edns_bytes": 512}, True), ({"edns_bytes": 1232}, False), ({"transport": "tcp"}, False)],
)
def test_a_reply_too_large_for_the_client_shows_tc(
    make_query: MakeQuery, asked: dict[str, Any], is_truncated: bool
) -> None:
    query = make_query(WEB, **asked)
    many = Reply(codes.NOERROR, tuple(record.address(query.name, 5, bytes((10, 96, 0, n))) for n in range(40)))
    assert ("tc" in LineFormat("{>rflags}")(entry(query, many)).split(",")) is is_truncated
