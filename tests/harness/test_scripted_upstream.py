"""The scripted upstream: the words of a name decide the reply, as dnspython reads it."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest
from peers import need

from testing.certificates import make_authority, sign
from testing.upstream.scripted import ScriptedUpstream

TIMEOUT_SECONDS = 30.0
SHORT_SECONDS = 0.1


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as started:
        yield started


def ask(
    upstream: ScriptedUpstream, name: str, qtype: str = "A", transport: str = "udp", **options: bool
) -> dns.message.Message:
    query = dns.message.make_query(name, qtype, **options)  # type: ignore[arg-type]
    send = dns.query.udp if transport == "udp" else dns.query.tcp
    return send(query, upstream.host, port=upstream.port, timeout=TIMEOUT_SECONDS)


@pytest.mark.parametrize(
    ("name", "qtype", "rcode", "answers", "authority"),
    [
        ("www.example.org.", "A", "NOERROR", 1, 0),
        ("www.example.org.", "AAAA", "NOERROR", 1, 0),
        ("www.only4.example.org.", "AAAA", "NOERROR", 0, 1),
        ("www.only4.example.org.", "A", "NOERROR", 1, 0),
        (".", "NS", "NOERROR", 2, 0),
        (".", "SOA", "NOERROR", 1, 0),
        (".", "LOC", "NOERROR", 0, 1),
        ("www.example.org.", "LOC", "NOERROR", 0, 1),
        ("1.2.0.192.in-addr.arpa.", "PTR", "NOERROR", 1, 0),
        ("a.nxdomain.example.org.", "A", "NXDOMAIN", 0, 1),
        ("a.NxDomain.nosoa.example.org.", "A", "NXDOMAIN", 0, 0),
        ("a.nodata.example.org.", "A", "NOERROR", 0, 1),
        ("a.nodata.nosoa.example.org.", "A", "NOERROR", 0, 0),
        ("a.cname-3.example.org.", "A", "NOERROR", 4, 0),
        ("a.cname.nxdomain.example.org.", "A", "NXDOMAIN", 1, 1),
        ("a.servfail.example.org.", "A", "SERVFAIL", 0, 0),
        ("a.refused.example.org.", "A", "REFUSED", 0, 0),
        ("a.referral.example.org.", "A", "NOERROR", 0, 1),
        ("a.forged-3.forgedname-2.example.org.", "A", "NOERROR", 1, 0),
    ],
)  # fmt: skip
def test_words_of_the_name_decide_the_reply(
    upstream: ScriptedUpstream, name: str, qtype: str, rcode: str, answers: int, authority: int
) -> None:
    query = dns.message.make_query(name, qtype)
    reply = dns.query.udp(query, upstream.host, port=upstream.port, timeout=TIMEOUT_SECONDS, ignore_errors=True)
    assert dns.rcode.to_text(reply.rcode()) == rcode
    assert (sum(map(len, reply.answer)), sum(map(len, reply.authority))) == (answers, authority)


def test_numbers_of_words_set_ttls(upstream: ScriptedUpstream) -> None:
    assert ask(upstream, "x.ttl-20.example.org.").answer[0].ttl == 20
    soa = ask(upstream, "x.nxdomain.soattl-9.soamin-7.example.org.").authority[0]
    assert (soa.ttl, soa[0].minimum) == (9, 7)


def test_a_counted_word_applies_that_often(upstream: ScriptedUpstream) -> None:
    codes = [ask(upstream, "z.servfail-2.example.org.").rcode() for _ in range(3)]
    assert codes == [dns.rcode.SERVFAIL, dns.rcode.SERVFAIL, dns.rcode.NOERROR]


def test_the_script_of_a_name_is_used_up_in_order(upstream: ScriptedUpstream) -> None:
    upstream.script("Turns.example.org.", "nxdomain", "ttl-5", "servfail")
    replies = [ask(upstream, "turns.example.org.") for _ in range(4)]
    assert [reply.rcode().name for reply in replies] == ["NXDOMAIN", "NOERROR", "SERVFAIL", "NOERROR"]
    assert [reply.answer[0].ttl for reply in replies if reply.answer] == [5, 300]


def test_words_of_the_server_apply_to_all_names() -> None:
    with ScriptedUpstream(always=("refused",), mark=7) as upstream:
        assert ask(upstream, "a.example.org.").rcode() == dns.rcode.REFUSED
        upstream.always = ()
        assert ask(upstream, "a.example.org.").answer[0][0].to_text() == "198.51.100.7"


def test_received_queries_are_kept_with_their_case(upstream: ScriptedUpstream) -> None:
    upstream.forget()
    ask(upstream, "WwW.kept.example.org.", want_dnssec=True)
    ask(upstream, "www.kept.example.org.", "AAAA", "tcp")
    assert [one.name_text for one in upstream.queries("www.kept.example.org")] == [
        "WwW.kept.example.org.",
        "www.kept.example.org.",
    ]
    assert upstream.count("www.kept.example.org", qtype="A", transport="udp") == 1
    assert upstream.count("www.kept.example.org", transport="tcp") == 1
    assert "DO" in upstream.received[0].flags
    assert upstream.connections == 1


def test_truncated_replies_are_complete_over_tcp(upstream: ScriptedUpstream) -> None:
    assert ask(upstream, "x.tc.example.org.").flags & dns.flags.TC
    assert ask(upstream, "x.tc.example.org.", transport="tcp").answer
    assert ask(upstream, "x.many.example.org.").flags & dns.flags.TC
    assert len(ask(upstream, "x.many.example.org.", transport="tcp").answer[0]) == 100


@pytest.mark.parametrize("word", ["dead", "wrongid", "wrongname", "wrongtype", "garbage", "runt", "cut", "qr0"])
def test_dnspython_rejects_a_spoiled_reply(upstream: ScriptedUpstream, word: str) -> None:
    query = dns.message.make_query(f"x.{word}.example.org.", "A")
    with pytest.raises(dns.exception.DNSException):
        dns.query.udp(query, upstream.host, port=upstream.port, timeout=SHORT_SECONDS)


def test_the_case_of_the_question_is_copied_or_lowered(upstream: ScriptedUpstream) -> None:
    for name, expected in (("Kept.example.org.", "Kept"), ("X.Lower.example.org.", "x")):
        assert ask(upstream, name).question[0].name.labels[0].decode() == expected


def test_edns_errors_depend_on_an_opt_in_the_query(upstream: ScriptedUpstream) -> None:
    assert ask(upstream, "x.formerropt.example.org.", use_edns=True).rcode() == dns.rcode.FORMERR
    assert ask(upstream, "x.formerropt.example.org.").rcode() == dns.rcode.NOERROR
    assert ask(upstream, "x.badvers.example.org.", use_edns=True).rcode() == dns.rcode.BADVERS
    (option,) = ask(upstream, "x.ede-22.example.org.", use_edns=True).options
    assert option.otype == dns.edns.OptionType.EDE


@pytest.mark.parametrize(
    ("word", "expected"), [("halfframe", TimeoutError), ("reset", ConnectionResetError), ("close", b"")]
)
def test_connections_end_as_the_word_says(
    upstream: ScriptedUpstream, word: str, expected: type[OSError] | bytes
) -> None:
    message = dns.message.make_query(f"x.{word}.example.org.", "A").to_wire()
    with socket.create_connection((upstream.host, upstream.port), TIMEOUT_SECONDS) as sock:
        sock.sendall(len(message).to_bytes(2, "big") + message)
        if isinstance(expected, bytes):
            assert sock.recv(100) == expected
            return
        if expected is TimeoutError:
            assert sock.recv(100)
            sock.settimeout(SHORT_SECONDS)
        with pytest.raises(expected):
            sock.recv(100)


def test_tls_presents_the_given_certificate(tmp_path: Path) -> None:
    need("openssl")
    make_authority(tmp_path)
    sign(tmp_path, "dns", "/CN=dns", "DNS:dns.example.org")
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(tmp_path / "dns.crt", tmp_path / "dns.key")
    client = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    query = dns.message.make_query("x.example.org.", "A")
    with ScriptedUpstream(tls=own) as upstream:
        options = {"port": upstream.tls_port, "timeout": TIMEOUT_SECONDS, "ssl_context": client}
        assert dns.query.tls(query, upstream.host, server_hostname="dns.example.org", **options).answer  # type: ignore[arg-type]
        assert upstream.count("x.example.org", transport="tls") == 1
        with pytest.raises(ssl.SSLCertVerificationError):
            dns.query.tls(query, upstream.host, server_hostname="other.example.org", **options)  # type: ignore[arg-type]
