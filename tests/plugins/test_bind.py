"""`bind`: addresses, interfaces, exceptions."""

import socket
import sys
from collections.abc import Callable, Sequence

import pytest

from clusterdns.chain import BlockContext
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import bind

ReadDirectives = Callable[[str], Sequence[Directive]]

INTERFACES = {
    "lo": ["127.0.0.1", "::1"],
    "eth0": ["10.0.0.5", "fe80::1%eth0", "2001:db8::5"],
    "down0": [],
}


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("bind 127.0.0.1", ("127.0.0.1",)),
        ("bind 10.0.0.5 ::1", ("10.0.0.5", "::1")),
        ("bind 2001:DB8:0::5", ("2001:db8::5",)),
        ("bind fe80::1%eth0", ("fe80::1%eth0",)),
        ("bind eth0", ("10.0.0.5", "fe80::1%eth0", "2001:db8::5")),
        ("bind 10.0.0.5 eth0", ("10.0.0.5", "fe80::1%eth0", "2001:db8::5")),
        ("bind lo\nbind 10.0.0.5", ("127.0.0.1", "::1", "10.0.0.5")),
        ("bind eth0 {\n except fe80::1%eth0\n}", ("10.0.0.5", "2001:db8::5")),
        ("bind lo eth0 {\n except eth0\n}", ("127.0.0.1", "::1")),
        ("bind lo {\n except ::1\n}\nbind ::1", ("127.0.0.1", "::1")),
        ("bind eth0 down0 {\n except 10.0.0.5\n except 2001:db8::5\n}", ("fe80::1%eth0",)),
    ],
)
def test_addresses(read_directives: ReadDirectives, text: str, addresses: tuple[str, ...]) -> None:
    assert bind.resolve(read_directives(text), INTERFACES) == addresses


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("bind", "Corefile:2", "Wrong argument count"),
        ("bind lo\nbind eth7", "Corefile:3", "'eth7' is neither an address nor an interface; interfaces here are lo, "),
        ("bind 10.0.0.256", "Corefile:2", "'10.0.0.256' is neither"),
        ("bind lo {\n except\n}", "Corefile:3", "Wrong argument count"),
        ("bind lo {\n except lo\n}", "Corefile:2", "no address is left"),
        ("bind down0", "Corefile:2", "no address is left"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, text: str, place: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        bind.resolve(read_directives(text), INTERFACES)
    assert str(error.value).startswith(f"{place}: {problem}")


def test_addresses_need_no_list_of_interfaces(
    read_directives: ReadDirectives, context: BlockContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> dict[str, list[str]]:
        raise OSError("no netlink here")

    monkeypatch.setattr(bind, "interface_addresses", fail)
    settings = bind.parse(read_directives("bind 127.0.0.1 {\n except ::1\n}"), context)
    assert settings.addresses == ("127.0.0.1",)
    with pytest.raises(CorefileError, match="Corefile:2: cannot find interface 'lo': no netlink here"):
        bind.parse(read_directives("bind lo"), context)


@pytest.mark.skipif(sys.platform != "linux", reason="netlink is Linux's")
def test_loopback_of_this_host(read_directives: ReadDirectives, context: BlockContext) -> None:
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    assert "127.0.0.1" in bind.parse(read_directives(f"bind {loopback}"), context).addresses
