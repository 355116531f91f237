"""What a small cluster answers, name by name: the CoreDNS vectors, and where we answer better.

`~` stands for `.prod.svc.cluster.local.`. A row is: name and type, rcode, answer records, additional records. Every
negative row is also checked for the zone's SOA in authority, every positive one for its absence.
"""

from collections.abc import Callable

import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.objects import Change, Pod
from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.wire import name

Row = tuple[str, str, str, str]

WEB_SRV = "SRV 0 100 80 web~"
DB_SRV = "_pg._tcp.db~ SRV 0 50 5432 db-0.db~; _pg._tcp.db~ SRV 0 50 5432 10-1-0-6.db~"
DB_GLUE = "db-0.db~ A 10.1.0.5; 10-1-0-6.db~ A 10.1.0.6"

SAME_AS_COREDNS: list[Row] = [
    ("web~ A", "NOERROR", "web~ A 10.96.0.10", ""),
    ("web~ AAAA", "NOERROR", "", ""),
    ("_http._tcp.web~ SRV", "NOERROR", f"_http._tcp.web~ {WEB_SRV}", "web~ A 10.96.0.10"),
    ("http.tcp.web~ SRV", "NOERROR", f"http.tcp.web~ {WEB_SRV}", "web~ A 10.96.0.10"),
    ("_._tcp.web~ SRV", "NOERROR", f"_._tcp.web~ {WEB_SRV}", "web~ A 10.96.0.10"),
    ("_http._tcp.web~ A", "NOERROR", "_http._tcp.web~ A 10.96.0.10", ""),
    ("_http._udp.web~ SRV", "NXDOMAIN", "", ""),
    ("_80._tcp.web~ SRV", "NXDOMAIN", "", ""),
    ("_https._tcp.web~ A", "NXDOMAIN", "", ""),
    ("x._http._tcp.web~ A", "NXDOMAIN", "", ""),
    ("*~ A", "NXDOMAIN", "", ""),
    ("any~ A", "NXDOMAIN", "", ""),
    ("web~ SRV", "NOERROR", f"web~ {WEB_SRV}", "web~ A 10.96.0.10"),
    ("bare~ SRV", "NOERROR", "bare~ SRV 0 100 8080 bare~", "bare~ A 10.96.0.12"),
    ("dual~ A", "NOERROR", "dual~ A 10.96.0.11", ""),
    ("dual~ AAAA", "NOERROR", "dual~ AAAA fd00::11", ""),
    ("db~ A", "NOERROR", "db~ A 10.1.0.5; db~ A 10.1.0.6", ""),
    ("db~ AAAA", "NOERROR", "", ""),
    ("_pg._tcp.db~ SRV", "NOERROR", DB_SRV, DB_GLUE),
    ("_pg._tcp.db~ A", "NOERROR", "_pg._tcp.db~ A 10.1.0.5; _pg._tcp.db~ A 10.1.0.6", ""),
    ("db-0.db~ A", "NOERROR", "db-0.db~ A 10.1.0.5", ""),
    ("db-0.db~ SRV", "NOERROR", "db-0.db~ SRV 0 100 5432 db-0.db~", "db-0.db~ A 10.1.0.5"),
    ("10-1-0-6.db~ A", "NOERROR", "10-1-0-6.db~ A 10.1.0.6", ""),
    ("10-1-0-5.db~ A", "NXDOMAIN", "", ""),
    ("10-1-0-7.db~ A", "NXDOMAIN", "", ""),
    ("10-1-0-20.web~ A", "NOERROR", "10-1-0-20.web~ A 10.1.0.20", ""),
    ("idle~ A", "NXDOMAIN", "", ""),
    ("idle~ TXT", "NXDOMAIN", "", ""),
    ("web~ TXT", "NOERROR", "", ""),
    ("web~ MX", "NOERROR", "", ""),
    ("web~ HTTPS", "NOERROR", "", ""),
    ("web~ CNAME", "NOERROR", "", ""),
    ("ext~ CNAME", "NOERROR", "ext~ CNAME example.com.", ""),
    ("ext~ A", "NOERROR", "ext~ CNAME example.com.", ""),
    ("alias~ A", "NOERROR", "alias~ CNAME web~; web~ A 10.96.0.10", ""),
    ("a.ext~ A", "NXDOMAIN", "", ""),
    ("number~ A", "NXDOMAIN", "", ""),
    ("empty~ A", "NXDOMAIN", "", ""),
    ("_x._tcp.ext~ SRV", "NXDOMAIN", "", ""),
    ("prod.svc.cluster.local. A", "NOERROR", "", ""),
    ("nons.svc.cluster.local. A", "NXDOMAIN", "", ""),
    ("web.nons.svc.cluster.local. A", "NXDOMAIN", "", ""),
    ("svc.cluster.local. A", "NOERROR", "", ""),
    ("pod.cluster.local. A", "NOERROR", "", ""),
    ("prod.pod.cluster.local. A", "NXDOMAIN", "", ""),
    ("10-9-8-7.prod.pod.cluster.local. A", "NXDOMAIN", "", ""),
    ("cluster.local. A", "NOERROR", "", ""),
    ("cluster.local. AAAA", "NOERROR", "", ""),
    ("cluster.local. SRV", "NOERROR", "", ""),
    ("cluster.local. MX", "NOERROR", "", ""),
    ("cluster.local. HINFO", "NOERROR", "", ""),
    (
        "cluster.local. SOA",
        "NOERROR",
        "cluster.local. SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 5",
        "",
    ),
    ("cluster.local. NS", "NOERROR", "cluster.local. NS ns.dns.cluster.local.", "ns.dns.cluster.local. A 10.0.0.53"),
    ("ns.dns.cluster.local. A", "NOERROR", "ns.dns.cluster.local. A 10.0.0.53", ""),
    ("other.cluster.local. A", "NXDOMAIN", "", ""),
    ("dns-version.cluster.local. TXT", "NOERROR", 'dns-version.cluster.local. TXT "1.1.0"', ""),
    ("10.0.96.10.in-addr.arpa. PTR", "NOERROR", "10.0.96.10.in-addr.arpa. PTR web~", ""),
    ("5.0.1.10.in-addr.arpa. PTR", "NOERROR", "5.0.1.10.in-addr.arpa. PTR db-0.db~", ""),
    ("20.0.1.10.in-addr.arpa. PTR", "NOERROR", "20.0.1.10.in-addr.arpa. PTR 10-1-0-20.web~", ""),
    ("7.0.1.10.in-addr.arpa. PTR", "NXDOMAIN", "", ""),
]

