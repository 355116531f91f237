"""Loading a Corefile from a path, from standard input, and the errors of both."""

import io
from pathlib import Path

import pytest

from clusterdns.corefile.errors import CorefileErrors, ErrorList
from clusterdns.corefile.load import load


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


def test_standard_input_that_is_not_utf8() -> None:
    stream = io.TextIOWrapper(io.BytesIO(b"\xff"), encoding="utf-8")
    with pytest.raises(CorefileErrors, match=r"^stdin:1: standard input is not UTF-8"):
        load("stdin", stdin=stream, environ={})


def test_stdin_without_a_stream_is_a_file_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stdin").write_text(".\nlog\n")
    assert load("stdin", environ={}).blocks[0].directive_names == {"log"}
