"""Rows of docs/differences.md that need a whole server block, or that no directive's own test covers."""

from collections.abc import Callable, Sequence

import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from clusterdns.answers.table import AnswerTable
from clusterdns.chain import BlockContext
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.corefile.load import parse
from clusterdns.plugins.rewrite import directive as rewrite
from clusterdns.server.assembly import assemble
from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.server.tap import Tap
from clusterdns.telemetry.metrics import Registry, Series
from clusterdns.telemetry.queries import HitTime, QueryCounters

RING = (
    'template IN A b.test {\n answer "{{ .Name }} 60 IN CNAME a.test."\n}\n'
    'template IN A a.test {\n answer "{{ .Name }} 60 IN CNAME b.test."\n}'
)
CHAIN = 'template IN A {\n answer "{{ .Name }} 60 IN CNAME x.{{ .Name }}"\n}'
AUTO = (
    "rewrite name suffix .old.test .new.test answer auto\n"
    'template IN A new.test {\n answer "{{ .Name }} 60 IN A 192.0.2.1"\n}'
)
HOSTS = "hosts nowhere {\n 192.0.2.1 a.test\n}"
REFUSING = "template IN ANY a.test {{\n rcode {}\n}}"

CASES = {
    "template REFUSED: one reply": (REFUSING.format("REFUSED"), "a.test. A IN", ("REFUSED", [])),
    "template FORMERR: one reply": (REFUSING.format("FORMERR"), "a.test. A IN", ("FORMERR", [])),
    "template: CNAMEs in a ring": (RING, "a.test. A IN", ("NOERROR", ["CNAME"])),
    "template: a long chain of CNAMEs": (CHAIN, "a.test. A IN", ("NOERROR", ["CNAME"] * 17)),
    "template: spaces before a record": (
        'template IN A {\n answer "  x. 60 IN A 192.0.2.1"\n}',
        "x. A IN",
        ("NOERROR", ["A"]),
    ),
    "rewrite: answer auto in upper and lower case": (AUTO, "Web.OLD.test. A IN", ("NOERROR", ["A"])),
    "hosts: the case of the query": (HOSTS, "A.tesT. A IN", ("NOERROR", ["A"])),
    "hosts: class CH": (f"chaos\n{HOSTS}", "a.test. A CH", ("SERVFAIL", [])),
    "local: class CH": ("chaos\nlocal", "localhost. A CH", ("SERVFAIL", [])),
    "any: class CH": ("chaos\nany", "a.test. ANY CH", ("SERVFAIL", [])),
}


def answered(block: str, packet: bytes) -> dns.message.Message:
    """Return the one reply to a query whose handlers do not wait."""
    configuration = assemble(parse(f". {{\n{block}\n}}\n", "Corefile", {}), Registry(), dns_port=53)
    dispatch = Dispatch(configuration.listen_points[0].routes, QueryCounters(Registry(), "dns://:53"), Series())
    listener = ListenerContext("udp", "1", AnswerTable(), HitTime(), Tap())
    reply = dispatch.miss(packet, ("127.0.0.1", 4711), "127.0.0.1", listener)
    assert isinstance(reply, bytes)
    return dns.message.from_wire(reply, one_rr_per_rrset=True)


@pytest.mark.parametrize(("block", "question", "expected"), CASES.values(), ids=CASES)
def test_reply_of_a_block(block: str, question: str, expected: tuple[str, list[str]]) -> None:
    name, qtype, qclass = question.split(" ")
    asked = dns.message.make_query(name, qtype, qclass, use_edns=0, payload=1232)
    reply = answered(block, asked.to_wire())
    types = [dns.rdatatype.to_text(one.rdtype) for one in reply.answer]
    assert (dns.rcode.to_text(reply.rcode()), types) == expected
    assert all(one.name.to_text() == asked.question[0].name.to_text() for one in reply.answer[:1])


def test_a_query_answered_through_cnames_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "clusterdns.queries"):
        reply = answered(f"log\n{CHAIN}", dns.message.make_query("a.test.", "A").to_wire())
    assert (len(reply.answer), len(caplog.messages)) == (17, 1)


@pytest.mark.parametrize(
    "rule",
    ["name exact a.test (b.test", "type A TYPE65280", "class CLASS4711 IN", r"cname regex (.*)\.A\.test\D b.test"],
)
def test_rules_that_coredns_refuses_or_changes(
    read_directives: Callable[[str], Sequence[Directive]], context: BlockContext, rule: str
) -> None:
    assert rewrite.parse(read_directives(f"rewrite {rule}"), context).steps


@pytest.mark.parametrize("text", ["tls {\n acme\n}", "tls cert.pem key.pem {\n acme\n}"])
def test_tls_acme_is_refused(text: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        assemble(parse(f"tls://. {{\n{text}\n}}\n", "Corefile", {}), Registry(), dns_port=53)
    assert str(error.value).startswith("Corefile:")


def test_the_hash_covers_comments() -> None:
    one, other = (parse(f"{comment}\n. {{\n whoami\n}}\n", "Corefile", {}) for comment in ("# a", "# b"))
    assert one.sha512 != other.sha512