BETTER: list[Row] = [
    # an existing name without a TXT is NODATA; denying it would deny all below it (RFC 8020)
    ("prod.svc.cluster.local. TXT", "NOERROR", "", ""),
    ("svc.cluster.local. TXT", "NOERROR", "", ""),
    ("cluster.local. TXT", "NOERROR", "", ""),
    ("dns-version.cluster.local. A", "NOERROR", "", ""),
    ("dns.cluster.local. A", "NOERROR", "", ""),
    ("dns.cluster.local. TXT", "NOERROR", "", ""),
    ("ns.dns.cluster.local. TXT", "NOERROR", "", ""),
    ("ns.dns.cluster.local. PTR", "NOERROR", "", ""),
    ("_tcp.web~ A", "NOERROR", "", ""),
    ("_tcp.db~ A", "NOERROR", "", ""),
    ("_udp.web~ A", "NXDOMAIN", "", ""),
    # an ExternalName is a CNAME for every type (RFC 1034 §3.6.2), with the code of the chain's end (RFC 6604 §2)
    ("ext~ MX", "NOERROR", "ext~ CNAME example.com.", ""),
    ("ext~ SRV", "NOERROR", "ext~ CNAME example.com.", ""),
    ("ext~ TXT", "NOERROR", "ext~ CNAME example.com.", ""),
    ("ext~ HTTPS", "NOERROR", "ext~ CNAME example.com.", ""),
    ("ext~ ANY", "NOERROR", "ext~ CNAME example.com.", ""),
    ("loopx~ A", "NXDOMAIN", "loopx~ CNAME nosuch~", ""),
    ("loopx~ CNAME", "NOERROR", "loopx~ CNAME nosuch~", ""),
    ("alias~ AAAA", "NOERROR", "alias~ CNAME web~", ""),
    ("ring~ A", "NOERROR", "ring~ CNAME ring~", ""),
    # the type SOA makes no name exist
    ("idle~ SOA", "NXDOMAIN", "", ""),
    ("nosuch~ SOA", "NXDOMAIN", "", ""),
    ("web~ SOA", "NOERROR", "", ""),
    # weights are shared out among the records that are sent
    ("dual~ SRV", "NOERROR", "dual~ SRV 0 100 9000 dual~", "dual~ A 10.96.0.11; dual~ AAAA fd00::11"),
    ("dnsx~ SRV", "NOERROR", "dnsx~ SRV 0 100 53 dnsx~", "dnsx~ A 10.96.0.53"),
    # reverse names
    ("5.0.1.10.in-addr.arpa. A", "NOERROR", "", ""),
    ("0.1.10.in-addr.arpa. PTR", "NOERROR", "", ""),
    ("10.in-addr.arpa. PTR", "NOERROR", "", ""),
    ("11.in-addr.arpa. PTR", "NXDOMAIN", "", ""),
    ("01.10.in-addr.arpa. PTR", "NXDOMAIN", "", ""),
    ("x.5.0.1.10.in-addr.arpa. PTR", "NXDOMAIN", "", ""),
    ("0.0.d.f.ip6.arpa. PTR", "NOERROR", "", ""),
    ("00.d.f.ip6.arpa. PTR", "NXDOMAIN", "", ""),
    # ANY gives one small record (RFC 8482 §4.2)
    ("web~ ANY", "NOERROR", 'web~ HINFO "RFC8482" ""', ""),
    ("nosuch~ ANY", "NXDOMAIN", "", ""),
]

