"""Whether a text has the structure of a Corefile, or of the lines that one imports; its mistakes where it has neither.

Where it stands alone, its imports and the variables of its environment need not exist.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence

from clusterdns.corefile.braces import glued_brace
from clusterdns.corefile.directive import ServerBlock
from clusterdns.corefile.environment import referenced
from clusterdns.corefile.errors import ErrorList
from clusterdns.corefile.files import Files
from clusterdns.corefile.imports import Statements
from clusterdns.corefile.keys import parse_key
from clusterdns.corefile.lexer import Lexed, Token, lex
from clusterdns.corefile.load import parse
from clusterdns.corefile.parser import parse_statements

_NAME = re.compile(r"[A-Za-z0-9_-]+")


def loads(text: str, file: str) -> bool:
    """Return whether the server would read the text without an error, with its imports and environment."""
    errors = ErrorList()
    parse(text, file, os.environ, errors=errors)
    return not errors


def check_structure(text: str, file: str) -> None:
    """Raise CorefileErrors where the text is neither server blocks, nor directives, nor lines of a directive."""
    lexed = lex(text, file)
    lines = [words for line in lexed.lines if (words := list(_without_imports(line)))]
    environ = {name: name for name in referenced(text)}
    _, found = _parsed(lines, lexed, file, environ)
    if not found:
        return
    head, end = [Token(".", file, 1), Token("{", file, 1)], [Token("}", file, 1)]
    blocks, others = _parsed([head, *lines, end], lexed, file, environ)
    if _may_be_directives(lines) and not any(map(_has_glued_brace, blocks)) and _count(others) < _count(found):
        found = others
    found.raise_if_any()


def _may_be_directives(lines: Iterable[Sequence[Token]]) -> bool:
    """Return whether what has a block at the top level has the name of a directive, and not that of a zone."""
    depth = 0
    for line in lines:
        has_block = any(word.opens for word in line) or _is_glued(line[-1])
        if depth == 0 and has_block and _NAME.fullmatch(line[0].text) is None:
            return False
        depth += sum(word.opens - word.closes for word in line)
    return True


def _has_glued_brace(block: ServerBlock) -> bool:
    """Return whether a line of a directive begins or ends with a word that ends in a brace, as a block's may."""
    lines = (line for one in block.directives for line in one.block)
    return any(_is_glued(word) for line in lines for word in (line.words[0], line.words[-1]))


def _is_glued(word: Token) -> bool:
    return not word.quoted and glued_brace(word.text) is not None


def _count(errors: ErrorList) -> int:
    return len(errors.errors) + errors.left_out


def _parsed(
    lines: list[list[Token]], lexed: Lexed, file: str, environ: dict[str, str]
) -> tuple[tuple[ServerBlock, ...], ErrorList]:
    """Parse the lines, and return their mistakes with them; a key that is not a zone is none of the structure."""
    errors, of_keys = ErrorList(), ErrorList()
    statements = Statements(Files([]), environ, errors, [])
    statements.open(lexed._replace(lines=lines), file)
    blocks = parse_statements(statements, environ, errors, [])
    for word in (word for block in blocks for word in block.words):
        with of_keys.collect():
            parse_key(word, [])
    known = set(map(str, of_keys.errors))
    found = ErrorList()
    found.errors = [error for error in errors.errors if str(error) not in known]
    found.left_out = max(0, errors.left_out - of_keys.left_out)
    return blocks, found


def _without_imports(line: Iterable[Token]) -> Iterator[Token]:
    """Leave out each import of a line, up to the next brace."""
    is_begin, is_import = True, False
    for token in line:
        if token.opens or token.closes:
            is_begin, is_import = True, False
            yield token
            continue
        is_import = is_import or (is_begin and token.text == "import" and not token.quoted)
        is_begin = False
        if not is_import:
            yield token
