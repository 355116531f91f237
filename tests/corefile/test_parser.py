"""Lines to server blocks: one row per rule of the structure, and per form seen in published Corefiles."""

from collections.abc import Callable
from pathlib import Path

import pytest

from clusterdns.corefile.directive import ServerBlock
from clusterdns.corefile.errors import ErrorList
from clusterdns.corefile.load import Corefile, parse

ENVIRON = {
    "PORT": "1053",
    "HOST_IP": "10.0.0.1",
    "PLUGIN": "whoami",
    "SPACED": "a b",
    "BRACE": "{",
    "LOOP": "{$LOOP}",
    "PERCENT": "{$PORT}",
    "PORT:9": "colon",
    "ZONE": "example.org",
}


def parsed(text: str) -> Corefile:
    return parse(text, "Corefile", ENVIRON)


# Name, text, and each block as `keys: directive words { line; line } | directive`, unusual words in ‹›.
STRUCTURE: list[tuple[str, str, list[str]]] = [
    ("a block", ".:53 {\n whoami\n}\n", [".:53: whoami"]),
    ("the brace may open the next line", ".:53\n{\n whoami\n}\n", [".:53: whoami"]),
    ("a directive on the brace's line", ". { whoami\n}\n", [".: whoami"]),
    ("braces may be left out", ".\nwhoami\nlog\n", [".: whoami | log"]),
    ("braces left out, nested block", "a\nhealth {\n lameduck 5s\n}\n", ["a: health { lameduck 5s }"]),
    ("keys only", ".", [".:"]),
    ("an empty block", ".:6053 { }\n", [".:6053:"]),
    ("an empty block over two lines", ". {\n}\n", [".:"]),
    ("keys separated by spaces", "a b:53 c {\n}\n", ["a b:53 c:"]),
    ("keys separated by commas", "a, b,c , d {\n}\n", ["a b c d:"]),
    ("keys continue after a comma", "a,\nb, \n c {\n}\n", ["a b c:"]),
    ("an empty key is dropped", '"" a {\n}\n', ["a:"]),
    ("blocks one after another", "a {\n}\nb {\n}\n", ["a:", "b:"]),
    ("the next block on the brace's line", "a {\n} b {\n}\n", ["a:", "b:"]),
    ("arguments", ". {\n forward . 1.1.1.1 8.8.8.8\n}\n", [".: forward . 1.1.1.1 8.8.8.8"]),
    (
        "a nested block",
        ". {\n cache 30 {\n  success 9984\n  denial 9984 5\n }\n}\n",
        [".: cache 30 { success 9984; denial 9984 5 }"],
    ),
    ("an empty nested block", ". {\n errors {\n }\n}\n", [".: errors"]),
    ("an empty nested block on one line", ". {\n errors { }\n}\n", [".: errors"]),
    ("an option on the brace's line", ". {\n health { lameduck 5s\n }\n}\n", [".: health { lameduck 5s }"]),
    ("a directive repeated keeps its order", ". {\n log a\n errors\n log b\n}\n", [".: log a | errors | log b"]),
    (
        "indentation means nothing",
        "                .:53 {\nerrors\n        health {\n lameduck 5s\n            }\n  }",
        [".:53: errors | health { lameduck 5s }"],
    ),
    (
        "comments anywhere",
        ". { # a\n # b\n errors # c\n health { # d\n  # e\n  lameduck 5s # f\n } # g\n} # h\n",
        [".: errors | health { lameduck 5s }"],
    ),
    ("carriage returns", ".:53 {\r\n\terrors\r\n}\r\n", [".:53: errors"]),
    (
        "braces inside words",
        '. {\n log . "{remote} - {type}"\n template IN A x {\n  answer "{{ .Name }} 60 IN A 1.2.3.4"\n }\n}\n',
        [".: log . ‹{remote} - {type}› | template IN A x { answer ‹{{ .Name }} 60 IN A 1.2.3.4› }"],
    ),
    (
        "back-references",
        ". {\n rewrite name regex (.*)\\.a\\.b {1}.c.d answer auto\n}\n",
        [".: rewrite name regex (.*)\\.a\\.b {1}.c.d answer auto"],
    ),
    ("a quoted path", '. {\n forward . "/etc/resolv.conf"\n}\n', [".: forward . /etc/resolv.conf"]),
    ("quoted braces are arguments", '. {\n log "{" "}"\n}\n', [".: log { }"]),
    ("a quoted import is a directive", '. {\n "import" x\n}\n', [".: import x"]),
    (
        "parentheses of a zone file",
        ". {\n template ANY ANY . {\n  authority a 60 SOA b c (1 60 60 60 60)\n }\n}\n",
        [".: template ANY ANY . { authority a 60 SOA b c (1 60 60 60 60) }"],
    ),
    (
        "inline hosts",
        ". {\n hosts NodeHosts {\n  1.1.1.1    a b\n  fallthrough\n }\n}\n",
        [".: hosts NodeHosts { 1.1.1.1 a b; fallthrough }"],
    ),
    (
        "a snippet",
        "(common) {\n errors\n cache 30 {\n  success 1\n }\n}\n. {\n import common\n whoami\n}\n",
        [".: errors | cache 30 { success 1 } | whoami"],
    ),
    (
        "a snippet in a nested block",
        "(o) {\n lameduck 5s\n}\n. {\n health {\n  import o\n }\n}\n",
        [".: health { lameduck 5s }"],
    ),
    ("a snippet of whole blocks", "(b) {\n a {\n  whoami\n }\n}\nimport b\n", ["a: whoami"]),
    ("a snippet of keys", "(k) {\n b c\n}\na,\nimport k\n{\n whoami\n}\n", ["a b c: whoami"]),
    ("a snippet's brace on the next line", "(s)\n{\n whoami\n}\n. {\n import s\n}\n", [".: whoami"]),
    ("a snippet on one line", "(s) { whoami }\n. {\n import s\n}\n", [".: whoami"]),
    ("an empty snippet", "(s) { }\n. {\n import s\n whoami\n}\n", [".: whoami"]),
    ("a snippet imported twice", "(s) {\n log\n}\n. {\n import s\n import s\n}\n", [".: log | log"]),
    (
        "a statement after an import of a snippet defined further down stays one",
        "(b) {\n cache\n}\n(a) {\n import b\n errors\n}\n. {\n import a\n}\n",
        [".: cache | errors"],
    ),
    ("an import among arguments is a word", ". {\n log import\n}\n", [".: log import"]),
    (
        "environment in keys and arguments",
        ".:{$PORT} a.{$ZONE}:53 {\n prometheus {%HOST_IP%}:9253\n}\n",
        [".:1053 a.example.org:53: prometheus 10.0.0.1:9253"],
    ),
    ("environment in a directive's name", ". {\n {$PLUGIN}\n}\n", [".: whoami"]),
    ("environment in quotes", '. {\n log "at {$PORT} {%PORT%}"\n}\n', [".: log ‹at 1053 1053›"]),
    ("environment in nested lines", ". {\n a {\n  b {$PORT}\n }\n}\n", [".: a { b 1053 }"]),
    ("environment in a snippet's name", "({$ZONE}) {\n whoami\n}\n. {\n import {$ZONE}\n}\n", [".: whoami"]),
    ("an unset variable is empty, but a word", ". {\n log {$NONE} x{%NONE%}y\n}\n", [".: log ‹› xy"]),
    ("a value is not split", ". {\n log {$SPACED}\n}\n", [".: log ‹a b›"]),
    ("the value of a variable does not open a block", ". {\n log {$BRACE}\n}\n", [".: log {"]),
    ("no default values", ". {\n log {$PORT:9} {$X:y}\n}\n", [".: log colon ‹›"]),
    ("a reference without a name stays as it is", ". {\n log {$} {%%}\n}\n", [".: log {$} {%%}"]),
    ("values are put in once", ". {\n log {$LOOP} {%PERCENT%}\n}\n", [".: log {$LOOP} {$PORT}"]),
    ("a template's variable with blanks is none", '. {\n t "{{ $x }}"\n}\n', [".: t ‹{{ $x }}›"]),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in STRUCTURE], ids=[row[0] for row in STRUCTURE])