INSECURE: list[Row] = [
    ("prod.pod.cluster.local. A", "NOERROR", "", ""),
    ("10-9-8-7.prod.pod.cluster.local. A", "NOERROR", "10-9-8-7.prod.pod.cluster.local. A 10.9.8.7", ""),
    ("1-2-3-4.prod.pod.cluster.local. A", "NOERROR", "1-2-3-4.prod.pod.cluster.local. A 1.2.3.4", ""),
    ("fd00--7.prod.pod.cluster.local. AAAA", "NOERROR", "fd00--7.prod.pod.cluster.local. AAAA fd00::7", ""),
    ("10-9-8-7.prod.pod.cluster.local. AAAA", "NOERROR", "", ""),
    ("10-9-8-777.prod.pod.cluster.local. A", "NXDOMAIN", "", ""),
    ("10-9-8-7.nons.pod.cluster.local. A", "NXDOMAIN", "", ""),
    ("x.10-9-8-7.prod.pod.cluster.local. A", "NXDOMAIN", "", ""),  # CoreDNS ignores the extra label
    ("1:2::3.prod.pod.cluster.local. AAAA", "NOERROR", "1:2::3.prod.pod.cluster.local. AAAA 1:2::3", ""),
    ("10-9-8-7.prod.pod.cluster.local. SRV", "NOERROR", "", ""),  # CoreDNS invents a port 0
]

VERIFIED: list[Row] = [
    ("prod.pod.cluster.local. A", "NOERROR", "", ""),
    ("10-9-8-7.prod.pod.cluster.local. A", "NOERROR", "10-9-8-7.prod.pod.cluster.local. A 10.9.8.7", ""),
    # every address of the pod, in any spelling
    ("fd00-9--7.prod.pod.cluster.local. AAAA", "NOERROR", "fd00-9--7.prod.pod.cluster.local. AAAA fd00:9::7", ""),
    ("fd00-9-0--7.prod.pod.cluster.local. AAAA", "NOERROR", "fd00-9-0--7.prod.pod.cluster.local. AAAA fd00:9::7", ""),
    ("1-2-3-4.prod.pod.cluster.local. A", "NXDOMAIN", "", ""),
]

TABLES = [(PodMode.DISABLED, SAME_AS_COREDNS), (PodMode.DISABLED, BETTER), (PodMode.INSECURE, INSECURE)]
TABLES.append((PodMode.VERIFIED, VERIFIED))


def full(text: str) -> str:
    return text.replace("~", ".prod.svc.cluster.local.")


def make_packet(question: str) -> bytes:
    qname, qtype = full(question).split()
    return dns.message.make_query(qname, qtype).to_wire()


def records(section: list[dns.rrset.RRset]) -> list[str]:
    return sorted(f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)} {rrset[0]}" for rrset in section)


@pytest.mark.parametrize(("pods", "row"), [pytest.param(p, r, id=f"{p.value}: {r[0]}") for p, t in TABLES for r in t])
def test_what_a_name_answers(
    pods: PodMode,
    row: Row,
    make_dispatch: Callable[..., Dispatch],
    make_listener: Callable[[str], ListenerContext],
    verify: Callable[[bytes, bytes, str], dns.message.Message],
) -> None:
    question, rcode, answer, additional = row
    packet = make_packet(question)
    raw = make_dispatch(pods).miss(packet, ("127.0.0.1", 4), "127.0.0.1", make_listener("udp"))
    assert isinstance(raw, bytes)
    reply = verify(packet, raw, "udp")
    assert dns.rcode.to_text(reply.rcode()) == rcode
    assert records(reply.answer) == sorted(filter(None, full(answer).split("; ")))
    assert records(reply.additional) == sorted(filter(None, full(additional).split("; ")))
    ttls = {rrset.ttl for section in (reply.answer, reply.authority, reply.additional) for rrset in section}
    assert ttls <= {28800 if "TXT" in answer else 5}
    is_pending = answer.endswith(("example.com.", "CNAME ring~")) or question.endswith("CNAME")
    is_negative = rcode == "NXDOMAIN" or not answer or answer.endswith("CNAME web~")
    soas = [rrset for rrset in reply.authority if rrset.rdtype == dns.rdatatype.SOA]
    assert len(soas) == len(reply.authority) == (1 if is_negative and not (answer and is_pending) else 0)


