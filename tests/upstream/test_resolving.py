"""Upstreams that a Corefile names by a file or a host name."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterdns.upstream import resolving
from clusterdns.upstream.address import Address
from clusterdns.upstream.resolving import nameservers, resolve, resolver_address
from testing.upstream.scripted import Upstream


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


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


def test_resolvers(upstream: Upstream) -> None:
    upstream.hold(
        "dns.example.org. CNAME host.example.org.\nhost.example.org. A 192.0.2.1\nhost.example.org. AAAA 2001:db8::1"
    )
    with Upstream() as gone:
        nobody = Address("dns", gone.host, gone.port)
    resolvers = [nobody, Address("dns", upstream.host, upstream.port)]
    found = resolve(["dns.example.org", "x.nxdomain.example.org"], resolvers)
    assert found == {"dns.example.org": ["192.0.2.1", "2001:db8::1"], "x.nxdomain.example.org": []}


def test_time_is_bounded(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "RESOLVE_SECONDS", 0.1)
    started = time.monotonic()
    hosts = [f"x{number}.dead.example.org" for number in range(20)]
    assert set(map(tuple, resolve(hosts, [Address("dns", upstream.host, upstream.port)]).values())) == {()}
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
