"""Readers of arguments: the values that each accepts, and the exact errors for others."""

from collections.abc import Callable
from functools import partial

import pytest

from clusterdns.corefile import values
from clusterdns.corefile.errors import CorefileError
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.values import ListenAddress

Reader = Callable[[Token], object]


def token(text: str) -> Token:
    return Token(text, "f", 7)


bounded_integer: Reader = partial(values.integer, minimum=0, maximum=3600)
bounded_duration: Reader = partial(values.duration_seconds, minimum=1, maximum=60)
mode: Reader = partial(values.choice, words=("disabled", "insecure", "verified"))

VALUES: list[tuple[Reader, str, object]] = [
    (values.duration_seconds, "30s", 30.0),
    (values.duration_seconds, "1h30m", 5400.0),
    (values.duration_seconds, "1.5s", 1.5),
    (values.duration_seconds, ".5s", 0.5),
    (values.duration_seconds, "1.s", 1.0),
    (values.duration_seconds, "100ms", 0.1),
    (values.duration_seconds, "3us", 3e-6),
    (values.duration_seconds, "3µs", 3e-6),
    (values.duration_seconds, "3μs", 3e-6),
    (values.duration_seconds, "7ns", 7e-9),
    (values.duration_seconds, "+5s", 5.0),
    (values.duration_seconds, "0", 0.0),
    (values.duration_seconds, "-0", 0.0),
    (partial(values.duration_seconds, minimum=-60), "-5s", -5.0),
    (bounded_duration, "60s", 60.0),
    (bounded_integer, "3600", 3600),
    (bounded_integer, "+7", 7),
    (values.integer, "-7", -7),
    (values.integer, "007", 7),
    (values.decimal, "0.5", 0.5),
    (values.decimal, "100", 100.0),
    (values.decimal, "1e3", 1000.0),
    (mode, "insecure", "insecure"),
    (lambda t: values.regex(t).groups, r"^(?:[^.]+\.){4,}(?P<zone>internal)\.net\.$", 1),
    (lambda t: values.regex(t).search("xaab") is not None, "a+b", True),
    (values.listen_address, ":8080", ListenAddress("", 8080)),
    (values.listen_address, "0.0.0.0:9153", ListenAddress("0.0.0.0", 9153)),
    (values.listen_address, "[::1]:9153", ListenAddress("::1", 9153)),
    (values.listen_address, "[FE80::1%eth0]:9153", ListenAddress("fe80::1%eth0", 9153)),
    (values.listen_address, "localhost:0", ListenAddress("localhost", 0)),
    (lambda t: str(values.ip(t)), "FD00::A", "fd00::a"),
    (lambda t: values.zones([t]), "Cluster.Local:53", ("cluster.local.",)),
    (lambda t: values.zones([t]), "dns://.", (".",)),
    (lambda t: values.zones([t]), "10.98.100.0/23", ("100.98.10.in-addr.arpa.", "101.98.10.in-addr.arpa.")),
]


@pytest.mark.parametrize(("reader", "text", "expected"), VALUES)
def test_values(reader: Reader, text: str, expected: object) -> None:
    value = reader(token(text))
    assert value == (pytest.approx(expected) if isinstance(expected, float) else expected)
    assert type(value) is type(expected)


