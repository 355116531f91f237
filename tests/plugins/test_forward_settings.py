"""`forward`: every form of TO, every option, and every mistake."""

import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.chain import BlockContext
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.corefile.load import parse as parse_corefile
from clusterdns.plugins.forward import directive as forward
from clusterdns.plugins.forward.settings import ForwardSettings
from clusterdns.telemetry.metrics import Registry
from clusterdns.upstream.address import Address
from clusterdns.wire import codes
from clusterdns.wire.name import ROOT, from_text

ReadDirectives = Callable[[str], Sequence[Directive]]
ReadOne = Callable[[str], ForwardSettings]


@pytest.fixture
def read_one(read_directives: ReadDirectives, context: BlockContext) -> ReadOne:
    def read(text: str) -> ForwardSettings:
        (settings,) = forward.parse(read_directives(text), context)
        return settings

    return read


@pytest.mark.parametrize(
    ("to", "address"),
    [
        ("9.9.9.9", Address("dns", "9.9.9.9", 53)),
        ("9.9.9.9:5353", Address("dns", "9.9.9.9", 5353)),
        ("dns://9.9.9.9", Address("dns", "9.9.9.9", 53)),
        ("DNS://9.9.9.9:54", Address("dns", "9.9.9.9", 54)),
        ("fd00::a", Address("dns", "fd00::a", 53)),
        ("[fd00::a]", Address("dns", "fd00::a", 53)),
        ("[fd00::a]:5353", Address("dns", "fd00::a", 5353)),
        ("fe80::1%eth0", Address("dns", "fe80::1", 53, "eth0")),
        ("[fe80::1%eth0]:54", Address("dns", "fe80::1", 54, "eth0")),
        ("tls://9.9.9.9", Address("tls", "9.9.9.9", 853)),
        ("tls://9.9.9.9:8853", Address("tls", "9.9.9.9", 8853)),
        ("tls://9.9.9.9%dns.quad9.net", Address("tls", "9.9.9.9", 853, "", "dns.quad9.net")),
        ("tls://9.9.9.9%dns.quad9.net:8853", Address("tls", "9.9.9.9", 8853, "", "dns.quad9.net")),
        ("tls://2620:fe::fe%dns.quad9.net", Address("tls", "2620:fe::fe", 853, "", "dns.quad9.net")),
        ("tls://[2620:fe::fe]%dns.quad9.net:8853", Address("tls", "2620:fe::fe", 8853, "", "dns.quad9.net")),
        ("tls://[fe80::1%eth0]:853", Address("tls", "fe80::1", 853, "eth0")),
        ("tls://fe80::1%eth0", Address("tls", "fe80::1", 853, "eth0")),
        ("https://9.9.9.9", Address("https", "9.9.9.9", 443)),
        ("https://9.9.9.9:8443", Address("https", "9.9.9.9", 8443)),
    ],
)
def test_addresses(read_one: ReadOne, to: str, address: Address) -> None:
    assert read_one(f"forward . {to}").addresses == (address,)


def test_several_each_once(read_one: ReadOne) -> None:
    found = read_one("forward . 9.9.9.9 1.1.1.1 dns://9.9.9.9:53 tls://9.9.9.9").addresses
    assert [address.host_port for address in found] == ["9.9.9.9:53", "1.1.1.1:53", "9.9.9.9:853"]


