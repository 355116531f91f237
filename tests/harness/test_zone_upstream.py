"""The upstreams that need no script: one that answers from zone-file lines, and one that never answers."""

import socket

import dns.message
import dns.query
import dns.rcode
import pytest

from testing.upstream.black_hole import black_hole
from testing.upstream.zone import ZoneUpstream

TIMEOUT_SECONDS = 30.0
ZONE = """\
www.corp. 77 IN CNAME web.corp.
web.corp. 66 IN A 192.0.2.1
web.corp. 66 IN A 192.0.2.2
ring.corp. 5 IN CNAME ring.corp.
"""


def ask(upstream: ZoneUpstream, name: str, qtype: str = "A", transport: str = "udp") -> dns.message.Message:
    send = dns.query.udp if transport == "udp" else dns.query.tcp
    return send(dns.message.make_query(name, qtype), upstream.host, port=upstream.port, timeout=TIMEOUT_SECONDS)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_answers_are_the_records_of_the_zone_along_its_cnames(transport: str) -> None:
    with ZoneUpstream(ZONE) as upstream:
        reply = ask(upstream, "WWW.corp.", transport=transport)
        assert [(one.name.to_text(), one.ttl, len(one)) for one in reply.answer] == [
            ("www.corp.", 77, 1),
            ("web.corp.", 66, 2),
        ]
        assert upstream.received == [("WWW.corp.", "A")]


def test_absent_types_names_and_loops_end_in_a_reply() -> None:
    with ZoneUpstream(ZONE) as upstream:
        for name, rcode in (("web.corp.", dns.rcode.NOERROR), ("no.corp.", dns.rcode.NXDOMAIN)):
            reply = ask(upstream, name, "AAAA")
            assert (reply.rcode(), reply.answer) == (rcode, [])
        assert ask(upstream, "ring.corp.").answer


def test_the_black_hole_never_answers() -> None:
    with black_hole() as address, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.05)
        sock.connect(address)
        sock.send(dns.message.make_query("www.example.", "A").to_wire())
        with pytest.raises(TimeoutError):
            sock.recv(4096)
