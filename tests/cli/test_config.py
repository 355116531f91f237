"""`clusterdns config`: what it prints is the same configuration, and says where each line comes from."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from corefile.trees import TEXTS, is_unwritable, print_corefile, words
from corefiles.distribution import HERE, Distribution, names
from hypothesis import example, given, settings
from hypothesis import strategies as st
from program import Program

from clusterdns.cli.config.origins import MAX_COLUMN, with_origins
from clusterdns.cli.config.writing import written_lines
from clusterdns.corefile.errors import ErrorList
from clusterdns.corefile.lexer import lex
from clusterdns.corefile.load import Corefile, load_from_memory, parse

ROOT = Path(__file__).resolve().parents[2]
MOUNT = "/etc/coredns"

FILES = {
    "Corefile": """\
# snippets come first
import snippets.conf
(local) {
    bind {$ADDRESS}
}
.:{$PORT} {  # all names
    import local
    import common
    forward . {$UPSTREAMS} {
        max_concurrent  1000
    }
}
"a.org" b.org, c.org
{
    import   local
    import parts/*.inc
}
""",
    "snippets.conf": "(common) {\n    errors\n    import parts/cache.inc\n}\n",
    "parts/cache.inc": "cache 30 {\n    success 100\n}\n",
}
ENVIRON = {"ADDRESS": "127.0.0.1", "PORT": "1053", "UPSTREAMS": "1.1.1.1", "UNUSED": "s3cret"}
EFFECTIVE = """\
.:1053 {                     # Corefile:6
    bind 127.0.0.1           # Corefile:4 via Corefile:7
    errors                   # snippets.conf:2 via Corefile:8
    cache 30 {               # parts/cache.inc:1 via snippets.conf:3 via Corefile:8
        success 100          # parts/cache.inc:2 via snippets.conf:3 via Corefile:8
    }
    forward . 1.1.1.1 {      # Corefile:9
        max_concurrent 1000  # Corefile:10
    }
}

"a.org" b.org c.org {  # Corefile:13
    bind 127.0.0.1     # Corefile:4 via Corefile:15
    cache 30 {         # parts/cache.inc:1 via Corefile:16
        success 100    # parts/cache.inc:2 via Corefile:16
    }
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Corefile with imports and variables, in the working directory of `program`."""
    (tmp_path / "parts").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def without_blanks(text: str) -> str:
    return re.sub(r"(?m)(?<=\S) +", " ", text)


@pytest.mark.parametrize("arguments", [[], ["Corefile"], ["--conf", "Corefile"], ["-conf", "Corefile"]])
def test_each_line_has_its_origin(program: Program, folder: Path, arguments: list[str]) -> None:
    code, out, err = program("config", *arguments)
    assert (code, err) == (0, "")
    assert out == EFFECTIVE
    assert folder.exists()


def test_without_origins_and_variables(program: Program, folder: Path) -> None:
    code, out, err = program("config", "--no-origin")
    assert (code, err) == (0, "")
    assert out == re.sub(r" +# .*", "", EFFECTIVE)
    hidden = program("config", "--no-origin", "--hide-env").out
    expected = out.replace("127.0.0.1", "{$ADDRESS}").replace("1053", "{$PORT}").replace("1.1.1.1", "{$UPSTREAMS}")
    assert hidden == expected
    assert folder.exists()


def test_json(program: Program, folder: Path) -> None:
    code, out, err = program("config", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["ok"], found["file"], found["errors"], found["warnings"]) == (True, "Corefile", [], [])
    first, second = found["blocks"]
    assert (first["keys"], first["zones"], first["file"], first["line"]) == ([".:1053"], ["."], "Corefile", 6)
    assert (first["imported_at"], second["keys"]) == ([], ["a.org", "b.org", "c.org"])
    assert [one["name"] for one in first["directives"]] == ["bind", "errors", "cache", "forward"]
    assert first["directives"][2] == {
        "name": "cache", "arguments": ["30"], "file": "parts/cache.inc", "line": 1,
        "imported_at": [{"file": "snippets.conf", "line": 3}, {"file": "Corefile", "line": 8}],
        "block": [{
            "name": "success", "arguments": ["100"], "file": "parts/cache.inc", "line": 2,
            "imported_at": [{"file": "snippets.conf", "line": 3}, {"file": "Corefile", "line": 8}],
        }],
    }  # fmt: skip
    assert first["directives"][0]["arguments"] == ["127.0.0.1"]
    hidden = program("config", "--json", "--hide-env").out
    assert not [value for value in ENVIRON.values() if value in hidden]
    assert folder.exists()


def loaded(corefile: str, files: Mapping[str, bytes], environ: Mapping[str, str]) -> Corefile | None:
    errors = ErrorList()
    found = load_from_memory({f"{MOUNT}/Corefile": corefile.encode(errors="surrogateescape"), **files}, environ,
                             errors=errors)  # fmt: skip
    return None if errors else found


def assert_round_trip(corefile: Corefile, environ: Mapping[str, str]) -> None:
    """What is printed, in each form, is the same configuration."""
    for hides_env in (False, True):
        lines = list(written_lines(corefile.blocks, hides_env=hides_env))
        plain = "".join(f"{line.text}\n" for line in lines)
        commented = "".join(f"{text}{comment}\n" for text, comment in with_origins(lines))
        for text in (plain, commented):
            again = loaded(text, {}, environ)
            assert again is not None
            assert words(again.blocks) == words(corefile.blocks)
            assert hides_env or print_corefile(again.blocks) == plain


@pytest.mark.parametrize("name", names())
def test_corefiles_of_distributions(name: str) -> None:
    environ = Distribution(name).environment
    files = {
        f"{MOUNT}/{path.relative_to(HERE / name)}": path.read_bytes() for path in (HERE / name).rglob("*")
        if path.is_file()
    }  # fmt: skip
    corefile = loaded((HERE / name / "Corefile").read_bytes().decode(errors="surrogateescape"), files, environ)
    assert corefile is not None
    assert_round_trip(corefile, environ)


PAGES = [
    (f"{page.relative_to(ROOT)}-{number}", block)
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("zones/*.md")]
    for number, block in enumerate(re.findall(r"^```corefile\n(.*?)^```", page.read_text("utf-8"), re.M | re.S))
]


@pytest.mark.parametrize("text", [text for _, text in PAGES], ids=[name for name, _ in PAGES])
def test_corefiles_of_the_docs(text: str) -> None:
    corefile = loaded(text, {}, {})
    assert corefile is not None
    assert_round_trip(corefile, {})


VALUES = st.one_of(
    st.sampled_from(
        ["", "a b", "{$A}", "{$B}", 'a"', '"', "\\", 'x \\"', "import", "{", "}", "x{", "{}", "#", "\n", "a,b"]
    ),
    st.text(max_size=6),
    st.sampled_from(["\udcff", "\ufeff", "\r", "(s)", "tls://."]),
)


@given(TEXTS, VALUES, VALUES)
@example("{$A} {\n}\n", "(a)", "")
@example('{$A} x {\n {%B%} {$A}{$B}\n log "{$A} {$B}"\n}\n', "a,b", "y{")
@example("{$A} {\n}\n", "\ufeff", "")
@example(". {\n {$A} {$A}\n}\n", "import", "")
@example(". {\n log {$A} {\n {$A} x {$A}\n}\n}\n", "{", "")
@settings(max_examples=600, deadline=None)
def test_any_text_that_loads(text: str, first: str, second: str) -> None:
    environ = {"A": first, "B": second}
    errors = ErrorList()
    corefile = parse(text, f"{MOUNT}/Corefile", environ, errors=errors)
    if not errors and not any(map(is_unwritable, corefile.blocks)):
        assert_round_trip(corefile, environ)


def test_origins_cannot_leave_their_comment() -> None:
    """A file may be called anything."""
    blocks = parse(". {\n log\n}\n", "x\n} evil.org {\n#\x1b[2J", {}).blocks
    text = "".join(f"{line}{comment}\n" for line, comment in with_origins(written_lines(blocks)))
    assert [[token.text for token in line] for line in lex(text, "f").lines] == [[".", "{"], ["log"], ["}"]]
    assert "\x1b" not in text


def test_a_long_line_does_not_move_the_comments_of_others() -> None:
    blocks = parse(f". {{\n log {'x' * MAX_COLUMN}\n errors\n}}\n", "f", {}).blocks
    lines = [f"{line}{comment}" for line, comment in with_origins(written_lines(blocks))]
    assert lines == [". {         # f:1", f"    log {'x' * MAX_COLUMN}  # f:2", "    errors  # f:3", "}"]


CONFIGMAP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: coredns, namespace: kube-system}
data:
  Corefile: |
    . {
        import more.conf
        hosts /etc/coredns/hosts
    }
  more.conf: |
    log
  hosts: ""
"""


def test_a_configmap(program: Program, tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(CONFIGMAP)
    code, out, err = program("config", "map.yaml")
    assert (code, err) == (0, "")
    assert without_blanks(out) == (
        ". { # /etc/coredns/Corefile:1\n"
        "    log # /etc/coredns/more.conf:1 via /etc/coredns/Corefile:2\n"
        "    hosts /etc/coredns/hosts # /etc/coredns/Corefile:3\n"
        "}\n"
    )


def test_standard_input(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "input").write_text(".\nlog\n")
    with (tmp_path / "input").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert program("config", "-") == (0, ". {      # stdin:1\n    log  # stdin:2\n}\n", "")


def test_warnings_are_on_standard_error(program: Program, tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text(". {\n log {$UNSET_HERE}\n import no/*\n}\n")
    code, out, err = program("config", "--no-origin")
    assert (code, out) == (0, '. {\n    log ""\n}\n')
    assert [line.partition(": ")[0] for line in err.splitlines()] == ["warning", "warning"]
    assert "warning: Corefile:2: '{$UNSET_HERE}' is empty" in err
    found = json.loads(program("config", "--json").out)
    assert sorted(one["line"] for one in found["warnings"]) == [2, 3]


WRONG = {
    "an error in an imported file": (
        {"Corefile": ". {\n import a\n}\n", "a": "log\nerrors{\n}\n"}, ["Corefile"], 1,
        "a:2: Unexpected '{' at the end of 'errors{'; put a space before the brace: 'errors {' (imported at "
        "Corefile:2)\n",
    ),
    "a missing import": ({"Corefile": ". {\n import a\n}\n"}, [], 1, "Corefile:2: File to import not found: a; "),
    "a missing file": ({}, ["Corefile"], 1, "Corefile: cannot be read: no such file or directory; "),
    "no Corefile": ({}, [], 2, "clusterdns config: there is no ./Corefile; name a FILE, or '-'"),
    "two files": ({}, ["a", "-conf", "b"], 2, "clusterdns config: 2 files, a and b; name one"),
    "another object": ({"a": "kind: Secret\n"}, ["a"], 1, "a: is a Secret, not a Corefile; "),
}  # fmt: skip


@pytest.mark.parametrize(("files", "arguments", "code", "text"), WRONG.values(), ids=WRONG.keys())
def test_errors_are_those_of_check_and_nothing_is_printed(
    program: Program, tmp_path: Path, files: dict[str, str], arguments: list[str], code: int, text: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    ended = program("config", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith(text) or text in ended.err
    if code == 1:
        found = json.loads(program("config", "--json", *arguments).out)
        assert (found["ok"], found["blocks"]) == (False, [])
        assert found["errors"][0]["text"] in ended.err


def test_a_key_that_cannot_be_written_is_an_error_and_is_in_the_json(program: Program, tmp_path: Path) -> None:
    (tmp_path / "a").write_text('x,"b\\"c {\n}\n')
    code, out, err = program("config", "a")
    assert (code, out) == (1, "")
    assert "a:1: '\"b\\\"c' cannot be written as a word; " in err
    assert json.loads(program("config", "--json", "a").out)["blocks"][0]["keys"] == ["x", '"b\\"c']


def test_the_values_of_variables_are_shown_only_where_they_are_used(program: Program, folder: Path) -> None:
    assert os.environ["UNUSED"] == "s3cret"
    assert "s3cret" not in program("config").out + program("config", "--json").out
    assert folder.exists()