def test_structure(text: str, expected: list[str], flat: Callable[[ServerBlock], str]) -> None:
    corefile = parsed(text)
    assert [flat(block) for block in corefile.blocks] == expected
    assert all("is empty: " in warning.text for warning in corefile.warnings)


NONE_UNSET = "'{$NONE}' is empty: the environment variable 'NONE' is not set; set it for the server's process"
UNSET = [
    ("log {$NONE}", [NONE_UNSET]),
    ("log a{%NONE%}b", [NONE_UNSET.replace("$NONE", "%NONE%")]),
    ('log "x {$X:a b} y"', [
        "'{$X:a b}' is empty: as in CoreDNS there are no default values, and no variable is called 'X:a b'; "
        "set 'X' and write {$X}",
    ]),
    ("log {$X:a b}", [
        "'{$X:a' is not a variable but text: a name cannot contain spaces, and there are no default values",
    ]),
    ("log {$PORT} {$EMPTY} {$} {{ .x }} {$PORT:9}", []),
    ("log {$NONE} {$NONE}", [NONE_UNSET]),
    ("import {$NONE}*", [NONE_UNSET]),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), UNSET)
def test_a_variable_that_is_not_set_is_named(
    line: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # `import *` reads the files of the folder
    environ = {"PORT": "1053", "EMPTY": "", "PORT:9": "colon"}
    warnings = parse(f". {{\n {line}\n}}\n", "Corefile", environ, errors=ErrorList()).warnings
    assert [one.text for one in warnings if "import glob" not in one.text] == expected
    assert {one.line for one in warnings} <= {2}


def test_statements_have_their_place() -> None:
    block = parsed("\n.:53 {\n errors\n\n health {\n  lameduck 5s\n }\n}\n").blocks[0]
    errors, health = block.directives
    assert (block.file, block.line, errors.line, health.place) == ("Corefile", 2, 3, "Corefile:5")
    assert (health.block[0].name, health.block[0].line) == ("lameduck", 6)


def test_a_block_names_its_zones_and_directives() -> None:
    block = parsed("a.org 10.0.0.0/15:5353 A.org:54 {\n log\n errors\n log x\n}\n").blocks[0]
    assert block.zones_text == ("a.org.", "0.10.in-addr.arpa.", "1.10.in-addr.arpa.")
    assert block.directive_names == {"log", "errors"}
    assert [len(directive.args) for directive in block.named("log")] == [0, 1]


WARNINGS = [
    (
        "{\n whoami\n}\n. {\n}\n",
        "Corefile:1: this server block has no key, so it serves nothing and is ignored; write '.' or a zone before '{'",
    ),
    (
        '.\nlog "a\n',
        "Corefile:2: the quote opened here is never closed, so it runs to the end of the file; close it with '\"'",
    ),
    (". {\n import no/*.override\n}\n", "Corefile:2: No files matching import glob pattern: no/*.override"),
    (
        "foo://bar {\n}\n",
        "Corefile:1: the scheme of 'foo://bar' is none of dns, tls, https, https3, quic, grpc, so "
        "it is served as a name",
    ),
]


@pytest.mark.parametrize(("text", "expected"), WARNINGS)
def test_warnings(text: str, expected: str) -> None:
    assert [str(warning) for warning in parsed(text).warnings] == [expected]
