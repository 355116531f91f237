"""Statements check their arguments and options; the exact errors."""

from collections.abc import Callable

import pytest

from clusterdns.corefile.directive import Directive, Statement
from clusterdns.corefile.errors import CorefileErrors, ErrorList
from clusterdns.corefile.load import parse


def directive(text: str) -> Directive:
    return parse(f". {{\n{text}\n}}\n", "f", {}).blocks[0].directives[0]


def refusal(call: Callable[[], object]) -> list[str]:
    errors = ErrorList()
    with errors.collect():
        call()
    return [str(error) for error in errors.errors]


def test_arguments() -> None:
    ttl = directive("ttl 30")
    assert ttl.one_argument().text == "30"
    assert [token.text for token in ttl.arguments_between(0)] == ["30"]
    assert directive("log").no_arguments() is None  # type: ignore[func-returns-value]


WRONG_COUNT = "Wrong argument count or unexpected line ending after"


@pytest.mark.parametrize(
    ("text", "call", "message"),
    [
        (
            "ttl",
            lambda s: s.one_argument("SECONDS"),
            f"{WRONG_COUNT} 'ttl'; 'ttl' takes exactly one argument: ttl SECONDS",
        ),
        ("ttl 1 2 3", lambda s: s.one_argument(), f"{WRONG_COUNT} '2'; 'ttl' takes exactly one argument"),
        ("log 1", lambda s: s.no_arguments(), f"{WRONG_COUNT} '1'; 'log' takes no argument"),
        ("tls 1", lambda s: s.arguments_between(3, 3), f"{WRONG_COUNT} '1'; 'tls' takes exactly 3 arguments"),
        ("fw", lambda s: s.arguments_between(2), f"{WRONG_COUNT} 'fw'; 'fw' takes at least 2 arguments"),
        ("fw", lambda s: s.arguments_between(1), f"{WRONG_COUNT} 'fw'; 'fw' takes at least 1 argument"),
        ("a 1 2", lambda s: s.arguments_between(0, 1), f"{WRONG_COUNT} '2'; 'a' takes at most 1 argument"),
        ("a", lambda s: s.arguments_between(1, 3), f"{WRONG_COUNT} 'a'; 'a' takes 1 to 3 arguments"),
    ],
)
def test_wrong_argument_counts(text: str, call: Callable[[Statement], object], message: str) -> None:
    assert refusal(lambda: call(directive(text))) == [f"f:2: {message}"]


def test_options() -> None:
    lines = directive("kubernetes {\n pods insecure\n ttl 30\n}").options("pods", "ttl")
    assert [(line.name, line.one_argument().text, line.line) for line in lines] == [
        ("pods", "insecure", 3),
        ("ttl", "30", 4),
    ]


def test_all_unknown_options_are_reported_together() -> None:
    kubernetes = directive("kubernetes {\n pod insecure\n ttl 30\n wildcards\n}")
    assert refusal(lambda: kubernetes.options("pods", "ttl")) == [
        "f:3: unknown property 'pod'; did you mean 'pods'?",
        "f:5: unknown property 'wildcards'; known: pods, ttl",
    ]


def test_a_block_after_a_directive_that_takes_none() -> None:
    assert refusal(directive("loop {\n x\n}").no_block) == ["f:3: unknown property 'x'; 'loop' takes no block"]
    assert refusal(directive("loop {\n}").no_block) == []


def test_an_error_does_not_hide_those_of_other_directives() -> None:
    block = parse(". {\n ttl\n cache {\n  x\n }\n log\n ttl 1 2\n}\n", "f", {}).blocks[0]
    errors = ErrorList()
    read = []
    for one in block.directives:
        with errors.collect():
            one.no_block()
            if one.name == "ttl":
                one.one_argument()
            read.append(one.name)
    assert [error.line for error in errors.errors] == [2, 4, 7]
    assert read == ["log"]
    with pytest.raises(CorefileErrors):
        errors.raise_if_any()
