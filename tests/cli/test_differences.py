"""The differences that `check` prints are those that docs/differences.md lists, for directives that exist."""

import re
from pathlib import Path

from clusterdns.cli.check.differences import DIFFERENCES
from clusterdns.plugins.order import ORDER

PAGE = Path(__file__).resolve().parents[2] / "docs" / "differences.md"


def test_the_names_are_those_of_the_documentation() -> None:
    listed = re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(one.name for one in DIFFERENCES) == sorted(listed)


def test_their_directives_exist() -> None:
    assert {name for one in DIFFERENCES for name in one.directives} <= set(ORDER)
