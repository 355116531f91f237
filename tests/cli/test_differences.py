"""What `check` says will differ is what docs/differences.md lists, and no directive is named that there is not."""

import re
from pathlib import Path

from clusterdns.cli.differences import NAMED
from clusterdns.plugins.order import ORDER

PAGE = Path(__file__).resolve().parents[2] / "docs" / "differences.md"


def test_every_named_difference_is_told_and_no_other() -> None:
    listed = re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(one.name for one in NAMED) == sorted(listed)


def test_they_concern_directives_that_there_are() -> None:
    assert {name for one in NAMED for name in one.directives} <= {plugin.name for plugin in ORDER}