def test_resolv_conf(read_one: ReadOne, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(
        "# comment\nsearch x\nnameserver 10.0.0.2\nnameserver bad\n nameserver fe80::1%lo # x\nnameserver\n"
    )
    found = read_one(f'forward . "{file}" 10.0.0.3 tls://{file}').addresses
    assert found == (
        Address("dns", "10.0.0.2", 53),
        Address("dns", "fe80::1", 53, "lo"),
        Address("dns", "10.0.0.3", 53),
        Address("tls", "10.0.0.2", 853),
        Address("tls", "fe80::1", 853, "lo"),
    )
    assert "nameserver 'bad' is not an IP address; ignored" in caplog.text


def test_host_names(read_one: ReadOne, monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(host: str, port: None, type: int) -> list[tuple[object, ...]]:
        if host != "dns.example.org":
            raise socket.gaierror
        return [(0, 0, 0, "", ("192.0.2.1", 0)), (0, 0, 0, "", ("2001:db8::1", 0, 0, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    found = read_one("forward . tls://dns.example.org:8853").addresses
    assert found == (Address("tls", "192.0.2.1", 8853), Address("tls", "2001:db8::1", 8853))
    with pytest.raises(CorefileErrors, match=r"Corefile:2: failed to resolve 'nobody.example.org'"):
        read_one("forward . nobody.example.org")


def test_upstreams_of_both_families_and_one_source(read_one: ReadOne, caplog: pytest.LogCaptureFixture) -> None:
    settings = read_one("forward . 9.9.9.9 2620:fe::fe {\n source_address 10.0.0.1\n}")
    assert len(settings.addresses) == 2
    assert "[2620:fe::fe]:53 cannot be reached from 10.0.0.1" in caplog.text


def test_all_options(read_one: ReadOne) -> None:
    settings = read_one(
        "forward Example.ORG 9.9.9.9 {\n except a.example.org b.example.org\n except 10.0.0.0/8\n force_tcp\n"
        " prefer_udp\n max_fails 0\n max_connect_attempts 7\n health_check 1s no_rec domain x.org\n expire 20s\n"
        " max_age 1m\n max_idle_conns 3\n read_timeout 500ms\n tls\n tls_servername dns.quad9.net\n doh_method GET\n"
        " policy round_robin\n max_concurrent 1000\n next nxdomain REFUSED\n next SERVFAIL\n next_on_nodata\n"
        " failover SERVFAIL\n failfast_all_unhealthy_upstreams\n resolver 1.1.1.1 [fd00::1]:54\n"
        " source_address ::ffff:127.0.0.1\n}"
    )
    scope, transport, health, pool = settings.scope, settings.transport, settings.health, settings.pool
    assert scope.zone == from_text("example.org.")
    assert scope.excluded == tuple(map(from_text, ("a.example.org.", "b.example.org.", "10.in-addr.arpa.")))
    assert (transport.force_tcp, settings.prefers_udp, pool.fails_fast) == (True, True, True)
    assert (health.max_fails, pool.max_attempts, transport.max_idle, settings.max_concurrent) == (0, 7, 3, 1000)
    assert (health.interval_seconds, health.recurses, health.name) == (1.0, False, from_text("x.org."))
    assert (transport.expire_seconds, transport.max_age_seconds, pool.read_seconds) == (20.0, 60.0, 0.5)
    assert (transport.tls_server_name, transport.https_method, pool.policy) == ("dns.quad9.net", "GET", "round_robin")
    assert scope.next_codes == {codes.NXDOMAIN, codes.REFUSED, codes.SERVFAIL}
    assert scope.is_nodata_next
    assert pool.failover == {codes.SERVFAIL}
    assert settings.resolvers == (Address("dns", "1.1.1.1", 53), Address("dns", "fd00::1", 54))
    assert transport.source == "127.0.0.1"
    assert transport.tls is not None
    assert transport.tls.check_hostname


def test_a_network_stands_for_its_first_zone(read_one: ReadOne, caplog: pytest.LogCaptureFixture) -> None:
    assert read_one("forward 10.0.0.0/9 9.9.9.9").scope.zone == from_text("0.10.in-addr.arpa.")
    assert "'10.0.0.0/9' expands to multiple zones. Using only '0.10.in-addr.arpa.'" in caplog.text
    assert read_one("forward . 9.9.9.9").scope.zone == ROOT


TO_MISTAKES = [
    ("forward", "Wrong argument count or unexpected line ending after 'forward'"),
    ("forward .", "Wrong argument count or unexpected line ending after '.'"),
    ("forward . grpc://1.1.1.1", "'grpc' is not supported as a destination protocol in forward"),
    ("forward . quic://1.1.1.1", "'quic' is not supported as a destination protocol"),
    ("forward . unix:///run/dns", "'unix' is not supported as a destination protocol"),
    ("forward . https://1.1.1.1/", "paths are not allowed in HTTPS upstream addresses"),
    ("forward . https://1.1.1.1/x", "paths are not allowed in HTTPS upstream addresses"),
    ("forward . 1.1.1.1:x", "port 'x' is not a number"),
    ("forward . 1.1.1.1:99999", "port '99999' is not a number from 1"),
    ("forward . [fd00::1]:0", "port '0' is not a number from 1"),
    ("forward . [fd00::zz]:53", "[fd00::zz]"),
    ("forward . /no/such/file", "file '/no/such/file' not found"),
    ("forward . /dev/null/x", "file '/dev/null/x' not found"),
    ("forward . a..b", "label of 0 bytes"),
    (f"forward . {'1.1.1.1 ' * 16}", "more than 15 TOs configured: 16"),
    ("forward a..b 1.1.1.1", "is not a domain name"),
    ("forward . tls://1.1.1.1%a.b {\n tls_servername x\n}", "both forward ('x') and proxy level ('a.b') TLS"),
    ("forward . 1.1.1.1 {\n expire 20s\n max_age 15s\n}", "max_age (15s) must not be less than expire (20s)"),
]
OPTION_MISTAKES = [
    ("bla", "unknown property 'bla'"), ("except", "Wrong argument count"),
    ("force_tcp x", "Wrong argument count"), ("prefer_udp x", "Wrong argument count"), ("max_fails", "Wrong argument"),
    ("max_fails -1", "out of range"), ("max_fails x", "not an integer"), ("max_fails 99999999999", "out of range"),
    ("max_fails 1 2", "Wrong argument count"), ("max_connect_attempts -1", "out of range"),
    ("health_check", "Wrong argument count"), ("health_check -1s", "out of range"), ("health_check 5", "unit"),
    ("health_check 1s bla", "unknown option 'bla'"), ("health_check 1s no_rec domain", "Wrong argument count"),
    ("health_check 1s domain a..b", "invalid domain name 'a..b'"), ("tls a b c d", "Wrong argument count"),
    ("tls /no/ca", "cannot read '/no/ca'"), ("tls /no/cert /no/key", "could not load TLS cert '/no/cert'"),
    ("tls_servername", "Wrong argument count"), ("tls_servername a..b", "invalid domain name"),
    ("expire", "Wrong argument count"), ("expire -1s", "out of range"), ("expire 3600", "unit is missing"),
    ("max_age 5s", "max_age (5s) must not be less than expire (10s)"), ("max_idle_conns -1", "out of range"),
    ("read_timeout 0s", "read_timeout must be positive"), ("read_timeout -1s", "out of range"),
    ("doh_method get", "not one of"), ("policy x", "unknown policy 'x'"), ("max_concurrent -1", "out of range"),
    ("next", "Wrong argument count"), ("next FOO", "'FOO' is not a valid rcode"), ("next 5", "is not a valid rcode"),
    ("next_on_nodata x", "Wrong argument count"), ("failover NOERROR", "NOERROR cannot be used in failover"),
    ("failover X", "'X' is not a valid rcode"), ("failfast_all_unhealthy_upstreams x", "Wrong argument count"),
    ("resolver", "Wrong argument count"), ("resolver x", "resolver must be an IP address or IP:port: 'x'"),
    ("source_address x", "not an IP address"),
    ("source_address 1.1.1.1 2.2.2.2", "Wrong argument count"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), TO_MISTAKES)
def test_mistakes(read_one: ReadOne, text: str, problem: str) -> None:
    with pytest.raises(CorefileErrors) as error:
        read_one(text)
    assert problem in str(error.value)
    assert str(error.value).startswith("Corefile:")


@pytest.mark.parametrize(("line", "problem"), OPTION_MISTAKES)
def test_mistakes_in_options(read_one: ReadOne, line: str, problem: str) -> None:
    with pytest.raises(CorefileErrors) as error:
        read_one(f"forward . 1.1.1.1 {{\n {line}\n}}")
    assert problem in str(error.value)
    assert str(error.value).startswith("Corefile:3: ")


def test_a_file_without_nameservers_is_a_mistake(read_one: ReadOne, tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("search x\n")
    with pytest.raises(CorefileErrors, match=r"Corefile:2: no valid upstream addresses found"):
        read_one(f"forward . {tmp_path}/resolv.conf")


def test_all_mistakes_are_reported(read_directives: ReadDirectives, context: BlockContext) -> None:
    with pytest.raises(CorefileErrors) as errors:
        forward.parse(read_directives("forward a 1.1.1.1 {\n max_fails x\n policy y\n}\nforward . grpc://1"), context)
    assert len(errors.value.errors) == 3


@given(st.text(alphabet=st.sampled_from("0123456789abf.:[]%/tlsdhnp-_ x"), max_size=40))
def test_any_to_is_an_address_or_an_error_with_a_place(text: str) -> None:
    context = BlockContext((".",), "dns://:53", Registry(), None)  # type: ignore[arg-type]  # parse asks nothing of it
    quoted = text.replace('"', "")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("clusterdns.plugins.forward.addresses.resolve", lambda hosts, _: {host: [] for host in hosts})
        problem = ""
        try:
            directives = parse_corefile(f'. {{\nforward . "{quoted}"\n}}\n', "Corefile", {}).blocks[0].directives
            (settings,) = forward.parse(directives, context)
        except (CorefileError, CorefileErrors) as error:
            problem = str(error)
        assert settings.addresses if not problem else problem.startswith("Corefile:2: ")
