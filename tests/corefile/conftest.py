"""The fixture that writes a server block as one short line, for tables of expected trees."""

import re
from collections.abc import Callable, Iterable

import pytest

from clusterdns.corefile.directive import ServerBlock
from clusterdns.corefile.lexer import Token


@pytest.fixture(scope="session")
def flat() -> Callable[[ServerBlock], str]:
    """Writes a block as `keys: directive words { line; line } | directive`, unusual words in ‹›."""
    return _flat


def _words(tokens: Iterable[Token]) -> str:
    return " ".join(t.text if t.text and not re.search(r"\s", t.text) else f"‹{t.text}›" for t in tokens)


def _flat(block: ServerBlock) -> str:
    directives = [
        _words(directive.words)
        + (" { " + "; ".join(_words(line.words) for line in directive.block) + " }" if directive.block else "")
        for directive in block.directives
    ]
    return f"{_words(block.words)}: {' | '.join(directives)}".rstrip()