A_DURATION = "write one such as 30s, 1m30s or 500ms"
RE2_SYNTAX = "write it in RE2 syntax, which has neither look-around nor back-references"
ERRORS: list[tuple[Reader, str, str]] = [
    (values.duration_seconds, "3600", "'3600' is not a duration: its unit is missing; for seconds write '3600s'"),
    (values.duration_seconds, "", f"'' is not a duration; {A_DURATION}"),
    (values.duration_seconds, "s", f"'s' is not a duration; {A_DURATION}"),
    (values.duration_seconds, "1d", f"'1d' is not a duration; {A_DURATION}"),
    (values.duration_seconds, "1 s", f"'1 s' is not a duration; {A_DURATION}"),
    (values.duration_seconds, "1s2", f"'1s2' is not a duration; {A_DURATION}"),
    (values.duration_seconds, "٣s", f"'٣s' is not a duration; {A_DURATION}"),
    (values.duration_seconds, "9999999h", f"'9999999h' is not a duration; {A_DURATION}"),
    (values.duration_seconds, "1s" * 5000, f"'{'1s' * 29}1…' is not a duration; {A_DURATION}"),
    (values.duration_seconds, "-5s", "'-5s' is out of range; write 0s or more"),
    (bounded_duration, "61s", "'61s' is out of range; write 1s to 60s"),
    (bounded_integer, "3601", "'3601' is out of range; write 0 to 3600"),
    (bounded_integer, "x", "'x' is not an integer; write 0 to 3600"),
    (values.integer, "1_000", "'1_000' is not an integer; write a number"),
    (values.integer, "9" * 5000, f"'{'9' * 59}…' is not an integer; write a number"),
    (partial(values.integer, minimum=1), "0", "'0' is out of range; write 1 or more"),
    (partial(values.integer, maximum=1), "2", "'2' is out of range; write 1 or less"),
    (values.decimal, "nan", "'nan' is not a number; write a number"),
    (partial(values.decimal, minimum=0), "-0.5", "'-0.5' is out of range; write 0 or more"),
    (mode, "insecur", "'insecur' is not one of disabled, insecure, verified; did you mean 'insecure'?"),
    (mode, "x", "'x' is not one of disabled, insecure, verified; known: disabled, insecure, verified"),
    (values.listen_address, "9153", "'9153' is not host:port; write ':9153'"),
    (values.listen_address, "localhost", "'localhost' is not host:port; write 127.0.0.1:9153, :9153 or [::1]:9153"),
    (values.listen_address, "::1:9153", "'::1:9153' is not host:port; write 127.0.0.1:9153, :9153 or [::1]:9153"),
    (values.listen_address, ":70000", "'70000' is out of range; write 0 to 65535"),
    (values.listen_address, ":dns", "'dns' is not an integer; write 0 to 65535"),
    (values.listen_address, "a b:1", "'a b' is not a host; write an address, or nothing for every address"),
    (values.listen_address, "[x]:1", "'x' is not an IP address; write one such as 10.96.0.10 or fd00::a"),
    (values.regex, "(", f"pattern '(' is not a regular expression: 'missing ): ('; {RE2_SYNTAX}"),
    (
        values.regex,
        r"(a)\1",
        rf"pattern '(a)\1' is not a regular expression: 'invalid escape sequence: \1'; {RE2_SYNTAX}",
    ),
    (values.regex, "ä" * 5001, f"pattern '{'ä' * 59}…' is too long; write at most 10000 bytes"),
    (values.regex, "a\udcff", "pattern 'a\\udcff' is not UTF-8; write it in UTF-8"),
    (values.ip, "192.168.xxx.xxx", "'192.168.xxx.xxx' is not an IP address; write one such as 10.96.0.10 or fd00::a"),
    (lambda t: values.zones([t]), "", "no zone in ''; for all names write '.'"),
    (lambda t: values.zones([t]), "a:", "no port after the colon of 'a:'; write the port, or remove the colon"),
]


@pytest.mark.parametrize(("reader", "text", "message"), ERRORS)
def test_errors(reader: Reader, text: str, message: str) -> None:
    with pytest.raises(CorefileError) as raised:
        reader(token(text))
    assert str(raised.value) == f"f:7: {message}"


@pytest.mark.parametrize("text", [r"(?:\pL{500}){2}(?:\pN{500}){2}\pZ{1000}", "((((a{100}){100}){100}){100}", "(?=a)b"])
def test_a_pattern_that_would_explode_is_an_error(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CorefileError, match="is not a regular expression"):
        values.regex(token(text))
    assert capfd.readouterr() == ("", "")


def test_repeated_zones_are_returned_once() -> None:
    found = values.zones([token("a.org"), token("10.0.0.0/8"), token("A.org."), token("10.1.2.3/8")])
    assert found == ("a.org.", "10.in-addr.arpa.")


@pytest.mark.parametrize(("address", "text"), [(ListenAddress("", 53), ":53"), (ListenAddress("::1", 53), "[::1]:53")])
def test_a_listen_address_as_text(address: ListenAddress, text: str) -> None:
    assert str(address) == text
