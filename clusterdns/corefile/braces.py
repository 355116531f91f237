"""Misplaced braces: the error for each, and the tokens with which the parser continues.

Where braces belong is decided by `parser`; every error here is added to the list, and parsing goes on.
"""

from collections import deque

from clusterdns.corefile.errors import CorefileWarning, ErrorList, shown
from clusterdns.corefile.imports import Statements
from clusterdns.corefile.lexer import Token


def glued_brace(text: str) -> tuple[str, bool] | None:
    """Split a brace off the end of a word: the part before it, and whether it is `{}`. None where there is none."""
    if text.endswith("{}"):
        return (text[:-2], True) if "{" not in text[:-2] else None
    # `{{` may end a template and `\{` a regular expression.
    if len(text) > 1 and text[-1] == "{" and text[-2] not in "{\\":
        return text[:-1], False
    return None


class BraceErrors:
    """Reports misplaced braces of the statements that one parser reads."""

    def __init__(self, statements: Statements, errors: ErrorList, warnings: list[CorefileWarning]) -> None:
        self._statements = statements
        self._errors = errors
        self._warnings = warnings

    def glued(self, token: Token, *, is_name: bool) -> tuple[list[Token], list[Token]] | None:
        """Report a brace that is part of a word; return the word before it, and the closing brace of `{}`.

        None where the word has no such brace, or where `is_name` is false and `x{}` or `{}` may be an argument: neither
        is likely to be a key or the name of a directive.
        """
        if token.quoted or (found := glued_brace(token.text)) is None:
            return None
        before, is_empty_block = found
        word = [token._replace(text=before)] if before else []
        if not is_empty_block:
            hint = f"put a space before the brace: {shown(f'{before} {{')}"
            self._errors.add(token.error(f"Unexpected '{{' at the end of {token}", hint))
            return word, []
        if not is_name:
            if not before:
                text = "'{}' is read as an argument, not as a block; for an empty block write '{ }'"
                self._warnings.append(CorefileWarning(token.file, token.line, text))
            return None
        hint = f"put a space before the brace and one inside: {shown(f'{before} {{ }}'.lstrip())}"
        self._errors.add(token.error(f"Unexpected {token}, which is a word, not a block", hint))
        return word, [token._replace(text="}")]

    def unmatched(self, closing: Token) -> None:
        """Report a closing brace without an opening one."""
        hint = "remove it, or look above for a block without its '{'"
        self._errors.add(closing.error("Unexpected '}' because no matching opening brace", hint))

    def not_on_own_line(self, closing: Token, before: Token) -> None:
        """Report a closing brace behind other words."""
        hint = f"put '}}' on a line of its own, after {before}"
        self._errors.add(closing.error("Unexpected '}' at the end of a line", hint))

    def after_closing(self, rest: deque[Token], name: Token) -> None:
        """Report words behind the brace that closes a directive's block; they are read as a line of their own."""
        if rest:
            text = f"Unexpected {rest[0]} after the '}}' that closes {name}"
            self._errors.add(rest[0].error(text, f"put {rest[0]} on a line of its own"))
            self._statements.put_back(rest)

    def without_directive(self, opening: Token) -> None:
        """Report an opening brace where a directive should be."""
        self._errors.add(opening.error("Unexpected '{' without a directive before it", "write '{' after its directive"))

    def on_next_line(self, opening: Token, name: Token) -> None:
        """Report a directive's opening brace on the line after it."""
        hint = f"put it at the end of the line of {name}, {name.place}"
        self._errors.add(opening.error("Unexpected '{' at the start of a line", hint))

    def too_deep(self, opening: Token, name: Token, outer: Token) -> None:
        """Report a block inside the block of the directive `name`, which `outer` opened."""
        text = f"Unexpected '{{': the block of {name}, opened at {outer.place}, cannot contain blocks"
        self._errors.add(opening.error(text, f"close the block of {name} before this line, or remove the braces"))

    def unclosed(self, owner: Token, opening: Token) -> None:
        """Report a block that is still open at the end of the file."""
        subject = f"the block of {owner}" if owner is not opening else "the server block"
        self.end_of_file(f"{subject} opened at {opening.place} is never closed", "add the missing '}'")

    def end_of_file(self, text: str, hint: str) -> None:
        """Report that the file ends too early, unless reading was given up before."""
        if (last := self._statements.last) is not None and not self._statements.stopped:
            self._errors.add(last.error(f"Unexpected EOF: {text}", hint))
