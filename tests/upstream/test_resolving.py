"""Upstreams that a Corefile names by a file or a host name: where `nameserver` lines and resolvers say they are."""

from pathlib import Path

import pytest

from clusterdns.upstream import resolving
from clusterdns.upstream.address import Address
from clusterdns.upstream.resolving import nameservers, resolve, resolver_address
from testing.ports import LOOPBACK, free_ports
from testing.upstream.black_hole import black_hole
from testing.upstream.scripted import ScriptedUpstream
from testing.upstream.zone import ZoneUpstream
from testing.waiting import PATIENCE_SECONDS

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


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give resolvers as much time as a busy machine may take."""
    monkeypatch.setattr(resolving, "RESOLVE_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(resolving, "TRY_SECONDS", PATIENCE_SECONDS / 2)


@pytest.mark.usefixtures("patient")
def test_resolvers() -> None:
    (unused,) = free_ports(1)
    with ZoneUpstream(ZONE) as upstream:
        resolvers = [Address("dns", LOOPBACK, unused), Address("dns", upstream.host, upstream.port)]
        found = resolve(["dns.example.org", "absent.example.org"], resolvers)
    assert found == {"dns.example.org": ["192.0.2.1", "2001:db8::1"], "absent.example.org": []}


@pytest.mark.usefixtures("patient")
def test_forged_replies_are_ignored() -> None:
    with ScriptedUpstream(mark=7) as upstream:
        name = "x.forged-20.forgedname-20.example.org"
        found = resolve([name], [Address("dns", upstream.host, upstream.port)])
    assert found == {name: ["198.51.100.7", "2001:db8::7"]}


def test_names_that_are_not_resolved_in_time_have_no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "RESOLVE_SECONDS", 0.0)
    hosts = [f"x{number}.example.org" for number in range(20)]
    with black_hole() as (host, port):
        assert resolve(hosts, [Address("dns", host, port)]) == {name: [] for name in hosts}


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("1.1.1.1", Address("dns", "1.1.1.1", 53)), ("[::1]:54", Address("dns", "::1", 54)), ("x", None),
        ("1.1.1.1:x", None), ("", None),
    ],
)  # fmt: skip
def test_resolver_addresses(text: str, address: Address | None) -> None:
    assert resolver_address(text) == address
