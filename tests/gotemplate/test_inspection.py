"""Inspection of a template: the data that it reads, and calls that must fail."""

import pytest
from gotemplate.sample import FUNCTIONS

from clusterdns.gotemplate import parse
from clusterdns.gotemplate.inspection import Path


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("text", set()),
        ("{{.}} {{$}}", set()),
        ("{{.Nmae}} {{ .Zone }}", {("Nmae",), ("Zone",)}),
        ("{{.Group.a}} {{$.Group.b}}", {("Group", "a"), ("Group", "b")}),
        ("{{index .Match 7}}", {("Match",), ("Match", 7)}),
        (
            '{{index .Group "a"}} {{(index .Var "m" "k").x}}',
            {("Group",), ("Group", "a"), ("Var",), ("Var", "m", "k"), ("Var", "m", "k", "x")},
        ),
        ("{{index .Match .Var.n}}", {("Match",), ("Var", "n")}),
        ('{{index .Var "l" $.Name 3}}', {("Var",), ("Var", "l"), ("Name",)}),
        ("{{index . 1}}", {(1,)}),
        ('{{.Meta "a"}} {{"a" | .Meta}}', {("Meta",)}),
        ("{{if .A}}{{.B}}{{else if .C}}{{.D}}{{else}}{{.E}}{{end}}", {("A",), ("B",), ("C",), ("D",), ("E",)}),
        ("{{with .Group}}{{.a}}{{$.Name}}{{else}}{{.b}}{{end}}", {("Group",), ("Group", "a"), ("Name",), ("b",)}),
        ("{{range .Match}}{{.x}}{{$.Name}}{{else}}{{.y}}{{end}}", {("Match",), ("Name",), ("y",)}),
        ("{{range $m := .Match}}{{$m.x}}{{end}}", {("Match",)}),
        ("{{$g := .Group}}{{$g.a}}", {("Group",), ("Group", "a")}),
        ("{{$g := .Group}}{{$g = .Var}}{{$g.a}}", {("Group",), ("Var",)}),
        ('{{define "x"}}{{.Name}}{{$.Zone}}{{end}}', set()),
        ('{{define "x"}}{{.Name}}{{$.Zone}}{{end}}{{template "x" .}}', {("Name",), ("Zone",)}),
        ('{{define "x"}}{{.a}}{{end}}{{template "x" .Group}}', {("Group",), ("Group", "a")}),
        ('{{define "x"}}{{.a}}{{end}}{{template "x"}}', set()),
        ('{{block "x" .Group}}{{.a}}{{end}}', {("Group",), ("Group", "a")}),
        ("{{parseInt .Group.b 16 8 | printf .Name}}", {("Group", "b"), ("Name",)}),
        ("{{and .A (or .B (not .C))}}", {("A",), ("B",), ("C",)}),
        ("{{(.Question).Name}}", {("Question",), ("Question", "Name")}),
    ],
)
def test_fields(text: str, fields: set[Path]) -> None:
    assert parse(text, FUNCTIONS).fields() == fields


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("{{ .Name }}", []),
        ("{{ parseInt }}", ["1:4: parseInt takes 3 arguments, not 0"]),
        ("{{ .Name | parseInt }}", ["1:12: parseInt takes 3 arguments, not 1"]),
        ("{{ 8 | parseInt .Name 10 }}", []),
        ('{{ parseInt "gg" 16 8 }}', ["1:4: parseInt: not a number in base 16: 'gg'"]),
        ("{{ parseInt 1 16 8 }}", ["1:4: expected string, got int"]),
        ('{{ parseInt .Name "a" 8 }}', ["1:4: expected int, got string"]),
        ("{{ parseInt .Name nil 8 }}", ["1:4: expected int, got <nil>"]),
        ("{{ parseInt .Name 10.0 8 }}", []),
        ('{{ index "abc" 9 }}', ["1:4: index out of range: 9"]),
        ('{{ eq 1 "a" }}', ["1:4: cannot compare int with string"]),
        ("{{ len }}\n{{ not 1 2 }}", ["1:4: len takes 1 argument, not 0", "2:4: not takes 1 argument, not 2"]),
        ("{{ nil }}", ["1:4: nil is not a command"]),
        ("{{ 1 2 }}", ["1:4: only a function or a method takes arguments"]),
        ("{{ .Name | . }}", None),
        ('{{ . "a" }}', ["1:4: only a function or a method takes arguments"]),
        ('{{ template "x" }}', ["1:13: template 'x' is not defined"]),
        ('{{ define "x" }}{{ template "y" }}{{ end }}', []),
        ('{{ define "x" }}{{ template "y" }}{{ end }}{{ template "x" }}', ["1:29: template 'y' is not defined"]),
        ("{{ $x = 1 }}", ["1:9: variable $x is not defined here"]),
        ("{{ $x := $x }}", ["1:10: variable $x is not defined here"]),
        ("{{if .A}}{{$x := 1}}{{else}}{{$x}}{{end}}", ["1:31: variable $x is not defined here"]),
        ("{{ print 9223372036854775808 }}", ["1:4: 9223372036854775808 overflows int"]),
        ("{{ if false }}{{ len 3 }}{{ end }}", ["1:18: len of int"]),
        ('{{define "a"}}{{template "a" .x}}{{template "a" .y}}{{end}}{{template "a" .}}', []),
    ],
)
def test_faults(text: str, faults: list[str] | None) -> None:
    if faults is None:
        with pytest.raises(Exception, match="constant"):
            parse(text, FUNCTIONS)
        return
    assert [str(fault) for fault in parse(text, FUNCTIONS).faults()] == faults
