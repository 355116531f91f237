"""Any text is a template or an error with line and column, and any execution ends within its bounds."""

from contextlib import suppress

import pytest
from gotemplate.sample import FUNCTIONS, SAMPLE
from gotemplate.writing import ANY_TEXT, TEMPLATES
from hypothesis import example, given, settings

from clusterdns.gotemplate import Template, TemplateError, TemplateFailed, evaluation, parse
from clusterdns.gotemplate.values import MAX_TEXT_BYTES


def parsed(text: str) -> Template | TemplateError:
    try:
        return parse(text, FUNCTIONS)
    except TemplateError as error:
        return error


def check_that_it_ends(template: Template) -> None:
    with suppress(TemplateFailed):
        text = template.execute(SAMPLE)
        assert len(text.encode("utf-8", "surrogateescape")) <= MAX_TEXT_BYTES


@given(ANY_TEXT)
@example("{{'\\")
@example("{{(")
@example("{{define")
@settings(max_examples=300, deadline=None)
def test_any_text(text: str) -> None:
    template = parsed(text)
    if isinstance(template, TemplateError):
        assert 1 <= template.line <= text.count("\n") + 1
        assert template.column >= 1
        assert template.text
    else:
        template.fields()
        check_that_it_ends(template)


@given(TEMPLATES)
@settings(max_examples=40, deadline=None)
def test_any_template(text: str) -> None:
    template = parsed(text)
    if isinstance(template, Template):
        assert {path[0] for path in template.fields()} <= SAMPLE.keys() | {"a"}
        check_that_it_ends(template)


GROW = '{{$x := "0123456789abcdef"}}{{range 30}}{{$x = print $x $x}}{{end}}{{$x}}'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{range 1000000000000}}{{end}}", "steps"),
        ("{{range 1000000}}{{range 1000000}}{{end}}{{end}}", "steps"),
        ("{{range 3000}}" + "{{.}}" * 10 + "{{end}}", "steps"),
        ("{{range 1000}}" + "x" * 1000 + "{{end}}", "bytes"),
        (GROW, "bytes|steps"),
        ('{{$x := printf "%60000d" 1}}{{range 19000}}{{html $x}}{{end}}', "bytes|steps"),
        ('{{$x := printf "%060000d" 1}}{{range 19000}}{{$y := printf $x}}{{end}}', "steps"),
        ('{{printf "%70000d" 1}}', "70000"),
        ('{{printf "%.70000d" 1}}', "70000"),
        ('{{printf "%.70000f" 1.0}}', "70000"),
        ('{{printf "%70000s" "a"}}', "70000"),
        ('{{printf "%*d" 999999 1}}', "999999"),
        ('{{printf "%.99999U" 1}}', "bytes"),
        ('{{define "a"}}{{template "a" .}}{{end}}{{template "a" .}}', "deep"),
        ('{{define "a"}}{{if 1}}{{range 1}}{{template "a"}}{{end}}{{end}}{{end}}{{template "a"}}', "deep"),
        ('{{define "a"}}{{template "b"}}{{end}}{{define "b"}}{{template "a"}}{{end}}{{template "a"}}', "deep"),
        ('{{define "a"}}{{template "a" ' + "(print " * 30 + "1" + ")" * 30 + "}}{{end}}{{template `a`}}", "deep"),
        ('{{define "a"}}{{template "a"}}{{template "a"}}{{end}}{{template "a"}}', "deep"),
    ],
    ids=ascii,
)
def test_bounds(text: str, reason: str) -> None:
    with pytest.raises(TemplateFailed, match=reason):
        parse(text, {}).execute({})


def test_depth_is_enough_for_the_deepest_text() -> None:
    deep = "{{if 1}}" * 20 + "{{" + "(print " * 19 + "7" + ")" * 19 + "}}" + "{{end}}" * 20
    assert parse(deep, {}).execute({}) == "7"
    calls = "{{define `a`}}{{if len .}}{{template `a` (slice . 1)}}{{else}}end{{end}}{{end}}{{template `a` .}}"
    assert parse(calls, {}).execute("x" * 30) == "end"  # type: ignore[arg-type]


def test_usual_answers_take_a_fraction_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "{{range $i := 100}}{{$.Name}} 60 IN A 10.0.0.{{printf `%d` $i}}\n{{end}}"
    assert parse(text, {}).execute({"Name": "a."}).count("\n") == 100
    monkeypatch.setattr(evaluation, "MAX_STEPS", evaluation.MAX_STEPS // 10)
    assert parse(text, {}).execute({"Name": "a."}).count("\n") == 100
