"""Log lines about names and objects that would control a terminal or forge a line: each is one line, shown as text."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from plugins.serving import running

from clusterdns.telemetry import logs

LABELS = {
    "HTML": b"<script>alert(1)</script>",
    "colours": b"\x1b[31mred\x1b[0m",
    "a title": b"\x1b]0;owned\x07",
    "ends of lines": b"a\n[INFO] forged\r\nb",
    "ends of lines in UTF-8": "a\x85b\u2028c".encode(),
    "bidi": "\u202egnp.exe\u2066".encode(),
    "zero width": "pay\u200bpal\ufeff".encode(),
    "NUL and delete": b"a\0b\x7f",
    "no UTF-8": b"\xff\x9b2J\x80",
    "formats": b"%s%n%(name)s{0}",
    "the longest": b"x" * 63,
}  # fmt: skip
COREFILE = """errors
log
log example {combined}\\t{>id}
template ANY ANY broken.example {
 answer "{{ .Name }} 60 IN A not-an-address"
}
whoami
"""


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """The log, as it would be on standard output."""
    root, ours = logging.getLogger(), logging.getLogger("clusterdns")
    kept = (
        root.handlers[:],
        root.level,
        ours.level,
        logging.logThreads,
        logging.logProcesses,
        logging.logMultiprocessing,
    )
    stream = io.StringIO()
    logs.set_up(stream)
    yield stream
    root.handlers[:], level, our_level, logging.logThreads, logging.logProcesses, logging.logMultiprocessing = kept
    root.setLevel(level)
    ours.setLevel(our_level)


def assert_lines(text: str, count: int) -> None:
    """Fail unless these are so many lines of a level, of characters that a terminal shows."""
    found = text.splitlines()
    assert len(found) == count == text.count("\n")
    for line in found:
        assert line.replace("\t", "").isprintable(), ascii(line)
        assert line.startswith(("[INFO] ", "[ERROR] ", "[WARNING] "))


@pytest.mark.parametrize("label", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("below", [b"example", b"broken.example"])
async def test_a_query_has_one_line_and_an_error_another(
    lines: io.StringIO, tmp_path: Path, label: bytes, below: bytes
) -> None:
    name = b"".join(len(one).to_bytes(1, "big") + one for one in (label, *below.split(b"."))) + b"\0"
    async with running(COREFILE, tmp_path) as server:
        lines.seek(0)
        lines.truncate()
        await server.raw(b"\1\2\0\0\0\1\0\0\0\0\0\0" + name + b"\0\1\0\1")
    assert_lines(lines.getvalue(), 2 if below != b"example" else 1)
    assert "\\027" in lines.getvalue() or b"\x1b" not in label
    assert f".{below.decode()}." in lines.getvalue()


@pytest.mark.parametrize("label", LABELS.values(), ids=LABELS)
async def test_an_object_of_a_manifest_has_lines_that_show_its_name(
    lines: io.StringIO, tmp_path: Path, label: bytes
) -> None:
    name = label.decode("utf-8", "replace") * 20
    item = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "prod"}, "spec": {}}
    (tmp_path / "cluster.json").write_text(json.dumps(item))
    async with running(f"kubernetes cluster.local {{\n manifests {tmp_path}\n}}", tmp_path):
        text = lines.getvalue()
    assert "plugin/kubernetes: " in text
    assert_lines(text, text.count("\n"))
