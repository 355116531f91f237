"""Imports of files: matching paths, relative paths, errors, and the bounds of expansion."""

import time
from pathlib import Path

import pytest

from clusterdns.corefile.checks import check_repetition
from clusterdns.corefile.errors import ErrorList
from clusterdns.corefile.load import Corefile, load


def read(folder: Path, files: dict[str, str | bytes]) -> tuple[Corefile, list[str]]:
    """Write the files, load the Corefile among them; with the errors, the folder cut off."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    errors = ErrorList()
    corefile = load(str(folder / "Corefile"), environ={"NAME": "one"}, errors=errors)
    return corefile, [str(error).replace(f"{folder}/", "") for error in errors.errors]


def directives(corefile: Corefile) -> list[list[str]]:
    return [[" ".join(w.text for w in d.words) for d in block.directives] for block in corefile.blocks]


FOUND: list[tuple[str, dict[str, str | bytes], list[list[str]]]] = [
    ("a file", {"Corefile": ". {\n import a\n log\n}\n", "a": "errors\ncache"}, [["errors", "cache", "log"]]),
    (
        "overrides inside, servers outside, as on k3s",
        {
            "Corefile": ". {\n errors\n import custom/*.override\n}\nimport custom/*.server\n",
            "custom/b.override": "cache 30",
            "custom/a.override": "log",
            "custom/x.server": "example.org {\n whoami\n}\n",
        },
        [["errors", "log", "cache 30"], ["whoami"]],
    ),
    ("comments only", {"Corefile": ". {\n import a\n}\n", "a": "# nothing here\n"}, [[]]),
    ("dot-files match", {"Corefile": ". {\n import c/*\n}\n", "c/.a": "log"}, [["log"]]),
    (
        "a star stays in its folder",
        {"Corefile": ". {\n import c*.conf\n}\n", "c/a.conf": "log", "c1.conf": "errors"},
        [["errors"]],
    ),
    (
        "a star in the middle",
        {"Corefile": ". {\n import c/*/conf\n}\n", "c/2/conf": "log", "c/1/conf": "errors"},
        [["errors", "log"]],
    ),
    ("a question mark", {"Corefile": ". {\n import c?\n}\n", "c1": "log", "c12": "errors"}, [["log"]]),
    ("a suffix star", {"Corefile": "import conf.d/Corefile*\n", "conf.d/Corefile1": ".\nlog"}, [["log"]]),
    ("a variable", {"Corefile": ". {\n import {$NAME}.conf\n}\n", "one.conf": "log"}, [["log"]]),
    (
        "relative to the file it stands in",
        {"Corefile": ". {\n import c/a\n}\n", "c/a": "import b\n", "c/b": "log"},
        [["log"]],
    ),
    (
        "a snippet from a file, used in the next one",
        {"Corefile": "import s\nimport b\n", "s": "(a) {\n log\n}\n", "b": ". {\n import a\n}\n"},
        [["log"]],
    ),
    (
        "a file before a directive of its name",
        {"Corefile": ". {\n import a\n log\n}\n", "a": "errors\n\n"},
        [["errors", "log"]],
    ),
    (
        "the last line of a file ends its statement",
        {"Corefile": ". {\n import a\n log\n}\n", "a": "cache"},
        [["cache", "log"]],
    ),
    ("a block split over files", {"Corefile": "import a\nlog\n}\n", "a": ". {\n errors\n"}, [["errors", "log"]]),
    (
        "files that import the same file",
        {"Corefile": ". {\n import c/*\n}\n", "c/a": "import ../x\n", "c/b": "import ../x\n", "x": "log"},
        [["log", "log"]],
    ),
    (
        "a file that imports its sibling in the glob",
        {"Corefile": ". {\n import c/*\n}\n", "c/a": "import b\n", "c/b": "log"},
        [["log", "log"]],
    ),
    ("in a nested block", {"Corefile": ". {\n hosts {\n  import h\n }\n}\n", "h": "1.1.1.1 a\n"}, [["hosts"]]),
]


@pytest.mark.parametrize(("files", "expected"), [row[1:] for row in FOUND], ids=[row[0] for row in FOUND])
def test_imported_files(files: dict[str, str | bytes], expected: list[list[str]], tmp_path: Path) -> None:
    corefile, errors = read(tmp_path, files)
    assert errors == []
    assert directives(corefile) == expected
    assert corefile.warnings == ()


WRONG: list[tuple[str, dict[str, str | bytes], list[str]]] = [
    (
        "a file that imports itself",
        {"Corefile": ". {\n import ./Corefile\n}\n"},
        ["Corefile:2: import of itself: Corefile → Corefile; remove one of these imports"],
    ),
    (
        "files that import each other",
        {"Corefile": ". {\n import a\n}\n", "a": "log\nimport b", "b": "import a"},
        ["b:1: import of itself: a → b → a; remove one of these imports (imported at a:2, Corefile:2)"],
    ),
    (
        "a folder",
        {"Corefile": ". {\n import c/*\n}\n", "c/..data/x": "log"},
        [
            "Corefile:2: Could not import c/..data: is a directory; "
            "import its files instead, such as 'folder/*.override'; a mounted ConfigMap also holds '..data'"
        ],
    ),
    (
        "an error in an imported file",
        {"Corefile": ". {\n import c/*\n}\n", "c/a": "log\nerrors{\n}\n"},
        [
            "c/a:2: Unexpected '{' at the end of 'errors{'; put a space before the brace: 'errors {' "
            "(imported at Corefile:2)"
        ],
    ),
    (
        "a file that is far too large",
        {"Corefile": ". {\n import a\n}\n", "a": b" " * ((16 << 20) + 1)},
        ["a:1: larger than 16 MiB; check that it is a Corefile, or split it into imported files"],
    ),
]


@pytest.mark.parametrize(("files", "expected"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_errors(files: dict[str, str | bytes], expected: list[str], tmp_path: Path) -> None:
    _, errors = read(tmp_path, files)
    assert errors == expected


def test_a_word_and_its_errors_name_the_imports_by_which_it_is_read(tmp_path: Path) -> None:
    corefile, errors = read(tmp_path, {
        "Corefile": "import c/1\n. {\n log\n import a\n}\nb.org {\n import a\n import s\n}\n",
        "a": "import c/2\nready",
        "c/1": "(s) {\n health\n}\n",
        "c/2": "errors\n",
    })  # fmt: skip
    assert errors == []
    places = [
        [
            (one.name, [place.replace(f"{tmp_path}/", "") for place in one.words[0].imported_at])
            for one in block.directives
        ]
        for block in corefile.blocks
    ]
    assert places == [
        [("log", []), ("errors", ["a:1", "Corefile:4"]), ("ready", ["Corefile:4"])],
        [("errors", ["a:1", "Corefile:7"]), ("ready", ["Corefile:7"]), ("health", ["Corefile:8"])],
    ]
    error = corefile.blocks[0].directives[1].error("wrong", "right")
    assert str(error).replace(f"{tmp_path}/", "") == "c/2:1: wrong; right (imported at a:1, Corefile:4)"


def test_a_snippet_may_be_imported_twice_with_a_directive_that_stands_once(tmp_path: Path) -> None:
    """CoreDNS starts with it, because both lines are one to its lexer."""
    corefile, _ = read(tmp_path, {"Corefile": "(s) {\n cache\n}\n. {\n import s\n import s\n}\n"})
    errors = ErrorList()
    check_repetition(corefile.blocks, ["cache"], errors)
    assert not errors
    corefile, _ = read(tmp_path, {"Corefile": "(s) {\n cache\n}\n. {\n import s\n cache\n}\n"})
    check_repetition(corefile.blocks, ["cache"], errors)
    assert [error.line for error in errors.errors] == [6]


def test_a_dangling_link_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("nowhere")
    _, errors = read(tmp_path, {"Corefile": ". {\n import a\n}\n"})
    assert errors == ["Corefile:2: Could not import a: no such file or directory; make the file readable"]


def doubling(snippets: int) -> str:
    """Each snippet imports the one before twice: 2**snippets directives."""
    text = "(s0) {\n log\n}\n"
    text += "".join(f"(s{n}) {{\n import s{n - 1}\n import s{n - 1}\n}}\n" for n in range(1, snippets + 1))
    return text + f". {{\n import s{snippets}\n}}\n"


BOUNDS = [
    (
        "snippets that multiply",
        doubling(40),
        "more than 10,000 snippet imports; look for imports that multiply each other "
        "(imported at Corefile:13, Corefile:18, Corefile:22, …, Corefile:165)",
    ),
    (
        "words that multiply",
        "(a) {\n log" + " x" * 2000 + "\n}\n. {\n" + " import a\n" * 600 + "}\n",
        "more than 1,000,000 words after all imports; look for imports that multiply each other",
    ),
    (
        "a chain that is too deep",
        "(s0) {\n log\n}\n"
        + "".join(f"(s{n}) {{\n import s{n - 1}\n}}\n" for n in range(1, 200))
        + ". {\n import s199\n}\n",
        "more than 100 imports inside each other; look for imports that multiply each other "
        "(imported at Corefile:305, Corefile:308, Corefile:311, …, Corefile:602)",
    ),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in BOUNDS], ids=[row[0] for row in BOUNDS])
def test_expansion_is_bounded(text: str, expected: str, tmp_path: Path) -> None:
    started = time.process_time()
    _, errors = read(tmp_path, {"Corefile": text})
    assert [error.split(": ", 1)[1] for error in errors] == [expected]
    assert time.process_time() - started < 5.0
