"""The causes of verdicts are in the manual, and the manual has no others."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "clusterdns" / "server" / "explaining").rglob("*.py"))
IN_SOURCE = re.compile(
    r'\bverdict\(\s*"([a-z-]+)"|\bverdict\(\s*"([a-z-]+)" if [^,]* else "([a-z-]+)"'
    r'|\.cause(?:, made\.next_step)? = "([a-z-]+)"'
)
MADE_OTHERWISE = {
    "end-of-chain",
    "acl-block",
    "acl-filter",
    "acl-drop",
    "upstream-negative",
    "cached-negative",
    "node-resolver",
}


def test_the_manual_has_every_cause() -> None:
    text = "\n".join(path.read_text() for path in SOURCES)
    causes = {word for found in IN_SOURCE.findall(text) for word in found if word} | MADE_OTHERWISE
    assert all(f'"{word}"' in text for word in MADE_OTHERWISE if not word.startswith("acl-"))
    table = (ROOT / "docs" / "explain.md").read_text().partition("## Causes")[2]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert {word for row in rows for word in re.findall(r"`([a-z-]+)`", row.split("|")[1])} == causes
