"""Upstreams that a Corefile names by a file or a host name."""

import time
from pathlib import Path

import pytest

from clusterdns.upstream import resolving
from clusterdns.upstream.address import Address
from clusterdns.upstream.resolving import nameservers, resolve, resolver_address
from testing.ports import LOOPBACK, free_ports
from testing.upstream.black_hole import black_hole
from testing.upstream.zone import ZoneUpstream

ZONE = """\
dns.example.org. 300 IN CNAME host.example.org.
host.example.org. 300 IN A 192.0.2.1
host.example.org. 300 IN AAAA 2001:db8::1
"""


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_bytes(
        b"\xff\xfe\nNameserver 1.1.1.1\nnameserver\t2.2.2.2 x\n#nameserver 3.3.3.3\nnameserver\nnameserver ::1"
    )
    assert nameservers(str(file)) == ["2.2.2.2", "::1"]
    with pytest.raises(OSError, match="No such file"):
        nameservers(str(tmp_path / "absent"))
    with pytest.raises(OSError, match="directory"):
        nameservers(str(tmp_path))


def test_resolvers() -> None:
    (unused,) = free_ports(1)
    with ZoneUpstream(ZONE) as upstream:
        resolvers = [Address("dns", LOOPBACK, unused), Address("dns", upstream.host, upstream.port)]
        found = resolve(["dns.example.org", "absent.example.org"], resolvers)
    assert found == {"dns.example.org": ["192.0.2.1", "2001:db8::1"], "absent.example.org": []}


def test_time_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "RESOLVE_SECONDS", 0.1)
    started = time.monotonic()
    with black_hole() as (host, port):
        found = resolve([f"x{number}.example.org" for number in range(20)], [Address("dns", host, port)])
    assert set(map(tuple, found.values())) == {()}
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("1.1.1.1", Address("dns", "1.1.1.1", 53)), ("[::1]:54", Address("dns", "::1", 54)), ("x", None),
        ("1.1.1.1:x", None), ("", None),
    ],
)  # fmt: skip
def test_resolver_addresses(text: str, address: Address | None) -> None:
    assert resolver_address(text) == address
