"""Types and classes of replies, in CoreDNS's words."""

from collections.abc import Callable
from typing import Any

import pytest

from clusterdns.chain import Query, Reply, reply_type
from clusterdns.wire import codes, record
from clusterdns.wire.name import from_text

WEB = "web.prod.svc.cluster.local."
NAME = from_text(WEB)
ADDRESS = record.address(NAME, 5, bytes((10, 96, 0, 1)))
SOA = record.soa(NAME, 5, NAME, NAME, 1, 5)
NS = record.ns(NAME, 5, NAME)

MakeQuery = Callable[..., Query]


def reply(rcode: int, answer: tuple[Any, ...] = (), authority: tuple[Any, ...] = ()) -> Reply:
    return Reply(rcode, answer, authority)


def dropped() -> Reply:
    made = reply(codes.NOERROR)
    made.is_dropped = True
    return made


@pytest.mark.parametrize(
    ("made", "qtype", "kind", "in_class"),
    [
        (reply(codes.NOERROR, (ADDRESS,)), "A", "NOERROR", "success"),
        (reply(codes.NOERROR, (ADDRESS,), (SOA,)), "A", "NOERROR", "success"),
        (reply(codes.NOERROR, (), (NS,)), "A", "DELEGATION", "success"),
        (reply(codes.NOERROR), "A", "NOERROR", "success"),
        (reply(codes.NOERROR, (), (SOA,)), "A", "NODATA", "denial"),
        (reply(codes.NXDOMAIN, (), (SOA,)), "A", "NXDOMAIN", "denial"),
        (reply(codes.NXDOMAIN), "A", "NXDOMAIN", "denial"),
        (reply(codes.SERVFAIL), "A", "SERVERERROR", "error"),
        (reply(codes.NOTIMP), "A", "SERVERERROR", "error"),
        (reply(codes.REFUSED), "A", "OTHERERROR", "error"),
        (reply(codes.NOERROR, (SOA,)), "AXFR", "META", "error"),
        (dropped(), "A", "OTHERERROR", "error"),
    ],
)
def test_type_and_class(make_query: MakeQuery, made: Reply, qtype: str, kind: str, in_class: str) -> None:
    query = make_query(WEB, qtype)
    assert reply_type.reply_type(query, made).value == kind
    assert reply_type.reply_class(query, made) == in_class
