"""Statements to server blocks. Each mistake is added to the error list and parsing goes on, so that the next is found.

The structure follows from the words as written; variables are replaced afterwards, so that no value can open a block.
Misplaced braces are reported by `braces`. What a directive means, and whether it exists, is not known here: see
`checks` and the plugins.
"""

from collections import deque
from collections.abc import Mapping

from clusterdns.corefile.braces import BraceErrors
from clusterdns.corefile.directive import Directive, Line, ServerBlock
from clusterdns.corefile.environment import expand
from clusterdns.corefile.errors import CorefileWarning, ErrorList
from clusterdns.corefile.imports import Snippet, Statements
from clusterdns.corefile.keys import ServerKey, parse_key
from clusterdns.corefile.lexer import Token

NO_KEY = "this server block has no key"
KEY_HINT = "write '.' or a zone before '{'"


def parse_statements(
    statements: Statements, environ: Mapping[str, str], errors: ErrorList, warnings: list[CorefileWarning]
) -> tuple[ServerBlock, ...]:
    """Parse the statements into server blocks; mistakes are added to `errors`."""
    return tuple(_BlockParser(statements, environ, errors, warnings).blocks())


class _BlockParser:
    """One pass over the statements."""

    def __init__(
        self, statements: Statements, environ: Mapping[str, str], errors: ErrorList, warnings: list[CorefileWarning]
    ) -> None:
        self.statements = statements
        self.environ = environ
        self.errors = errors
        self.warnings = warnings
        self.braces = BraceErrors(statements, errors, warnings)

    def blocks(self) -> list[ServerBlock]:
        found: list[ServerBlock] = []
        while (line := self.statements.next()) is not None:
            first, last = line[0], line[-1]
            if first.closes:
                self.braces.unmatched(line.popleft())
                self.statements.put_back(line)
                continue
            words, brace = self.keys(line)
            if _is_snippet_head(words):
                self.snippet(words[0], brace)
                continue
            if brace is None and found:
                hint = "write '{' there; only the braces of a file's single block may be omitted"
                self.errors.add(last.error(f"Unexpected line ending after {last}, expecting '{{'", hint))
            directives = tuple(self.directives(brace))
            if words:
                found.append(self.block(words, directives))
            else:
                text = f"{NO_KEY}, so it serves nothing and is ignored; {KEY_HINT}"
                self.warnings.append(CorefileWarning(first.file, first.line, text))
        return found

    def block(self, words: list[Token], directives: tuple[Directive, ...]) -> ServerBlock:
        keys: list[ServerKey] = []
        for word in words:
            with self.errors.collect():
                keys += parse_key(word, self.warnings)
        return ServerBlock(tuple(words), tuple(keys), directives)

    def keys(self, line: deque[Token]) -> tuple[list[Token], Token | None]:
        """Read the keys, variables replaced, and the brace after them, which may be on the next line, or be absent."""
        words: list[Token] = []
        comma: Token | None = None
        while True:
            while line:
                token = line.popleft()
                if token.opens:
                    if comma is not None:
                        text = f"Expected another address but had '{{' - check for extra comma after {comma}"
                        self.errors.add(comma.error(text, "remove the comma, or name another zone"))
                    self.statements.put_back(line)
                    return words, token
                if token.closes:
                    self.braces.unmatched(token)
                    continue
                if (glued := self.braces.glued(token, is_name=True)) is not None:
                    before, closing = glued
                    words += [key for word in before for key in self.split_key(word)]
                    line.extendleft(closing)
                    self.statements.put_back(line)
                    return words, token
                words += self.split_key(token)
                comma = token if token.text.endswith(",") and not token.quoted else None
            following = self.statements.next()
            if comma is None:
                return words, self.opening_brace(following)
            if following is None:
                hint = "remove the comma, or name another zone"
                self.braces.end_of_file(f"another key must follow {comma}", hint)
                return words, None
            line = following

    def opening_brace(self, line: deque[Token] | None) -> Token | None:
        """Take the brace that opens this line; the rest, or a line without one, is read again as a statement."""
        if line is None:
            return None
        brace = line.popleft() if line[0].opens else None
        self.statements.put_back(line)
        return brace

    def split_key(self, token: Token) -> list[Token]:
        """Split keys at commas and replace variables; a key that is empty then is dropped."""
        parts = [token] if token.quoted else [token._replace(text=part) for part in token.text.split(",")]
        return [word for part in parts if (word := expand(part, self.environ, self.warnings)).text]

    def snippet(self, head: Token, brace: Token | None) -> None:
        name = head.text[1:-1]
        if brace is None:
            self.errors.add(head.error(f"snippet {head} has no block, expecting '{{'", f"write: {head.text} {{"))
            return
        lines = self.snippet_lines(head, brace)
        known = self.statements.snippets
        if not name:
            self.errors.add(head.error("a snippet without a name", "write: (name) {"))
        elif name in known:
            text = f"redeclaration of previously declared snippet {name}, at {known[name].head.place}"
            self.errors.add(head.error(text, "rename one of the two"))
        else:
            known[name] = Snippet(head, lines, sum(map(len, lines)))

    def snippet_lines(self, head: Token, brace: Token) -> list[list[Token]]:
        """Read the lines up to the brace that closes the snippet, imports unexpanded."""
        lines: list[list[Token]] = []
        depth = 1
        while (line := self.statements.next_unexpanded()) is not None:
            words: list[Token] = []
            while line and depth:
                words.append(line.popleft())
                depth += words[-1].opens - words[-1].closes
            if not depth:
                words.pop()
            if self.imports(words, head.text[1:-1]):
                self.errors.add(words[0].error(f"snippet {head} imports itself", "remove this import"))
            elif words:
                lines.append(words)
            if not depth:
                self.statements.put_back(line)
                return lines
        self.braces.unclosed(head, brace)
        return lines

    def imports(self, words: list[Token], name: str) -> bool:
        if len(words) != 2 or words[0].quoted or words[0].text != "import":
            return False
        return expand(words[1], self.environ, self.warnings).text == name

    def directives(self, brace: Token | None) -> list[Directive]:
        """Read the directives up to the closing brace, or up to the end where there was no opening brace."""
        found: list[Directive] = []
        while (line := self.statements.next()) is not None:
            if line[0].closes:
                closing = line.popleft()
                self.statements.put_back(line)
                if brace is not None:
                    return found
                self.braces.unmatched(closing)
            elif line[0].opens:
                opening = line.popleft()
                self.braces.without_directive(opening)
                self.nested(opening, opening, line)
            elif (directive := self.directive(line)) is not None:
                found.append(directive)
        if brace is not None:
            self.braces.unclosed(brace, brace)
        return found

    def directive(self, line: deque[Token]) -> Directive | None:
        """Read the directive of this line; None where its braces are wrong, because its block would be misread."""
        words: list[Token] = []
        while line:
            token = line.popleft()
            if token.opens:
                return self.with_block(words, token, line)
            if token.closes:
                self.braces.not_on_own_line(token, words[-1])
                line.appendleft(token)
                self.statements.put_back(line)
                return Directive(self.expanded(words))
            if not words or not line:
                glued = self.braces.glued(token, is_name=not words)
                if glued is not None:
                    before, closing = glued
                    line.extendleft(closing)
                    return self.with_block([*words, *before], token, line)
            words.append(token)
        if (brace := self.opening_brace(self.statements.next())) is None:
            return Directive(self.expanded(words))
        self.braces.on_next_line(brace, words[0])
        return self.with_block(words, brace, deque())

    def with_block(self, words: list[Token], brace: Token, rest: deque[Token]) -> Directive | None:
        block = self.nested(words[0] if words else brace, brace, rest)
        return Directive(self.expanded(words), tuple(block)) if words and block is not None else None

    def nested(self, name: Token, brace: Token, rest: deque[Token]) -> list[Line] | None:
        """Read the lines of a directive's block; None where it contains blocks or is never closed."""
        lines: list[Line] = []
        is_flat = True
        depth = 1
        self.statements.put_back(rest)
        while (line := self.statements.next()) is not None:
            words: list[Token] = []
            while line and not (line[0].opens or line[0].closes):
                words.append(line.popleft())
            if depth == 1 and words:
                lines.append(Line(self.expanded(words)))
            if line and line[0].opens:
                self.braces.too_deep(line.popleft(), name, brace)
                is_flat = False
                depth += 1
            elif line:
                closing = line.popleft()
                if words:
                    self.braces.not_on_own_line(closing, words[-1])
                depth -= 1
                if not depth:
                    self.braces.after_closing(line, name)
                    return lines if is_flat else None
            self.statements.put_back(line)
        self.braces.unclosed(name, brace)
        return None

    def expanded(self, words: list[Token]) -> tuple[Token, ...]:
        return tuple([expand(word, self.environ, self.warnings) for word in words])


def _is_snippet_head(words: list[Token]) -> bool:
    """Return whether the only key is a word in parentheses."""
    if len(words) != 1 or words[0].quoted:
        return False
    text = words[0].text
    return len(text) > 1 and text[0] == "(" and text[-1] == ")"
