"""Loading a Corefile from a path, from standard input, and the errors of both."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.corefile.errors import CorefileErrors, ErrorList
from clusterdns.corefile.load import load, load_from_memory, parse


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "Corefile"
    path.write_text(". {\n whoami\n}\n")
    corefile = load(str(path), environ={})
    assert corefile.blocks[0].directive_names == {"whoami"}


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "Corefile"
    expected = "cannot be read: no such file or directory; name an existing, readable Corefile with -conf"
    with pytest.raises(CorefileErrors) as raised:
        load(str(path), environ={})
    assert str(raised.value) == f"{path}: {expected}"
    errors = ErrorList()
    assert load(str(path), environ={}, errors=errors).blocks == ()
    assert [str(error) for error in errors.errors] == [f"{path}: {expected}"]


def test_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorefileErrors, match="cannot be read: is a directory"):
        load(str(tmp_path), environ={})


def test_standard_input() -> None:
    corefile = load("stdin", stdin=io.StringIO(". {\n whoami\n}\n"), environ={})
    assert corefile.blocks[0].file == "stdin"


def test_bytes_that_are_not_utf8_in_comments_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "more").write_bytes(b"log # caf\xe9\n")
    (tmp_path / "Corefile").write_bytes(b"# \xe9\xff\n. {\n import more # \xc3\n whoami\n}\n")
    corefile = load(str(tmp_path / "Corefile"), environ={})
    assert corefile.blocks[0].directive_names == {"log", "whoami"}
    assert corefile.warnings == ()


def test_bytes_that_are_not_utf8_in_words_are_read_as_by_coredns_with_a_warning() -> None:
    stream = io.TextIOWrapper(io.BytesIO(b". {\n chaos caf\xe9\xff\n}\n"), encoding="utf-8")
    corefile = load("stdin", stdin=stream, environ={})
    (directive,) = corefile.blocks[0].directives
    assert [token.text for token in directive.args] == ["caf\ufffd\ufffd"]
    assert [str(warning) for warning in corefile.warnings] == [
        "stdin:2: 'caf\ufffd\ufffd' has bytes that are not UTF-8, which are read as U+FFFD; save the file as UTF-8"
    ]


@given(st.binary(max_size=60), st.sampled_from(["#", ""]))
def test_any_bytes_are_a_corefile_or_errors(raw: bytes, mark: str) -> None:
    errors = ErrorList()
    load_from_memory({"Corefile": b". {\n log " + mark.encode() + raw + b"\n}\n"}, {}, errors=errors)
    if mark and b"\n" not in raw:
        assert errors.errors == []


@pytest.mark.parametrize(
    ("line", "is_warned_of"),
    [("whoami#c1 log", True), ("whoami#c1\tlog", True), ("whoami#c1", False), ("whoami #c1 log", False),
     ("whoami#c1 ", False)],
)  # fmt: skip
def test_a_comment_glued_to_a_word_that_coredns_would_end_is_warned_of(line: str, is_warned_of: bool) -> None:
    corefile = parse(f". {{\n {line}\n}}\n", "Corefile", {})
    assert corefile.blocks[0].directive_names == {"whoami"}
    assert [str(one).split("; ")[0] for one in corefile.warnings] == is_warned_of * [
        "Corefile:2: the comment after 'whoami' runs to the end of the line"
    ]


def test_stdin_without_a_stream_is_a_file_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stdin").write_text(".\nlog\n")
    assert load("stdin", environ={}).blocks[0].directive_names == {"log"}
