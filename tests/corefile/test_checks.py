"""Checks of whole blocks: unknown directives, repeated directives, overlapping zones."""

import time

import pytest

from clusterdns.corefile.checks import Served, check_directives, check_overlaps, check_repetition
from clusterdns.corefile.errors import MAX_ERRORS, ErrorList
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.load import parse

KNOWN = ("errors", "log", "forward", "rewrite", "kubernetes", "cache")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rewirte", "Unknown directive 'rewirte'; did you mean 'rewrite'?"),
        ("Kubernetes", "Unknown directive 'Kubernetes'; did you mean 'kubernetes'?"),
        ("proxy", "Unknown directive 'proxy'; use 'forward', which replaced it in CoreDNS"),
        (
            "etcd",
            "clusterdns does not implement 'etcd'; remove the directive, or keep CoreDNS;"
            " docs/corefile.md lists what is implemented",
        ),
        ("zzz", "Unknown directive 'zzz'; known: cache, errors, forward, kubernetes, log, rewrite"),
    ],
)
def test_unknown_directives(name: str, message: str) -> None:
    errors = ErrorList()
    check_directives(parse(f". {{\n log\n {name} x\n}}\n", "f", {}).blocks, KNOWN, {"etcd"}, errors)
    assert [str(error) for error in errors.errors] == [f"f:3: {message}"]


def test_a_long_list_of_known_directives_is_not_written_out() -> None:
    errors = ErrorList()
    check_directives(parse(".\nzzz\n", "f", {}).blocks, [f"plugin{n}" for n in range(50)], (), errors)
    assert str(errors.errors[0]) == "f:2: Unknown directive 'zzz'; remove it; 'clusterdns -plugins' lists what exists"


def test_suggestions_for_thousands_of_unknown_directives_take_bounded_time() -> None:
    blocks = parse(". {\n" + "".join(f"rewirte{n}\n" for n in range(20_000)) + "}\n", "f", {}).blocks
    errors = ErrorList()
    started = time.process_time()
    check_directives(blocks, KNOWN, (), errors)
    assert time.process_time() - started < 2.0
    assert len(errors.errors) == MAX_ERRORS


def test_known_directives_pass() -> None:
    errors = ErrorList()
    check_directives(parse(". {\n log\n errors\n}\n", "f", {}).blocks, KNOWN, (), errors)
    assert not errors


def test_a_repeated_directive_is_an_error() -> None:
    text = "a {\n cache\n log\n log\n cache\n cache\n}\nb {\n cache\n}\n"
    errors = ErrorList()
    check_repetition(parse(text, "f", {}).blocks, {"cache"}, errors)
    message = (
        "'cache': this plugin can only be used once per Server Block, and is used at f:2; merge the two, or remove one"
    )
    assert [str(error) for error in errors.errors] == [f"f:5: {message}", f"f:6: {message}"]


def served(line: int, zone: str, *addresses: str, port: int = 53, transport: str = "dns") -> Served:
    return Served(transport, zone, port, addresses, Token(zone, "f", line), has_certificate=True)


TWICE = "it is already defined at f:1; remove one of the two, or 'bind' each to addresses of its own"
OVERLAPS: list[tuple[str, list[Served], list[str]]] = [
    ("different zones", [served(1, "a."), served(2, "b.")], []),
    ("different ports", [served(1, "a."), served(2, "a.", port=54)], []),
    ("different transports", [served(1, "a."), served(2, "a.", transport="tls")], []),
    ("different addresses", [served(1, "a.", "127.0.0.1"), served(2, "a.", "127.0.0.2")], []),
    ("an address given twice", [served(1, "a.", "127.0.0.1", "127.0.0.1")], []),
    ("the same twice", [served(1, "a."), served(2, "a.")], [f"f:2: cannot serve dns://a.:53 - {TWICE}"]),
    (
        "the same zone twice on one of two addresses",
        [served(1, "a.", "127.0.0.1", "127.0.0.2"), served(2, "a.", "127.0.0.2")],
        [f"f:2: cannot serve dns://a.:53 on 127.0.0.2 - {TWICE}"],
    ),
    (
        "bound after unbound",
        [served(1, "a."), served(2, "a.", "127.0.0.1")],
        [
            "f:2: cannot serve dns://a.:53 on 127.0.0.1 - zone overlap listener capacity with dns://a.:53 at f:1; "
            "'bind' both to addresses, or neither"
        ],
    ),
    (
        "unbound after bound",
        [served(1, "a.", "127.0.0.1"), served(2, "a.")],
        [
            "f:2: cannot serve dns://a.:53 - zone overlap listener capacity with dns://a.:53 on 127.0.0.1 at f:1; "
            "'bind' both to addresses, or neither"
        ],
    ),
]


@pytest.mark.parametrize(("entries", "expected"), [row[1:] for row in OVERLAPS], ids=[row[0] for row in OVERLAPS])
def test_overlaps(entries: list[Served], expected: list[str]) -> None:
    errors = ErrorList()
    check_overlaps(entries, errors)
    assert [str(error) for error in errors.errors] == expected
