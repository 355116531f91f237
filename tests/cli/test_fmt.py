"""`clusterdns fmt`: the layout, that nothing is lost or means something else, and what is done to files."""

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from corefile.trees import TEXTS, words
from corefiles.distribution import HERE, Distribution, names
from corefiles.test_broken import BROKEN, Broken
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from program import Program

from clusterdns.cli.fmt.command import formatted
from clusterdns.cli.fmt.layout import laid_out
from clusterdns.corefile.errors import CorefileErrors, ErrorList
from clusterdns.corefile.lexer import BLANKS, lex, pieces
from clusterdns.corefile.load import Corefile, parse
from clusterdns.plugins.order import ORDER, plugin

ROOT = Path(__file__).resolve().parents[2]

LAYOUTS = {
    "indentation": (
        ".  {\nlog\n\t\thosts\t{\n 1.2.3.4   a   b\n    fallthrough\n}\n  }\n",
        ". {\n    log\n    hosts {\n        1.2.3.4 a b\n        fallthrough\n    }\n}\n",
    ),
    "blank lines": (
        "\n\n. {\n\n\nlog\n\n\n\nerrors\n\n}\n\n\n\n(s) {\n}\n\n\n",
        ". {\n    log\n\n    errors\n}\n\n(s) {\n}\n",
    ),
    "blocks without a blank line between": (". {\n}\na.org {\n}\n", ". {\n}\na.org {\n}\n"),
    "comments": (
        "#a  \n  # b\n. {# c\n\n # d\nlog    # e\nerrors#f  g \n# h\n\n# i\n}   # j\n\n\n# k",
        "#a\n# b\n. {# c\n    # d\n    log # e\n    errors#f  g\n    # h\n\n    # i\n} # j\n\n# k\n",
    ),
    "a brace on the next line": (".:53\n{\nlog\n}\n", ".:53 {\n    log\n}\n"),
    "a brace after a blank line": (".:53\n\n\n{ log\n}\n", ".:53 {\n    log\n}\n"),
    "a brace after a comment": (".:53\n# c\n{\nlog\n}\n", ".:53\n# c\n{\n    log\n}\n"),
    "a brace after a comment on its line": (".:53 # c\n{\nlog\n}\n", ".:53 # c\n{\n    log\n}\n"),
    "a brace after an import": ("(s) {\na.org\n}\nimport   s\n{\nlog\n}\n",
                                "(s) {\n    a.org\n}\nimport s\n{\n    log\n}\n"),
    "keys on several lines": ("a.org,\n   b.org,\n\n\nc.org  {\n}\n", "a.org,\nb.org,\n\nc.org {\n}\n"),
    "words behind a brace": (". { log\nhosts { fallthrough\n}\n}\n",
                             ". {\n    log\n    hosts {\n        fallthrough\n    }\n}\n"),
    "a block on one line": ("(s)  { log }\n. { import s\n}", "(s) {\n    log\n}\n. {\n    import s\n}\n"),
    "an empty block": (". {   }\na.org   { } # c\n", ". { }\na.org { } # c\n"),
    "a key behind the closing brace": (". {\n} a.org {\n}\n", ". {\n}\na.org {\n}\n"),
    "no braces": (".\n\n  log\n\tforward   .  1.1.1.1 {\nmax_fails  2\n }",
                  ".\n\nlog\nforward . 1.1.1.1 {\n    max_fails 2\n}\n"),
    "an imported file": ("  log\n\n\n cache {\n success 9\n}\n errors", "log\n\ncache {\n    success 9\n}\nerrors\n"),
    "options that are imported": ("   max_fails 2\npolicy   random", "max_fails 2\npolicy random\n"),
    "quotes": ('. {\n log  "a  {$B}\n  c\\" # "  "}"  {%D%}   "x"y\n}',
               '. {\n    log "a  {$B}\n  c\\" # " "}" {%D%} "x" y\n}\n'),
    "a quote without an end": ('.\nlog  "a \n\n', '.\nlog "a \n\n'),
    "carriage returns": (". {\r\n  lo\rg # c\r\n\r\n\r\n}\r\n", ". {\n    log # c\n}\n"),
    "a byte order mark": ("\ufeff.  {\n}\n", ". {\n}\n"),
    "a word with a byte order mark": ("\ufeff\n\ufeff.  {\n}\n", "\ufeff\ufeff. {\n}\n"),
    "a template": ('. {\ntemplate IN A {\nanswer  "{{ .X }}  60"\nmatch   (?P<a>{2})\\{\n}\n}',
                   '. {\n    template IN A {\n        answer "{{ .X }}  60"\n        match (?P<a>{2})\\{\n    }\n}\n'),
    "unset variables": ("{$Z}:{$P}   {\nimport   {$F}\n}\n", "{$Z}:{$P} {\n    import {$F}\n}\n"),
    "an import that does not exist": ("import   there.conf\n. {\n}\n", "import there.conf\n. {\n}\n"),
    "comments alone": ("\n # a\n\n\n#b", "# a\n\n#b\n"),
    "nothing": ("", ""),
    "blank lines alone": ("\n \n\t", ""),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_layout(text: str, expected: str) -> None:
    assert formatted(text, "Corefile") == expected
    assert formatted(expected, "Corefile") == expected


def tokens(text: str) -> list[tuple[str, bool]]:
    """The words as the server reads them."""
    return [(token.text, token.quoted) for line in lex(text, "f").lines for token in line]


def comments(text: str) -> list[str]:
    return [match[0].rstrip(f"{BLANKS}\r") for match in pieces(text) if match.lastgroup == "comment"]


def coredns_words(text: str) -> Iterator[str]:
    """Yield the words as Caddy's lexer reads them, after caddyfile/lexer.go of github.com/coredns/caddy."""
    blank = f"{BLANKS}\r\n"
    at = 1 if text.startswith("\ufeff") else 0
    while at < len(text):
        word, is_comment, is_quoted, is_escaped = "", False, False, False
        while at < len(text):
            char = text[at]
            at += 1
            if is_quoted:
                if not is_escaped and char == "\\":
                    is_escaped = True
                    continue
                if not is_escaped and char == '"':
                    yield word
                    break
                word += ("\\" if is_escaped and char != '"' else "") + char
                is_escaped = False
            elif char in blank:
                is_comment = is_comment and char != "\n"
                if char != "\r" and word:
                    yield word
                    break
            elif is_comment or char == "#":
                is_comment = True
            elif not word and char == '"':
                is_quoted = True
            else:
                word += char
        else:
            if word:
                yield word


def assert_same(before: str, after: str) -> None:
    assert tokens(after) == tokens(before)
    assert comments(after) == comments(before)
    # a quote in a comment that is glued to a word begins a string for CoreDNS, which may run over the next lines
    if not any('"' in comment for comment in comments(before)):
        assert list(coredns_words(after)) == list(coredns_words(before))
    assert laid_out(after) == after


def loaded(text: str, environ: Mapping[str, str], file: str = "/nowhere/Corefile") -> Corefile | None:
    errors = ErrorList()
    corefile = parse(text, file, environ, errors=errors)
    return None if errors else corefile


def assert_formatted(text: str, environ: Mapping[str, str], file: str = "/nowhere/Corefile") -> None:
    """What loads is formatted, and then is the same configuration."""
    before = loaded(text, environ, file)
    after = formatted(text, file) if before else laid_out(text)
    assert_same(text, after)
    if before:
        again = loaded(after, environ, file)
        assert again is not None
        assert words(again.blocks) == words(before.blocks)


WORDS = st.one_of(
    st.sampled_from(
        ["a.org", "log", ".", "import", "(s)", '"x y"', '"}"', "{$HOME}", "{%A%}", "a,", "x#y", "é", '"\n"']
    ),
    st.from_regex(r'[^\s{}"#]{1,6}', fullmatch=True),
)
LINES = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)
NOISE = st.sampled_from(["\n", "\n\n\n", " # c\n", "#c d\n", "  \n\t", "\r\n", "\n# own line\n"])


