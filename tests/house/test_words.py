"""The rules of wording that a test can check: the form of docstrings, and idioms that have a plain word."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = sorted((ROOT / "clusterdns").rglob("*.py"))
PYTHON = [*PACKAGE, *(path for folder in ("testing", "bench") for path in sorted((ROOT / folder).rglob("*.py")))]
TEXTS = [*PYTHON, *sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "bench" / "README.md"]
NOT_VERBS = {"How", "Nothing", "The", "What", "Where", "Whether", "Which", "Who", "Why"}

# idiom → the plain word
PLAIN_WORDS = {
    r"\btold\b": "reported, logged, notified",
    r"\bmend(?:s|ed|ing)?\b": "hint, fix",
    r"\b(?:no|some|every)body\b": "name who it is",
    r"\bremarks?\b": "warning",
    r"\bdenials\b|\bnames? .{0,30}\bdenied\b": "negative answer",
    r"\balias(?:es)?\b": "CNAME",
    r"\bletter case\b|\bletters of the question\b": "case, 0x20",
    r"\brehears\w*": "dry run",
    r"\bofferings?\b|\boffers? of\b": "exports",
    r"\blooked at again\b": "polled every …",
    r"\bwaited for\b": "waits for …, with its subject",
    r"\bin step with\b": "synced with",
    r"\botherwise than\b": "differs from",
    r"\bgives? way\b": "evicts",
    r"\bmemory is short\b": "memory pressure",
    r"\bwho asks\b|\bthose who\b|\bwhoever\b": "the client, the caller",
    r"\bwould be a gift\b|\bhardly as meant\b|\ba small part\b": "a fact or a figure",
}
IDIOMS = list(PLAIN_WORDS)
IDIOM = re.compile("|".join(f"({idiom})" for idiom in IDIOMS), re.IGNORECASE)
# file → the idioms that are right there
RIGHT = {
    "clusterdns/corefile/checks.py": r"\balias(?:es)?\b",  # a plugin's name
    "clusterdns/cluster/manifests/documents.py": r"\balias(?:es)?\b",  # YAML's
    "docs/decisions/0010-socket-and-letter-case-per-exchange.md": r"\bletter case\b|\bletters of the question\b",
}


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def docstrings(path: Path) -> Iterator[tuple[ast.AST, str, str]]:
    """Yield each docstring of a module with its node and name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node, getattr(node, "name", "the module"), text


def is_property(node: ast.AST) -> bool:
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return any("property" in ast.unparse(decorator) for decorator in decorators)


@pytest.mark.parametrize("path", PYTHON, ids=short)
def test_docstrings_begin_with_a_sentence_and_those_of_functions_with_a_verb(path: Path) -> None:
    for node, name, text in docstrings(path):
        sentence = text.partition("\n\n")[0]
        assert sentence.endswith((".", ".)", ":")), f"{name}: {sentence}"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not is_property(node) and name != "__init__":
            assert text.split()[0].strip(",.:;") not in NOT_VERBS, f"{name}: {sentence}"


@pytest.mark.parametrize("path", TEXTS, ids=short)
def test_texts_have_plain_words_instead_of_idioms(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for found in IDIOM.finditer(text):
        if (idiom := IDIOMS[(found.lastindex or 0) - 1]) != RIGHT.get(short(path)):
            line = text.count("\n", 0, found.start()) + 1
            pytest.fail(f"{short(path)}:{line}: '{found[0]}': write: {PLAIN_WORDS[idiom]}")
