"""Pipelines, commands and operands: the part of the parser that reads what an action contains.

Which names exist is checked here: functions, and variables by Go's scopes, which `parser` opens and closes.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TypeVar

from clusterdns.gotemplate import literals, tree
from clusterdns.gotemplate.errors import TemplateError, error_at
from clusterdns.gotemplate.lexer import TemplateToken, lex

MAX_DEPTH = 40  # of nested blocks and parentheses, because the parser and all that walk the tree recurse
_Read = TypeVar("_Read")
_WORDS: dict[str, tree.Operand] = {
    "dot": tree.Dot(),
    "nil": tree.Nil(),
    "true": tree.Constant(True, "true"),
    "false": tree.Constant(False, "false"),
}


class ExpressionParser:
    """The tokens of a template, the position in them, and the variables in scope."""

    def __init__(self, text: str, functions: Collection[str]) -> None:
        self.text = text
        self.functions = functions
        self.tokens = lex(text)
        self.index = 0
        self.variables = ["$"]
        self.depth = 0

    # Tokens

    @property
    def token(self) -> TemplateToken:
        return self.tokens[self.index]

    def take(self) -> TemplateToken:
        token = self.token
        self.index += token.kind != "eof"
        return token

    def take_if(self, kind: str) -> bool:
        if self.token.kind != kind:
            return False
        self.index += 1
        return True

    def expect(self, kind: str, context: str) -> TemplateToken:
        if self.token.kind != kind:
            raise self.unexpected(context)
        return self.take()

    def error(self, text: str, token: TemplateToken | None = None) -> TemplateError:
        """Make an error at this token, or at the next one to be read."""
        return error_at(self.text, (token or self.token).position, text)

    def unexpected(self, context: str) -> TemplateError:
        shown = {"eof": "end of the template", "text": "text"}.get(self.token.kind, f"'{self.token.text.strip()}'")
        return self.error(f"unexpected {shown} in {context}")

    def literal(self, read_literal: Callable[[str], _Read]) -> _Read:
        token = self.take()
        try:
            return read_literal(token.text)
        except ValueError as error:
            raise self.error(str(error), token) from None

    @contextmanager
    def nested(self) -> Iterator[None]:
        if self.depth == MAX_DEPTH:
            raise self.error(f"more than {MAX_DEPTH} nested blocks and parentheses")
        self.depth += 1
        yield
        self.depth -= 1

    # Pipelines, commands, operands

    def pipeline(self, context: str, end: str) -> tree.Pipeline:
        targets, assigns = self.targets(context)
        commands: list[tree.Command] = []
        while not self.take_if(end):
            position = self.token.position
            operands = self.command(context)
            if commands and isinstance(operands[0], tree.Constant | tree.Dot | tree.Nil):
                raise error_at(self.text, position, "a constant cannot take the value of the command before it")
            commands.append(tree.Command(operands[0], operands[1:], position))
        if not commands:
            raise error_at(self.text, self.tokens[self.index - 1].position, f"missing value for {context}")
        return tree.Pipeline(targets, assigns, tuple(commands))

    def targets(self, context: str) -> tuple[tuple[str, ...], bool]:
        """Read the variables that a pipeline sets; return whether it assigns (`=`) rather than declares (`:=`) them."""
        targets: list[str] = []
        while self.token.kind == "variable":
            following = self.tokens[self.index + 1].kind
            if following not in (":=", "=", ","):
                break
            name = self.take().text
            targets.append(name)
            self.variables.append(name)  # as in Go, in scope in its own pipeline already
            if self.take().kind != ",":
                return tuple(targets), following == "="
            if context != "range" or len(targets) > 1:
                raise self.error(f"too many variables in {context}")
            if self.token.kind not in ("variable", "close", ")"):
                raise self.unexpected("range, instead of a second variable")
        return tuple(targets), False

    def command(self, context: str) -> tuple[tree.Operand, ...]:
        operands: list[tree.Operand] = []
        while True:
            operand = self.operand()
            if operand is not None:
                operands.append(operand)
            elif not operands:
                raise self.unexpected(context)
            if self.token.kind in ("close", ")"):
                break
            if self.take_if("|"):
                break
            if operand is None or not self.token.spaced:
                raise self.unexpected(f"{context}, after an operand")
        return tuple(operands)

    def operand(self) -> tree.Operand | None:
        start = self.token
        operand = self.term()
        if operand is None:
            return None
        names: list[str] = []
        while self.token.kind == "field" and not self.token.spaced:
            names.append(self.take().text[1:])
        if not names:
            return operand
        match operand:
            case tree.Field():
                return tree.Field((*operand.names, *names))
            case tree.Variable():
                return tree.Variable(operand.name, (*operand.names, *names))
            case tree.Name() | tree.Pipeline():
                return tree.FieldChain(operand, tuple(names))
        raise self.error(f"'{start.text}' has no fields", start)

    def term(self) -> tree.Operand | None:
        token = self.token
        match token.kind:
            case "name":
                if token.text not in self.functions:
                    raise self.error(f"function {token.text!r} is not defined")
                return tree.Name(self.take().text)
            case "variable":
                if token.text not in self.variables:
                    raise self.error(f"variable {token.text!r} is not defined")
                return tree.Variable(self.take().text, ())
            case "field":
                return tree.Field((self.take().text[1:],))
            case "number":
                return tree.Constant(self.literal(literals.number), token.text)
            case "character":
                code = self.literal(literals.character)
                return tree.Constant(literals.Number(code, code, float(code)), token.text)
            case "string":
                return tree.Constant(self.literal(literals.string), token.text)
            case "(":
                self.take()
                with self.nested():
                    return self.pipeline("parentheses", ")")
        operand = _WORDS.get(token.kind)
        if operand is not None:
            self.take()
        return operand
