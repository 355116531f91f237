"""Statements to server blocks. Every mistake is added to the error list and read past, so that the next is told too.

Structure comes from the words as written; variables are replaced after it is known, so no value can open a block. What
a directive means, and whether it exists, is not known here: see `checks` and the plugins.
"""

from collections import deque
from collections.abc import Mapping

from clusterdns.corefile.directive import Directive, Line, ServerBlock
from clusterdns.corefile.environment import expand
from clusterdns.corefile.errors import CorefileWarning, ErrorList, shown
from clusterdns.corefile.imports import Snippet, Statements
from clusterdns.corefile.keys import ServerKey, parse_key
from clusterdns.corefile.lexer import Token, glued_brace

NO_KEY = "this server block has no key"
KEY_HINT = "write '.' or a zone before '{'"


def parse_statements(
    statements: Statements, environ: Mapping[str, str], errors: ErrorList, warnings: list[CorefileWarning]
) -> tuple[ServerBlock, ...]:
    """The server blocks of the statements; what is wrong goes to the errors."""
    return tuple(_Parser(statements, environ, errors, warnings).blocks())


class _Parser:
    """One pass over the statements."""

    def __init__(
        self, statements: Statements, environ: Mapping[str, str], errors: ErrorList, warnings: list[CorefileWarning]
    ) -> None:
        self.statements = statements
        self.environ = environ
        self.errors = errors
        self.warnings = warnings

    def blocks(self) -> list[ServerBlock]:
        found: list[ServerBlock] = []
        while (line := self.statements.next()) is not None:
            first, last = line[0], line[-1]
            if first.closes:
                self.surplus_brace(line.popleft())
                self.statements.put_back(line)
                continue
            words, brace = self.keys(line)
            if _is_snippet_head(words):
                self.snippet(words[0], brace)
                continue
            if brace is None and found:
                hint = "write '{' there; only a file of one block may go without"
                self.errors.add(last.error(f"Unexpected line ending after {last}, expecting '{{'", hint))
            directives = tuple(self.directives(brace))
            if words:
                found.append(self.block(words, directives))
            else:
                told = f"{NO_KEY}, so it serves nothing and is ignored; {KEY_HINT}"
                self.warnings.append(CorefileWarning(first.file, first.line, told))
        return found

    def block(self, words: list[Token], directives: tuple[Directive, ...]) -> ServerBlock:
        keys: list[ServerKey] = []
        for word in words:
            with self.errors.collect():
                keys += parse_key(word, self.warnings)
        return ServerBlock(tuple(words), tuple(keys), directives)

    def keys(self, line: deque[Token]) -> tuple[list[Token], Token | None]:
        """The keys, variables replaced, and the brace after them, which may stand on the next line, or be absent."""
        words: list[Token] = []
        comma: Token | None = None
        while True:
            while line:
                token = line.popleft()
                if token.opens:
                    if comma is not None:
                        told = f"Expected another address but had '{{' - check for extra comma after {comma}"
                        self.errors.add(comma.error(told, "remove the comma, or name another zone"))
                    self.statements.put_back(line)
                    return words, token
                if token.closes:
                    self.surplus_brace(token)
                    continue
                if (glued := self.glued(token, is_name=True)) is not None:
                    before, closing = glued
                    words += [key for word in before for key in self.split_key(word)]
                    line.extendleft(closing)
                    self.statements.put_back(line)
                    return words, token
                words += self.split_key(token)
                comma = token if token.text.endswith(",") and not token.quoted else None
            following = self.statements.next()
            if comma is None:
                return words, self.brace_of(following)
            if following is None:
                self.unexpected_end(f"another key must follow {comma}", "remove the comma, or name another zone")
                return words, None
            line = following

    def brace_of(self, line: deque[Token] | None) -> Token | None:
        """The brace that opens this line; without one the line is read again as what it is."""
        if line is None:
            return None
        brace = line.popleft() if line[0].opens else None
        self.statements.put_back(line)
        return brace

    def split_key(self, token: Token) -> list[Token]:
        """Keys may be separated by commas as well; what a variable leaves empty is no key."""
        parts = [token] if token.quoted else [token._replace(text=part) for part in token.text.split(",")]
        return [word for part in parts if (word := expand(part, self.environ)).text]

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
            told = f"redeclaration of previously declared snippet {name}, at {known[name].head.place}"
            self.errors.add(head.error(told, "rename one of the two"))
        else:
            known[name] = Snippet(head, lines, sum(map(len, lines)))

    def snippet_lines(self, head: Token, brace: Token) -> list[list[Token]]:
        """Everything up to the brace that closes the snippet, imports unopened."""
        lines: list[list[Token]] = []
        depth = 1
        while (line := self.statements.next_unopened()) is not None:
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
        self.unclosed(head, brace)
        return lines

    def imports(self, words: list[Token], name: str) -> bool:
        if len(words) != 2 or words[0].quoted or words[0].text != "import":
            return False
        return expand(words[1], self.environ).text == name

    def directives(self, brace: Token | None) -> list[Directive]:
        """The directives up to the closing brace, or to the end where there was no opening one."""
        found: list[Directive] = []
        while (line := self.statements.next()) is not None:
            if line[0].closes:
                closing = line.popleft()
                self.statements.put_back(line)
                if brace is not None:
                    return found
                self.surplus_brace(closing)
            elif line[0].opens:
                opening = line.popleft()
                self.errors.add(
                    opening.error("Unexpected '{' without a directive before it", "write '{' after its directive")
                )
                self.nested(opening, opening, line)
            elif (directive := self.directive(line)) is not None:
                found.append(directive)
        if brace is not None:
            self.unclosed(brace, brace)
        return found

    def directive(self, line: deque[Token]) -> Directive | None:
        """The directive of this line; None where its braces are wrong, because then its block would be misread."""
        words: list[Token] = []
        while line:
            token = line.popleft()
            if token.opens:
                return self.with_block(words, token, line)
            if token.closes:
                self.errors.add(token.error(*_close_on_own_line(words[-1])))
                line.appendleft(token)
                self.statements.put_back(line)
                return Directive(self.expanded(words))
            if (not words or not line) and (glued := self.glued(token, is_name=not words)) is not None:
                before, closing = glued
                line.extendleft(closing)
                return self.with_block([*words, *before], token, line)
            words.append(token)
        following = self.statements.next()
        if (brace := self.brace_of(following)) is None:
            return Directive(self.expanded(words))
        hint = f"put it at the end of the line of {words[0]}, {words[0].place}"
        self.errors.add(brace.error("Unexpected '{' at the start of a line", hint))
        return self.with_block(words, brace, deque())

    def with_block(self, words: list[Token], brace: Token, rest: deque[Token]) -> Directive | None:
        block = self.nested(words[0] if words else brace, brace, rest)
        return Directive(self.expanded(words), tuple(block)) if words and block is not None else None

    def nested(self, name: Token, brace: Token, rest: deque[Token]) -> list[Line] | None:
        """The lines up to the brace that closes a directive's block; None where they nest deeper or never end."""
        lines: list[Line] = []
        sound = True
        depth = 1
        self.statements.put_back(rest)
        while (line := self.statements.next()) is not None:
            words: list[Token] = []
            while line and not (line[0].opens or line[0].closes):
                words.append(line.popleft())
            if depth == 1 and words:
                lines.append(Line(self.expanded(words)))
            if line and line[0].opens:
                told = f"Unexpected '{{': the block of {name}, opened at {brace.place}, holds no further blocks"
                hint = f"close the block of {name} before this line, or remove the braces"
                self.errors.add(line.popleft().error(told, hint))
                sound = False
                depth += 1
            elif line:
                closing = line.popleft()
                if words:
                    self.errors.add(closing.error(*_close_on_own_line(words[-1])))
                depth -= 1
                if not depth:
                    self.end_of_nested(name, line)
                    return lines if sound else None
            self.statements.put_back(line)
        self.unclosed(name, brace)
        return None

    def end_of_nested(self, name: Token, rest: deque[Token]) -> None:
        if rest:
            told = f"Unexpected {rest[0]} after the '}}' that closes {name}"
            self.errors.add(rest[0].error(told, f"put {rest[0]} on a line of its own"))
            self.statements.put_back(rest)

    def glued(self, token: Token, *, is_name: bool) -> tuple[list[Token], list[Token]] | None:
        """The word before a glued brace, and the closing one of `{}`; told as an error. None where nothing is glued.

        `x{}` and `{}` may be meant as arguments, but hardly as a key or a directive's name.
        """
        if token.quoted or (found := glued_brace(token.text)) is None:
            return None
        before, is_empty = found
        word = [token._replace(text=before)] if before else []
        if not is_empty:
            hint = f"put a blank before the brace: {shown(f'{before} {{')}"
            self.errors.add(token.error(f"Unexpected '{{' at the end of {token}", hint))
            return word, []
        if not is_name:
            if not before:
                told = "'{}' is an argument here and no block; put a blank into it: '{ }'"
                self.warnings.append(CorefileWarning(token.file, token.line, told))
            return None
        hint = f"put a blank before the brace and one inside: {shown(f'{before} {{ }}'.lstrip())}"
        self.errors.add(token.error(f"Unexpected {token}, which is one word and no block", hint))
        return word, [token._replace(text="}")]

    def surplus_brace(self, brace: Token) -> None:
        hint = "remove it, or look above for a block without its '{'"
        self.errors.add(brace.error("Unexpected '}' because no matching opening brace", hint))

    def unclosed(self, owner: Token, brace: Token) -> None:
        subject = f"the block of {owner}" if owner is not brace else "the server block"
        self.unexpected_end(f"{subject} opened at {brace.place} is never closed", "add the missing '}'")

    def unexpected_end(self, told: str, hint: str) -> None:
        if (last := self.statements.last) is not None and not self.statements.stopped:
            self.errors.add(last.error(f"Unexpected EOF: {told}", hint))

    def expanded(self, words: list[Token]) -> tuple[Token, ...]:
        return tuple([expand(word, self.environ) for word in words])


def _close_on_own_line(before: Token) -> tuple[str, str]:
    return "Unexpected '}' at the end of a line", f"put '}}' on a line of its own, after {before}"


def _is_snippet_head(words: list[Token]) -> bool:
    """One word in parentheses."""
    if len(words) != 1 or words[0].quoted:
        return False
    text = words[0].text
    return len(text) > 1 and text[0] == "(" and text[-1] == ")"
