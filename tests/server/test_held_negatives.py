"""What is answered while kinds of objects are stale: what is known, marked; and nothing else is denied.

Each question is asked over UDP and TCP, with and without EDNS, several times, so that compiled answers are among the
replies; before, while and after the kinds are stale.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import dns.asyncquery
import dns.edns
import dns.message
import dns.rcode
import pytest

from clusterdns.answers.table import AnswerTable
from clusterdns.cluster.freshness import Kinds
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.objects import Change, EndpointSlice, Namespace, Pod, Service
from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.wire import codes

NAMESPACES: Kinds = frozenset((Namespace,))
SERVICES: Kinds = frozenset((Service,))
SLICES: Kinds = frozenset((EndpointSlice,))
PODS: Kinds = frozenset((Pod,))
EVERY = NAMESPACES | SERVICES | SLICES | PODS
HELD, PLAIN, MARKED = "held", "plain", "marked"

Serve = Callable[..., Awaitable[tuple[str, int]]]


class Row(NamedTuple):
    question: str  # `~` stands for `.prod.svc.cluster.local`
    stale: Kinds
    expected: str  # SERVFAIL; or the reply as it is while all is current, without or with an extended error


ROWS = [
    # names that may exist by now
    Row("new~ A", EVERY, HELD),
    Row("new~ A", SERVICES, HELD),
    Row("new~ A", NAMESPACES, PLAIN),
    Row("new~ A", PODS, PLAIN),
    Row("new~ A", SLICES, PLAIN),
    Row("new~ TXT", SERVICES, HELD),
    Row("new~ ANY", SERVICES, HELD),
    Row("*~ A", SERVICES, HELD),
    Row("web.new.svc.cluster.local A", NAMESPACES, HELD),
    Row("web.new.svc.cluster.local A", SERVICES, PLAIN),
    Row("new.svc.cluster.local A", NAMESPACES, HELD),
    Row("_https._tcp.web~ SRV", SERVICES, HELD),
    Row("10-1-0-7.db~ A", SLICES, HELD),
    Row("10-1-0-7.db~ A", NAMESPACES, PLAIN),
    Row("idle~ A", SLICES, HELD),
    Row("idle~ AAAA", EVERY, HELD),
    Row("1-2-3-4.prod.pod.cluster.local A", PODS, HELD),
    Row("1-2-3-4.prod.pod.cluster.local A", SERVICES | SLICES, PLAIN),
    Row("1-2-3-4.new.pod.cluster.local A", NAMESPACES, HELD),
    Row("new.pod.cluster.local A", NAMESPACES, HELD),
    Row("9.9.96.10.in-addr.arpa PTR", SLICES, HELD),
    Row("9.9.96.10.in-addr.arpa PTR", NAMESPACES | PODS, PLAIN),
    Row("77.10.in-addr.arpa PTR", SERVICES, HELD),
    Row("1." * 32 + "ip6.arpa PTR", EVERY, HELD),
    # what no object can change
    Row("cluster.local MX", EVERY, MARKED),
    Row("svc.cluster.local A", EVERY, PLAIN),
    Row("dns-version.cluster.local TXT", EVERY, PLAIN),
    Row("example.com.cluster.local A", EVERY, PLAIN),
    Row("a.b.c.d.web~ A", EVERY, PLAIN),
    Row("x.10.in-addr.arpa PTR", EVERY, PLAIN),
    Row("runner.prod.pod.cluster.local A", EVERY, PLAIN),
    # what is known
    Row("web~ A", EVERY, MARKED),
    Row("web~ A", SERVICES, MARKED),
    Row("web~ A", PODS, PLAIN),
    Row("web~ AAAA", EVERY, MARKED),  # NODATA beside an address: stubs ask for both
    Row("web~ TXT", EVERY, MARKED),
    Row("web~ ANY", EVERY, MARKED),
    Row("_http._tcp.web~ SRV", SLICES, MARKED),
    Row("db~ A", EVERY, MARKED),
    Row("db~ AAAA", EVERY, MARKED),
    Row("nine~ A", SLICES, MARKED),
    Row("ext~ CNAME", SERVICES, MARKED),
    Row("alias~ A", EVERY, MARKED),
    Row("prod.svc.cluster.local A", SERVICES, PLAIN),
    Row("prod.svc.cluster.local A", EVERY, MARKED),
    Row("10-9-8-7.prod.pod.cluster.local A", PODS, MARKED),
    Row("10.0.96.10.in-addr.arpa PTR", EVERY, MARKED),
    Row("10.0.96.10.in-addr.arpa A", EVERY, MARKED),
    Row("cluster.local SOA", EVERY, MARKED),
    Row("cluster.local NS", SLICES, MARKED),
    Row("ns.dns.cluster.local A", EVERY, MARKED),
]


def query(question: str, *, edns: bool) -> dns.message.QueryMessage:
    qname, qtype = question.replace("~", ".prod.svc.cluster.local").split()
    return dns.message.make_query(qname, qtype, use_edns=0 if edns else -1, payload=1232 if edns else None)


def content(reply: dns.message.Message) -> tuple[object, ...]:
    """The response code and the records, in any order: addresses rotate."""
    sections = (reply.answer, reply.authority, reply.additional)
    records = [sorted(f"{rrset.name} {one.to_text()}" for rrset in section for one in rrset) for section in sections]
    return (reply.rcode(), *records)


def errors(reply: dns.message.Message) -> list[int]:
    return [one.code for one in reply.options if isinstance(one, dns.edns.EDEOption)]


@pytest.fixture
async def ask(serve: Serve, make_dispatch: Callable[..., Dispatch]) -> Callable[..., Awaitable[dns.message.Message]]:
    """Ask the cluster over UDP or TCP."""
    host, port = await serve(make_dispatch(PodMode.VERIFIED))

    async def once(question: str, transport: str, *, edns: bool) -> dns.message.Message:
        send = dns.asyncquery.udp if transport == "udp" else dns.asyncquery.tcp
        return await send(query(question, edns=edns), host, timeout=30.0, port=port)

    return once


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: f"{row.question}-{'+'.join(sorted(k.__name__ for k in row.stale))}"
)
async def test_answers_while_kinds_are_stale(
    index: Index, ask: Callable[..., Awaitable[dns.message.Message]], row: Row
) -> None:
    for transport in ("udp", "tcp"):
        for edns in (False, True):
            current = [await ask(row.question, transport, edns=edns) for _ in range(3)]
            index.set_stale(row.stale)
            stale = [await ask(row.question, transport, edns=edns) for _ in range(3)]
            index.set_stale(frozenset())
            again = [await ask(row.question, transport, edns=edns) for _ in range(3)]
            expected = content(current[0])
            assert [content(one) for one in (*current, *again)] == [expected] * 6
            assert not any(map(errors, (*current, *again)))
            if row.expected == HELD:
                assert [one.rcode() for one in stale] == [dns.rcode.SERVFAIL] * 3
                assert expected[0] == dns.rcode.NXDOMAIN, "a row of what would be denied"
            else:
                assert [content(one) for one in stale] == [expected] * 3
            code = {HELD: [codes.EDE_NO_AUTHORITY], MARKED: [codes.EDE_STALE], PLAIN: []}[row.expected]
            assert [errors(one) for one in stale] == [code if edns else []] * 3


async def test_a_cname_to_a_name_that_may_exist_is_known_and_its_target_held(
    index: Index, ask: Callable[..., Awaitable[dns.message.Message]]
) -> None:
    assert (await ask("loopx~ A", "udp", edns=True)).rcode() == dns.rcode.NXDOMAIN
    index.set_stale(EVERY)
    reply = await ask("loopx~ A", "udp", edns=True)
    assert (reply.rcode(), errors(reply)) == (dns.rcode.SERVFAIL, [codes.EDE_NO_AUTHORITY, codes.EDE_STALE])
    assert [rrset.to_text().split()[3] for rrset in reply.answer] == ["CNAME"]


async def test_a_headless_service_whose_endpoints_are_all_gone_is_held_and_not_without_data(
    index: Index, ask: Callable[..., Awaitable[dns.message.Message]]
) -> None:
    """A name that exists for its ports alone has no address; endpoints may have come."""
    service = Service("prod", "pin", headless=True)
    index.apply(Change(None, service))
    assert (await ask("_tcp.db~ A", "udp", edns=True)).rcode() == dns.rcode.NOERROR
    index.set_stale(SLICES)
    reply = await ask("_tcp.db~ A", "udp", edns=True)
    assert (reply.rcode(), errors(reply)) == (dns.rcode.SERVFAIL, [codes.EDE_NO_AUTHORITY])
    assert (await ask("_tcp.db~ TXT", "udp", edns=True)).rcode() == dns.rcode.NOERROR, "it never has one"


def test_a_change_of_the_stale_kinds_forgets_every_answer_of_the_index(
    index: Index,
    tables: list[AnswerTable],
    make_dispatch: Callable[..., Dispatch],
    make_listener: Callable[[str], ListenerContext],
) -> None:
    dispatch, listener = make_dispatch(PodMode.VERIFIED), make_listener("udp")
    asked = [query(row.question, edns=edns).to_wire() for row in ROWS for edns in (False, True)]

    def compile_all() -> int:
        for packet in (*asked, *asked):
            dispatch.miss(packet, ("127.0.0.1", 4), "127.0.0.1", listener)
        return len(listener.answers.entries)

    count = compile_all()
    assert count > len(ROWS)
    for kinds in (EVERY, NAMESPACES, frozenset[type]()):
        index.set_stale(kinds)
        assert not any(table.entries for table in tables)
        compile_all()
    assert len(listener.answers.entries) == count


async def test_before_the_first_sync_everything_unknown_is_not_ready_whatever_is_stale(
    index: Index, ask: Callable[..., Awaitable[dns.message.Message]]
) -> None:
    index.synced = False
    index.set_stale(PODS)
    for question in ("new~ A", "example.com.cluster.local A"):
        reply = await ask(question, "udp", edns=True)
        assert (reply.rcode(), errors(reply)) == (dns.rcode.SERVFAIL, [codes.EDE_NOT_READY])


@pytest.mark.parametrize(
    ("question", "rcode", "error"),
    [
        ("new~ A", dns.rcode.SERVFAIL, codes.EDE_NOT_READY),
        ("9.9.96.10.in-addr.arpa PTR", dns.rcode.SERVFAIL, codes.EDE_NOT_READY),
        ("web~ A", dns.rcode.NOERROR, codes.EDE_STALE),
        ("web~ AAAA", dns.rcode.NOERROR, codes.EDE_STALE),
        ("alias~ A", dns.rcode.NOERROR, codes.EDE_STALE),
        ("example.com.cluster.local A", dns.rcode.NXDOMAIN, None),
    ],
)
async def test_what_a_snapshot_has_is_answered_as_what_is_stale(
    index: Index,
    tables: list[AnswerTable],
    ask: Callable[..., Awaitable[dns.message.Message]],
    question: str,
    rcode: dns.rcode.Rcode,
    error: int | None,
) -> None:
    index.synced, index.restored = False, True
    index.set_stale(EVERY)
    for _ in range(3):
        reply = await ask(question, "udp", edns=True)
        assert (reply.rcode(), errors(reply)) == (rcode, [] if error is None else [error])
    assert sum(len(table.entries) for table in tables) == (rcode != dns.rcode.SERVFAIL)
    index.synced, index.restored = True, False
    index.set_stale(frozenset())
    assert errors(await ask(question, "udp", edns=True)) == []
