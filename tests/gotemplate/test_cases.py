"""Four hundred templates with the results of Go, stored in cases.jsonl so that this test does not need Go."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gotemplate.sample import SAMPLE, execute

from clusterdns.gotemplate import Fields, Function, TemplateError, TemplateFailed, parse

CASES: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "cases.jsonl").read_text(encoding="utf-8").splitlines()
]


def test_cases_cover_all_outcomes() -> None:
    outcomes = [case.get("fails", "") for case in CASES]
    assert outcomes.count("") > 150
    assert outcomes.count("parsing") > 80
    assert outcomes.count("execution") > 80


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case["template"]))
def test_as_go_does(case: dict[str, Any]) -> None:
    outcome = execute(case["template"])
    assert outcome.prints == case.get("prints"), outcome
    assert outcome.fails == case.get("fails", ""), outcome


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a\nb {{ .Name ", (2, 3), "unclosed action: '}}' is missing"),
        ("{{ nosuch }}", (1, 4), "function 'nosuch' is not defined"),
        ("{{ $x }}", (1, 4), "variable '$x' is not defined"),
        ("{{ if 1 }}a", (1, 12), "unclosed block: '{{end}}' is missing"),
        ("\n{{ end }}", (2, 4), "unexpected 'end' in an action"),
        ("{{ 1 | 2 }}", (1, 8), "a constant cannot take the value of the command before it"),
        ("{{ 1i }}", (1, 4), "complex numbers are not supported: 1i"),
        ("{{ 1+2i }}", (1, 4), "complex numbers are not supported"),
        ('{{ "a }}', (1, 4), "unterminated string"),
        ("{{ 08 }}", (1, 4), "illegal number syntax: 08"),
        ("{{ .Name+1 }}", (1, 9), "unexpected '+' after '.Name'"),
        ("{{ break }}", (1, 4), "{{break}} outside {{range}}"),
        ("\ud800", (1, 1), "unpaired surrogate"),
        ("x" * 65_537, (1, 1), "template of more than 65536 bytes"),
        ("{{" + "(" * 41 + "1" + ")" * 41 + "}}", (1, 44), "more than 40 nested blocks and parentheses"),
        ("{{if 1}}" * 41, (1, 326), "more than 40 nested blocks and parentheses"),
    ],
)
def test_errors_have_line_and_column(text: str, place: tuple[int, int], message: str) -> None:
    with pytest.raises(TemplateError) as raised:
        parse(text, {})
    assert (raised.value.line, raised.value.column) == place
    assert raised.value.text == message
    assert str(raised.value) == f"{place[0]}:{place[1]}: {message}"


def test_a_struct_s_text_is_printed_for_it() -> None:
    data = Fields({"Question": Fields({"Name": "a."}, "dns.Question", ";a. IN A")})
    text = '{{.Question}} {{printf "%+v %q %x %T" .Question .Question .Question .Question}} {{.Question.Name}}'
    assert parse(text, {}).execute(data) == ';a. IN A ;a. IN A ";a. IN A" 3b612e20494e2041 dns.Question a.'


def test_functions_are_checked_against_their_annotations() -> None:
    def repeat(text: str, times: int) -> str:
        if times > 3:
            raise ValueError("too often")
        return text * times

    def count(*words: str) -> int:
        return len(words)

    functions: dict[str, Callable[..., object]] = {"repeat": repeat, "count": count}
    assert parse('{{repeat "ab" 2}} {{count}} {{count "a" "b"}}', functions).execute({}) == "abab 0 2"
    for text, message in {
        '{{repeat "a" 4}}': "repeat: too often",
        "{{repeat 1 2}}": "expected string, got int",
        '{{count "a" 1}}': "expected string, got int",
        '{{repeat "a"}}': "repeat takes 2 arguments, not 1",
    }.items():
        with pytest.raises(TemplateFailed, match=f"^{message}$"):
            parse(text, functions).execute({})


def test_call_calls_functions_in_maps_only() -> None:
    double = Function(lambda number: number * 2, (int,))
    data = {"double": double, "method": Fields({"double": double})}
    assert parse("{{call .double 4}} {{.method.double 5}}", {}).execute(data) == "8 10"
    for text in (
        "{{.double}}",
        "{{.double 4}}",
        '{{call .double "a"}}',
        "{{call .double}}",
        "{{call .method.double 5}}",
    ):
        with pytest.raises(TemplateFailed):
            parse(text, {}).execute(data)


def test_attributes_of_python_objects_are_not_reached() -> None:
    for text in ("{{.__class__}}", "{{.Name.upper}}", "{{.Match.append}}", "{{.Group.items}}", "{{.Meta.call}}"):
        outcome = execute(text)
        assert outcome.fails == "execution" or outcome.prints == "<no value>", text
    assert "__class__" not in SAMPLE
