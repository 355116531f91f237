"""Keys of server blocks: schemes, ports, networks, errors and warnings."""

import pytest

from clusterdns.corefile.errors import CorefileError, CorefileWarning
from clusterdns.corefile.keys import ServerKey, parse_key
from clusterdns.corefile.lexer import Token


def read(text: str) -> tuple[tuple[ServerKey, ...], list[str]]:
    warnings: list[CorefileWarning] = []
    found = parse_key(Token(text, "f", 1), warnings)
    return found, [warning.text for warning in warnings]


@pytest.mark.parametrize(
    ("text", "transport", "zone_text", "port", "listens"),
    [
        (".", "dns", ".", None, 1053),
        (".:53", "dns", ".", 53, 53),
        (".:0", "dns", ".", 0, 0),
        ("example.org", "dns", "example.org.", None, 1053),
        ("Example.ORG.:5353", "dns", "example.org.", 5353, 5353),
        ("home.:53", "dns", "home.", 53, 53),
        ("dns://.:53", "dns", ".", 53, 53),
        ("tls://.", "tls", ".", None, 853),
        ("TLS://.:8853", "tls", ".", 8853, 8853),
        ("https://example.org", "https", "example.org.", None, 443),
        ("https3://.", "https3", ".", None, 443),
        ("quic://.", "quic", ".", None, 853),
        ("grpc://.", "grpc", ".", None, 443),
        ("hostname.bind:5353", "dns", "hostname.bind.", 5353, 5353),
        ("_tcp.a_b.example.org", "dns", "_tcp.a_b.example.org.", None, 1053),
        ("0/25.2.0.192.in-addr.arpa", "dns", "0/25.2.0.192.in-addr.arpa.", None, 1053),
        ("0.0.0.0.3.7.4.7.ip6.arpa:53", "dns", "0.0.0.0.3.7.4.7.ip6.arpa.", 53, 53),
        ("cluster.local:53", "dns", "cluster.local.", 53, 53),
    ],
)
def test_one_zone(text: str, transport: str, zone_text: str, port: int | None, listens: int) -> None:
    (key,), warnings = read(text)
    assert (key.transport, key.zone_text, key.port) == (transport, zone_text, port)
    assert key.port_or_default(1053) == listens
    assert warnings == []


def test_a_zone_in_wire_form() -> None:
    (key,), _ = read("Cluster.local:53")
    assert key.zone == b"\x07cluster\x05local\0"


@pytest.mark.parametrize(
    ("text", "zones"),
    [
        ("10.0.0.0/24", ["0.0.10.in-addr.arpa."]),
        ("10.0.0.0/15", ["0.10.in-addr.arpa.", "1.10.in-addr.arpa."]),
        ("192.168.1.1/23", ["0.168.192.in-addr.arpa.", "1.168.192.in-addr.arpa."]),
        ("10.96.0.0/12", [f"{n}.10.in-addr.arpa." for n in range(96, 112)]),
        ("10.0.0.0/27", [f"{n}.0.0.10.in-addr.arpa." for n in range(32)]),
        ("10.0.0.9/32", ["9.0.0.10.in-addr.arpa."]),
        ("0.0.0.0/0", ["in-addr.arpa."]),
        ("128.0.0.0/1", [f"{n}.in-addr.arpa." for n in range(128, 256)]),
        ("2001:db8::/32", ["8.b.d.0.1.0.0.2.ip6.arpa."]),
        ("2001:db8::/31", ["8.b.d.0.1.0.0.2.ip6.arpa.", "9.b.d.0.1.0.0.2.ip6.arpa."]),
        ("fd00::/7", ["c.f.ip6.arpa.", "d.f.ip6.arpa."]),
    ],
)
def test_networks(text: str, zones: list[str]) -> None:
    for suffix, port in (("", None), (":1053", 1053)):
        found, warnings = read(text + suffix)
        assert [key.zone_text for key in found] == zones
        assert {key.port for key in found} == {port}
        assert warnings == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (":1053", "no zone in ':1053'; for all names write .:1053"),
        ("tls://", "no zone in 'tls://'; for all names write '.'"),
        ("a.org:", "no port after the colon of 'a.org:'; write the port, or remove the colon"),
        (".:65536", "port '65536' of '.:65536' is out of range; write a port up to 65535"),
        (".:" + "9" * 5000, f"port '{'9' * 59}…' of '.:{'9' * 57}…' is out of range; write a port up to 65535"),
        ("fe80::1", "'fe80::1' is an address, not a zone; for its reverse zone write fe80::1/128"),
        ("a..b", "'a..b' is not a domain name: label of 0 bytes, must be 1 to 63; write a zone such as cluster.local"),
        ("a" * 64, f"'{'a' * 59}…' is not a domain name: label of 64 bytes, must be 1 to 63; "
         "write a zone such as cluster.local"),
        ("a." * 128, f"zone '{'a.' * 29}a…' has 256 characters; write at most 255 characters"),
        ("10.0.0.0/33", "'10.0.0.0/33' is not a network; "
         "write one such as 10.0.0.0/8"),
        ("::/0", "'::/0' cannot be made a reverse zone; write the zone itself, under ip6.arpa"),
        ("0::/8", "'0::/8' cannot be made a reverse zone; write the zone itself, under ip6.arpa"),
    ],
)  # fmt: skip
def test_errors(text: str, message: str) -> None:
    with pytest.raises(CorefileError) as raised:
        read(text)
    assert str(raised.value) == f"f:1: {message}"


@pytest.mark.parametrize(
    ("text", "zone_text", "warning"),
    [
        ("foo://bar", "foo://bar.", "the scheme of 'foo://bar' is none of dns, tls, https, https3, quic, grpc, so "
         "it is served as a name"),
        ("10.0.0.1", "10.0.0.1.", "'10.0.0.1' is served as a name; "
         "for the reverse zone of this address write 10.0.0.1/32"),
        ("bücher.example", "b\\195\\188cher.example.", "zone 'bücher.example' is not ASCII; "
         "clients ask for its xn-- form"),
        ("a,b", "a,b.", "zone 'a,b' is not a host name that clients ask for (RFC 1035 §2.3.1)"),
        ("*.example.org", "*.example.org.", "zone '*.example.org' is not a host name that clients ask for "
         "(RFC 1035 §2.3.1)"),
    ],
)  # fmt: skip
def test_warnings(text: str, zone_text: str, warning: str) -> None:
    (key,), warnings = read(text)
    assert key.zone_text == zone_text
    assert warnings == [warning]