def test_as_many_aliases_as_coredns_follows(
    make_dispatch: Callable[..., Dispatch],
    make_listener: Callable[[str], ListenerContext],
    verify: Callable[[bytes, bytes, str], dns.message.Message],
) -> None:
    packet = make_packet("link-11~ A")
    raw = make_dispatch().miss(packet, ("127.0.0.1", 4), "127.0.0.1", make_listener("tcp"))
    assert isinstance(raw, bytes)
    aliases = [full(f"link-{n}~ CNAME link-{n - 1}~") for n in range(1, 12)]
    assert records(verify(packet, raw, "tcp").answer) == sorted([*aliases, full("link-0~ A 10.96.0.13")])


def test_letter_case_does_not_matter_and_comes_back(
    make_dispatch: Callable[..., Dispatch],
    make_listener: Callable[[str], ListenerContext],
    verify: Callable[[bytes, bytes, str], dns.message.Message],
) -> None:
    packet = make_packet("_HTTP._Tcp.WEB~ SRV")
    raw = make_dispatch().miss(packet, ("127.0.0.1", 4), "127.0.0.1", make_listener("udp"))
    assert isinstance(raw, bytes)
    reply = verify(packet, raw, "udp")
    assert records(reply.answer) == [full("_HTTP._Tcp.WEB~ SRV 0 100 80 web~")]


@pytest.mark.parametrize(
    ("question", "rcode", "answers"),
    [("nosuch~ A", "SERVFAIL", 0), ("web~ A", "NOERROR", 1), ("web~ AAAA", "NOERROR", 0)],
)
def test_while_unsynced_nothing_is_denied(
    question: str,
    rcode: str,
    answers: int,
    index: Index,
    make_dispatch: Callable[..., Dispatch],
    make_listener: Callable[[str], ListenerContext],
    verify: Callable[[bytes, bytes, str], dns.message.Message],
) -> None:
    index.synced = False
    everything = make_dispatch(fallthrough=(name.ROOT,))  # and nothing falls through
    listener = make_listener("udp")
    packet = make_packet(question)
    for _ in range(2):
        raw = everything.miss(packet, ("127.0.0.1", 4), "127.0.0.1", listener)
    assert isinstance(raw, bytes)
    reply = verify(packet, raw, "udp")
    assert dns.rcode.to_text(reply.rcode()) == rcode
    assert len(reply.answer) == answers
    assert len(reply.authority) == 1 - answers
    assert not listener.answers.entries


@pytest.mark.parametrize(
    ("zone", "question", "rcode"),
    [
        ("cluster.local", "nosuch~ A", "REFUSED"),
        ("in-addr.arpa", "nosuch~ A", "NXDOMAIN"),
        ("in-addr.arpa", "9.9.9.9.in-addr.arpa. PTR", "REFUSED"),
        ("cluster.local", "web~ AAAA", "NOERROR"),
    ],
)
def test_only_missing_names_fall_through(
    zone: str,
    question: str,
    rcode: str,
    make_dispatch: Callable[..., Dispatch],
    make_listener: Callable[[str], ListenerContext],
) -> None:
    dispatch = make_dispatch(fallthrough=(name.from_text(zone),))
    raw = dispatch.miss(make_packet(question), ("127.0.0.1", 4), "127.0.0.1", make_listener("udp"))
    assert isinstance(raw, bytes)
    assert dns.rcode.to_text(dns.message.from_wire(raw).rcode()) == rcode


@pytest.mark.parametrize("qtype", ["AXFR", "IXFR"])
def test_transfers_are_refused(
    qtype: str, make_dispatch: Callable[..., Dispatch], make_listener: Callable[[str], ListenerContext]
) -> None:
    raw = make_dispatch().miss(
        make_packet(f"cluster.local. {qtype}"), ("127.0.0.1", 4), "127.0.0.1", make_listener("tcp")
    )
    assert isinstance(raw, bytes)
    assert raw[3] & 15 == dns.rcode.REFUSED


def test_a_terminating_pod_keeps_its_addresses_until_it_is_deleted(index: Index) -> None:
    running = Pod("prod", "late", ("10.9.8.1",))
    ending = Pod("prod", "late", (), terminating=True)
    address = bytes((10, 9, 8, 1))
    index.apply(Change(None, running))
    index.apply(Change(running, ending))
    assert index.pods.has(b"prod", address)
    index.apply(Change(ending, None))
    assert not index.pods.has(b"prod", address)
