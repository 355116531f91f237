"""The structure of the package in figures: `python tests/house/structure.py`, also printed by `make lint`.

`test_structure` holds the figures to their limits. The graph of imports comes from grimp, as import-linter reads it.
"""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

import grimp

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "clusterdns"


class Structure(NamedTuple):
    """The sizes of folders and modules, the longest chain of imports, and class names that are not unique."""

    modules: dict[str, int]  # by folder, `__init__` left out
    lines: dict[str, int]  # by module's path
    chain: list[str]  # the longest chain of imports, the importer first
    classes: dict[str, list[str]]  # class names that more than one module defines, with the modules


@cache
def measure() -> Structure:
    """Measure the package."""
    modules: dict[str, int] = defaultdict(int)
    lines: dict[str, int] = {}
    classes: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        name = str(path.relative_to(ROOT))
        lines[name] = text.count("\n")
        if path.name != "__init__.py":
            modules[str(path.parent.relative_to(ROOT))] += 1
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes[node.name].append(name)
    twice = {name: places for name, places in sorted(classes.items()) if len(places) > 1}
    return Structure(dict(modules), lines, _longest_chain(), twice)


def _longest_chain() -> list[str]:
    graph = grimp.build_graph("clusterdns")
    found: dict[str, list[str]] = {}

    def chain_from(module: str, above: frozenset[str]) -> list[str]:
        if module not in found:
            below = [
                chain_from(one, above | {module})
                for one in graph.find_modules_directly_imported_by(module)
                if one not in above
            ]
            found[module] = [module, *max(below, key=len, default=[])]
        return found[module]

    return max((chain_from(module, frozenset()) for module in sorted(graph.modules)), key=len)


def show(structure: Structure) -> str:
    """Format the figures as lines."""
    longest = sorted(structure.lines.items(), key=lambda item: -item[1])[:3]
    return "\n".join([
        f"modules: {sum(structure.modules.values())}, lines: {sum(structure.lines.values())}",
        "modules per folder: " + ", ".join(f"{folder} {count}" for folder, count in sorted(structure.modules.items())),
        "longest modules: " + ", ".join(f"{name} {count}" for name, count in longest),
        f"longest chain of imports: {len(structure.chain)} ({' > '.join(structure.chain)})",
        f"class names defined twice: {len(structure.classes)} ({', '.join(structure.classes)})",
    ])  # fmt: skip


if __name__ == "__main__":
    print(show(measure()))
