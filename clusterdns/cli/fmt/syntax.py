"""Whether a text has the structure of a Corefile, or of the lines that one imports; its mistakes where it has neither.

Where it stands alone, its imports and the variables of its environment need not exist.
"""

import os
import re
from collections.abc import Iterable, Iterator

from clusterdns.corefile.braces import glued_brace
from clusterdns.corefile.directive import Directive, ServerBlock
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
    if all(_is_directive(one) for block in blocks for one in block.directives) and _count(others) < _count(found):
        found = others
    found.raise_if_any()


def _is_directive(one: Directive) -> bool:
    """Return whether a statement looks like a directive: not a server block, whose directives would be its lines."""
    if not one.block:
        return True
    words = [word for line in one.block for word in (line.words[0], line.words[-1])]
    return _NAME.fullmatch(one.name) is not None and not any(
        glued_brace(word.text) for word in words if not word.quoted
    )


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
