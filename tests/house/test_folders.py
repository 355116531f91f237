"""Imports between folders: tests and bench import testing; the product imports none of the three."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = frozenset(path.stem for path in (ROOT / "tests").iterdir() if not path.name.startswith((".", "__")))

# folder → packages that none of its modules imports
FORBIDDEN = {
    "clusterdns": {"testing", "bench", *TESTS},
    "testing": {"bench", *TESTS},
    "bench": TESTS,
    "tests": {"bench"},
}
EXEMPT = (ROOT / "tests" / "benchmarks",)  # the tests of bench


def imported(path: Path) -> set[str]:
    """Return the top-level packages that a module imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize(("folder", "forbidden"), FORBIDDEN.items(), ids=FORBIDDEN)
def test_no_module_imports_a_folder_above_its_own(folder: str, forbidden: set[str]) -> None:
    paths = [path for path in (ROOT / folder).rglob("*.py") if not any(map(path.is_relative_to, EXEMPT))]
    assert len(paths) > 10
    assert {
        str(path.relative_to(ROOT)): imported(path) & forbidden for path in paths if imported(path) & forbidden
    } == {}
