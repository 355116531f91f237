"""Tokens to a tree, accepting what Go's text/template accepts and refusing what it refuses.

Which names exist is checked here: functions, and variables by Go's scopes, which end with the `end` of their block.
Whether a call can succeed is not: Go finds that out when it gets there, and `inspection` says so beforehand.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from clusterdns.gotemplate import literals, tree
from clusterdns.gotemplate.errors import TemplateError, error_at
from clusterdns.gotemplate.lexer import Token, lex

MAX_DEPTH = 40  # blocks and parentheses inside each other; the parser and whoever walks the tree recurse
_Read = TypeVar("_Read")
_WORDS: dict[str, tree.Operand] = {
    "dot": tree.Dot(),
    "nil": tree.Nil(),
    "true": tree.Constant(True, "true"),
    "false": tree.Constant(False, "false"),
}


class Parsed(NamedTuple):
    """A template's own body and the definitions in it, by name."""

    body: tree.Body
    definitions: dict[str, tree.Body]


def read(text: str, functions: Collection[str]) -> Parsed:
    """Parse a template. Raises TemplateError."""
    parser = _Parser(text, functions)
    return Parsed(parser.main(), parser.definitions)


class _Parser:
    def __init__(self, text: str, functions: Collection[str]) -> None:
        self.text = text
        self.functions = functions
        self.tokens = lex(text)
        self.index = 0
        self.definitions: dict[str, tree.Body] = {}
        self.variables = ["$"]
        self.range_depth = 0
        self.depth = 0

    # Reading tokens

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def take(self) -> Token:
        token = self.token
        self.index += token.kind != "eof"
        return token

    def take_if(self, kind: str) -> bool:
        if self.token.kind != kind:
            return False
        self.index += 1
        return True

    def expect(self, kind: str, context: str) -> Token:
        if self.token.kind != kind:
            raise self.unexpected(context)
        return self.take()

    def fault(self, what: str, token: Token | None = None) -> TemplateError:
        return error_at(self.text, (token or self.token).position, what)

    def unexpected(self, context: str) -> TemplateError:
        shown = {"eof": "end of the template", "text": "text"}.get(self.token.kind, f"'{self.token.text.strip()}'")
        return self.fault(f"unexpected {shown} in {context}")

    def literal(self, read_literal: Callable[[str], _Read]) -> _Read:
        token = self.take()
        try:
            return read_literal(token.text)
        except ValueError as error:
            raise self.fault(str(error), token) from None

    @contextmanager
    def nested(self) -> Iterator[None]:
        if self.depth == MAX_DEPTH:
            raise self.fault(f"more than {MAX_DEPTH} blocks and parentheses inside each other")
        self.depth += 1
        yield
        self.depth -= 1

    # Bodies and statements

    def main(self) -> tree.Body:
        body: list[tree.Statement] = []
        while self.token.kind != "eof":
            if self.token.kind == "open" and self.tokens[self.index + 1].kind == "define":
                self.index += 2
                name = self.template_name("define")
                self.expect("close", "define")
                self.define(name)
            else:
                body.append(self.statement())
        return tuple(body)

    def body(self) -> tree.Body:
        """Statements up to the `else` or `end` of the block they are in, which is left to be read."""
        body: list[tree.Statement] = []
        while not (self.token.kind == "open" and self.tokens[self.index + 1].kind in ("else", "end")):
            if self.token.kind == "eof":
                raise self.fault("a block that does not end: '{{end}}' is missing")
            body.append(self.statement())
        self.index += 1
        return tuple(body)

    def end(self) -> None:
        self.expect("end", "a block, where only 'end' can follow")
        self.expect("close", "end")

    def statement(self) -> tree.Statement:
        token = self.take()
        if token.kind == "text":
            return tree.Text(token.text)
        first = self.token
        if first.kind in ("break", "continue"):
            self.take()
            self.expect("close", first.kind)
            if not self.range_depth:
                raise self.fault(f"{{{{{first.kind}}}}} outside {{{{range}}}}", first)
            return tree.Leave(again=first.kind == "continue")
        if first.kind in ("if", "with", "range", "block", "template"):
            self.take()
            with self.nested():
                return self.block_statement(first.kind)
        return tree.Action(self.pipeline("an action", "close"))

    def block_statement(self, kind: str) -> tree.Statement:
        if kind == "range":
            return self.range()
        if kind == "block":
            return self.block()
        return self.invoke(kind) if kind == "template" else self.branches(kind)

    def branches(self, kind: str) -> tree.Branches:
        scope = len(self.variables)
        branches: list[tuple[tree.Pipeline, tree.Body]] = []
        otherwise: tree.Body = ()
        while True:
            branches.append((self.pipeline(kind, "close"), self.body()))
            if not self.take_if("else"):
                break
            if not self.take_if(kind):
                self.expect("close", "else")
                otherwise = self.body()
                break
        self.end()
        del self.variables[scope:]
        return tree.Branches(kind == "with", tuple(branches), otherwise)

    def range(self) -> tree.Range:
        scope, position = len(self.variables), self.token.position
        pipeline = self.pipeline("range", "close")
        self.range_depth += 1
        body = self.body()
        self.range_depth -= 1
        otherwise: tree.Body = ()
        if self.take_if("else"):
            self.expect("close", "else")
            otherwise = self.body()
        self.end()
        del self.variables[scope:]
        return tree.Range(pipeline, body, otherwise, position)

    def template_name(self, context: str) -> str:
        if self.token.kind != "string":
            raise self.unexpected(f"{context}, where a name in quotes should stand")
        return self.literal(literals.string)

    def define(self, name: str) -> None:
        """Read a definition's body, in which neither the variables nor the loops around it are known."""
        outer = self.variables, self.range_depth
        self.variables, self.range_depth = ["$"], 0
        start = self.token
        body = self.body()
        self.end()
        self.variables, self.range_depth = outer
        if tree.is_blank(self.definitions.get(name, ())):
            self.definitions[name] = body
        elif not tree.is_blank(body):
            raise self.fault(f"a second definition of template {name!r}", start)

    def block(self) -> tree.Invoke:
        invoked = self.invoke("block")
        self.define(invoked.name)
        return invoked

    def invoke(self, kind: str) -> tree.Invoke:
        position = self.token.position
        name = self.template_name(kind)
        pipeline = None if kind == "template" and self.take_if("close") else self.pipeline(kind, "close")
        return tree.Invoke(name, pipeline, position)

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
        """The variables that a pipeline sets, and whether it assigns (`=`) and does not declare (`:=`)."""
        targets: list[str] = []
        while self.token.kind == "variable":
            following = self.tokens[self.index + 1].kind
            if following not in (":=", "=", ","):
                break
            name = self.take().text
            targets.append(name)
            self.variables.append(name)  # known in its own pipeline already, as in Go
            if self.take().kind != ",":
                return tuple(targets), following == "="
            if context != "range" or len(targets) > 1:
                raise self.fault(f"too many variables in {context}")
            if self.token.kind not in ("variable", "close", ")"):
                raise self.unexpected("range, where a second variable should stand")
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
                return tree.Chain(operand, tuple(names))
        raise self.fault(f"'{start.text}' has no fields", start)

    def term(self) -> tree.Operand | None:
        token = self.token
        match token.kind:
            case "name":
                if token.text not in self.functions:
                    raise self.fault(f"function {token.text!r} is not defined")
                return tree.Name(self.take().text)
            case "variable":
                if token.text not in self.variables:
                    raise self.fault(f"variable {token.text!r} is not defined")
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