def blocks(lines: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Lines, some of which have a block; the opening brace may be on the next line."""
    opening, closing = st.sampled_from([" {", "\n{", " { ", "\t{#c\n"]), st.sampled_from(["}", "  }", "\n\n}"])
    block = st.tuples(lines, opening, NOISE, lines, NOISE, closing, NOISE).map("".join)
    return st.lists(st.one_of(block, st.tuples(lines, NOISE).map("".join)), max_size=4).map("".join)


COREFILES = st.recursive(LINES, blocks, max_leaves=8)


@given(st.one_of(TEXTS, COREFILES))
@example("#\x1c")
@example("a#b \x1c")
@example('"a"#b c')
@example("a\r#b c")
@settings(max_examples=600, deadline=None)
def test_any_text_keeps_its_words_comments_and_meaning(text: str) -> None:
    text = text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    assert_formatted(text, os.environ)


FILES = [path for name in names() for path in sorted((HERE / name).rglob("*")) if path.is_file()]
FILES = [path for path in FILES if path.name not in ("environment", "questions", "hosts", "db.example.org")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HERE)))
def test_corefiles_of_distributions_and_what_they_import(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in Distribution(path.relative_to(HERE).parts[0]).environment.items():
        monkeypatch.setenv(name, value)
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    assert_same(text, formatted(text, str(path)))
    assert_formatted(text, os.environ, str(path))


PAGES = [
    (f"{page.relative_to(ROOT)}-{number}", block)
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("zones/*.md")]
    for number, block in enumerate(re.findall(r"^```corefile\n(.*?)^```", page.read_text("utf-8"), re.M | re.S))
]
EXAMPLES = [(name, plugin(name).doc.example) for name in ORDER]


@pytest.mark.parametrize("text", [text for _, text in PAGES + EXAMPLES], ids=[name for name, _ in PAGES + EXAMPLES])
def test_corefiles_of_the_docs(text: str) -> None:
    after = formatted(text, "Corefile")
    assert_same(text, after)
    assert_formatted(text, {})


def test_the_demo_s_corefile_is_formatted() -> None:
    text = (ROOT / "zones" / "Corefile").read_text()
    assert formatted(text, str(ROOT / "zones" / "Corefile")) == text


MISTAKES = {
    "a block that is not closed": (". {\n log\n", ["Corefile:2: Unexpected EOF: the server block opened at Coref"]),
    "a directive's, in an imported file": ("log\ncache {\n success 1\n", ["Corefile:3: Unexpected EOF: the block of"]),
    "a stray brace": (". {\n}\n}\n", ["Corefile:3: Unexpected '}' because no matching opening brace"]),
    "a stray brace among directives": ("log\ncache {\n}\nerrors\nloop\n}\n", ["Corefile:6: Unexpected '}'"]),
    "a glued brace": (".{\n log\n}\n", ["Corefile:1: Unexpected '{' at the end of '.{'"]),
    "a directive's": (". {\n nosuch{\n}\n", ["Corefile:2: Unexpected '{' at the end of 'no", "Corefile:3: "]),
    "of a block that may be a directive": ("lo {\n x{\n}\n", ["Corefile:2: Unexpected '{' at the e", "Corefile:3: "]),
    "words before the end": (". {\n log }\n", ["Corefile:2: Unexpected '}' at the end of a line"]),
    "two of them": (". {\n log }\n}\n", ["Corefile:2: Unexpected '}' at", "Corefile:3: Unexpected '}' because"]),
    "a glued brace among others": (".:53 {\n errors{\n health {\n}\n}\n}\n", ["Corefile:2: Unex", "Corefile:3: "]),
    "a stray brace in a configmap": ("kind: ConfigMap\ndata:\n  Corefile: |\n    . {\n    }\n    }\n", ["Corefile:6:"]),
    "a configmap without one": ("kind: ConfigMap\ndata:\n  a: b\n", ["Corefile: no ConfigMap here has the key 'Cor"]),
    "a configmap in JSON": ('{"kind": "ConfigMap", "data": {"Corefile": ".  {\\n}"}}', ["Corefile:1: 'Corefile' i"]),
    "a folded text": ("kind: ConfigMap\ndata:\n  Corefile: >\n    . {\n\n     a\n    }\n", ["Corefile:3: 'Corefile' "]),
    "another object": ("apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n", ["Corefile: is a Secret 'x', not a C"]),
    "html": ("<html>{ }\n}</html>\n}\n", ["Corefile: is HTML, not a Corefile"]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "errors"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_reported_with_its_place_and_the_file_is_left(
    program: Program, tmp_path: Path, text: str, errors: list[str]
) -> None:
    (tmp_path / "Corefile").write_text(text)
    (tmp_path / "good").write_text(".  {\n}\n")
    code, out, err = program("fmt", "-w", "Corefile", "good")
    assert (code, out) == (1, "")
    assert [line.startswith(error) for line, error in zip(err.splitlines(), errors, strict=True)] == [True] * len(
        errors
    )
    assert (tmp_path / "Corefile").read_text() == text
    assert (tmp_path / "good").read_text() == ". {\n}\n"


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_corefiles_that_coredns_refuses(broken: Broken) -> None:
    """Braces are checked, not what words mean; imports and keys may depend on the place where a file is used."""
    file = "/nowhere/Corefile"
    if loaded(broken.text, {}) is not None or broken.name.startswith(("import-", "port-", "zone-")):
        assert_same(broken.text, formatted(broken.text, file))
        return
    with pytest.raises(CorefileErrors) as found:
        formatted(broken.text, file)
    assert broken.line in [error.line for error in found.value.errors]


def test_each_mistake_of_a_long_part_is_an_error_of_the_part() -> None:
    with pytest.raises(CorefileErrors) as found:
        formatted("log\nerrors\ncache {\n}\nloop\nready\nhosts{\n}\nhealth\n", "x.override")
    assert [(error.file, error.line) for error in found.value.errors] == [("x.override", 7)]


def test_indentation_is_bounded() -> None:
    text = "(s) {\n" + "a {\n" * 5_000 + "}\n" * 5_001
    after = formatted(f"{text}. {{\n}}\n", "Corefile")
    assert len(after) < 100 * text.count("\n") * 4
    assert tokens(after) == tokens(f"{text}. {{\n}}\n")


MANIFESTS = {
    "a block": ("Corefile: |\n    . {\n    log\n    }\n", "Corefile: |\n    . {\n        log\n    }\n"),
    "with what stands around it": (
        "Corefile: |-   # c\n      . {\n        log\n\n\n      }\n\n  # d\n  other: |\n   a  b\n",
        "Corefile: |-   # c\n      . {\n          log\n      }\n\n  # d\n  other: |\n   a  b\n",
    ),
    "with an indicator": ("Corefile: |2\n       . {\n      x\n      }\n", "Corefile: |\n    . {\n        x\n    }\n"),
    "blanks at the ends of lines": ("Corefile: |\n    .  {  \n    }  \n  \n\n  z: 1\n",
                                    "Corefile: |\n    . {\n    }\n  \n\n  z: 1\n"),
    "all lines kept": ("Corefile: |+\n   .  {\n   }\n\n\n", "Corefile: |+\n   . {\n   }\n"),
    "in quotes": ('Corefile: ".  {\\n  log \\n}\\n"\n', "Corefile: |\n    . {\n        log\n    }\n"),
    "in quotes over lines": ('Corefile: ".  {\\n\n    \\ log \\n}\\n"\n  z: 1\n',
                            "Corefile: |\n    . {\n        log\n    }\n  z: 1\n"),
    "in single quotes": ("Corefile: '.   { }'\n", "Corefile: |\n    . { }\n"),
    "a file that it imports": ("a.override: |\n    log   \n  b.server: |\n    x  {\n    }\n",
                               "a.override: |\n    log\n  b.server: |\n    x {\n    }\n"),
    "one without an end of line": ("Corefile: |\n    .  { }", "Corefile: |\n    . { }"),
    "comments and quotes": ('Corefile: |\n    # a\n    . { # b\n    log "x\n      y"\n    }\n',
                            'Corefile: |\n    # a\n    . { # b\n        log "x\n      y"\n    }\n'),
    "one that is formatted already": ('Corefile: ". { }"\n', 'Corefile: ". { }"\n'),
    "carriage returns": ("Corefile: |\r\n    .  {\r\n    }\r\n", "Corefile: |\r\n    . {\r\n    }\r\n"),
}  # fmt: skip
AROUND = {
    "a configmap": ("apiVersion: v1\nkind: ConfigMap\ndata:\n  {}"),
    "among others": ("# c\nkind: Service\nspec:   {{}}\n---\nkind: ConfigMap\nmetadata:\n  name:   x\ndata:\n  {}"),
}  # fmt: skip


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND.keys())
@pytest.mark.parametrize(("text", "expected"), MANIFESTS.values(), ids=MANIFESTS.keys())
def test_corefiles_in_configmaps(text: str, expected: str, around: str) -> None:
    after = formatted(around.format(text), "map.yaml")
    assert after == around.format(expected)
    assert formatted(after, "map.yaml") == after


def test_a_list_of_configmaps() -> None:
    text = (
        "kind: ConfigMapList\nitems:\n- data:\n    Corefile: |\n      .  { }\n- data:\n    Corefile: |\n      a  { }\n"
    )
    assert formatted(text, "f") == text.replace("  {", " {")


@given(COREFILES, st.sampled_from(["|", "|-", "|+", '"']))
@example('x#y "\n"', "|")
@settings(max_examples=80, deadline=None)
def test_any_corefile_in_a_configmap(text: str, style: str) -> None:
    assume(text.replace("\n", "").isprintable() and loaded(text, os.environ) is not None)
    value = json.dumps(text, ensure_ascii=False)
    if style != '"' and text.strip() and not text.startswith((" ", "\n")):
        value = style + "".join(f"\n    {line}" if line else "\n" for line in text.split("\n")) + "\n"
    manifest = f"kind: ConfigMap\ndata:\n  Corefile: {value}\n  other:   x # y\n"
    after = formatted(manifest, "/nowhere/map.yaml")
    assert after.endswith("\n  other:   x # y\n")
    corefile = yaml.safe_load(after)["data"]["Corefile"]
    before = yaml.safe_load(manifest)["data"]["Corefile"]
    assert tokens(corefile) == tokens(before)
    assert comments(corefile) == comments(before)
    assert formatted(after, "/nowhere/map.yaml") == after


def test_the_manifests_of_this_project_are_formatted() -> None:
    text = (ROOT / "deploy" / "base" / "configmap.yaml").read_text()
    assert formatted(text, "configmap.yaml") == text


MESSY, TIDY = ". {\nlog\n}\n", ". {\n    log\n}\n"


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_standard_input_is_printed(
    program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "input").write_text(MESSY)
    with (tmp_path / "input").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert program("fmt", *arguments) == (0, TIDY, "")


def test_bytes_that_are_not_utf8_are_kept(program: Program, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b". {\n log  \xff\xc3 # \xfe\n}\n")
    assert program("fmt", "-w", "f").code == 0
    assert (tmp_path / "f").read_bytes() == b". {\n    log \xff\xc3 # \xfe\n}\n"


def test_files_are_printed_one_after_the_other(program: Program, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(MESSY)
    (tmp_path / "b").write_text(TIDY)
    assert program("fmt", "a", "b") == (0, TIDY + TIDY, "")


def test_check_names_the_files_that_differ_and_changes_nothing(program: Program, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(MESSY)
    (tmp_path / "b").write_text(TIDY)
    assert program("fmt", "--check", "a", "b") == (1, "a\n", "")
    assert program("fmt", "--check", "b") == (0, "", "")
    assert (tmp_path / "a").read_text() == MESSY


DIFF = dedent("""\
    --- a
    +++ a
    @@ -1,3 +1,3 @@
     . {
    -log
    +    log
     }
""")


def test_differences(program: Program, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(MESSY)
    assert program("fmt", "-d", "a") == (0, DIFF, "")
    assert program("fmt", "--diff", "--check", "a") == (1, f"a\n{DIFF}", "")
    (tmp_path / "b").write_text(TIDY)
    assert program("fmt", "-d", "b") == (0, "", "")
    (tmp_path / "c").write_text(TIDY[:-1])
    assert program("fmt", "-d", "c").out.endswith("-}\n\\ No newline at end of file\n+}\n")


def test_write_replaces_the_file_keeps_its_mode_and_prints_nothing(program: Program, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(MESSY)
    (tmp_path / "a").chmod(0o640)
    (tmp_path / "link").symlink_to("a")
    inode = (tmp_path / "a").stat().st_ino
    assert program("fmt", "-w", "link") == (0, "", "")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a").read_text() == TIDY
    after = (tmp_path / "a").stat()
    assert stat.S_IMODE(after.st_mode) == 0o640
    assert after.st_ino != inode, "it is replaced as a whole"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "link"]
    assert program("fmt", "--write", "a") == (0, "", "")
    assert (tmp_path / "a").stat().st_ino == after.st_ino, "a file that is formatted already is not touched"


@pytest.mark.parametrize(("arguments", "code", "error"), [
    (["-w"], 2, "clusterdns fmt: --write needs a FILE"),
    (["-w", "-"], 2, "clusterdns fmt: --write needs a FILE"),
    (["-w", "--check", "a"], 2, "clusterdns fmt: --check changes nothing; leave out --write"),
    (["missing"], 1, "missing: cannot be read: no such file or directory; name an existing, readable Corefile"),
    (["."], 1, ".: cannot be read: is a directory"),
    (["-x"], 2, "clusterdns fmt: flag provided but not defined: -x"),
])  # fmt: skip
def test_wrong_command_lines_and_files(program: Program, arguments: list[str], code: int, error: str) -> None:
    ended = program("fmt", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith(error)


def test_a_folder_that_cannot_be_written_is_an_error(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text(MESSY)
    monkeypatch.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    code, out, err = program("fmt", "-w", "a")
    assert (code, out) == (1, "")
    assert err.startswith("a: cannot be written: permission denied; ")
    assert (tmp_path / "a").read_text() == MESSY
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
