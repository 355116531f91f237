"""`root`: where relative paths are."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from clusterdns.chain import BlockContext
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import root

ReadDirectives = Callable[[str], Sequence[Directive]]


def test_paths(read_directives: ReadDirectives, context: BlockContext) -> None:
    shaped = root.configure_block(root.parse(read_directives("root /nowhere\nroot /etc/coredns"), context), context)
    assert shaped.path("zones/db") == "/etc/coredns/zones/db"
    assert shaped.path("/var/db") == "/var/db"


@pytest.mark.parametrize(
    ("name", "warnings"),
    [("", []), ("nosuch", ["Root path does not exist: {}"]), ("file", ["Root path is not a folder: {}"])],
)
async def test_warning(
    context: BlockContext, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, warnings: list[str]
) -> None:
    (tmp_path / "file").touch()
    folder = str(tmp_path / name)
    part = root.build(folder, context)
    assert part.life.start is not None
    await part.life.start()
    assert caplog.messages == [text.format(folder) for text in warnings]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("root", "Corefile:2: Wrong argument count"),
        ("root /tmp /x", "Corefile:2: Wrong argument count"),
        ("root /tmp {\n x\n}", "Corefile:3: unknown property 'x'"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        root.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)
