"""Tokens to a tree, accepting what Go's text/template accepts and refusing what it refuses.

Statements and blocks are parsed here, the pipelines in them by `expressions`. Whether a call can succeed is not
checked: Go finds that out when it executes the call, and `inspection` reports it beforehand.
"""

from collections.abc import Collection
from typing import NamedTuple

from clusterdns.gotemplate import literals, tree
from clusterdns.gotemplate.expressions import ExpressionParser


class ParsedTemplate(NamedTuple):
    """The body of a template, and the definitions in it by name."""

    body: tree.Body
    definitions: dict[str, tree.Body]


def read(text: str, functions: Collection[str]) -> ParsedTemplate:
    """Parse a template that may call these functions. Raises TemplateError."""
    parser = _StatementParser(text, functions)
    return ParsedTemplate(parser.main(), parser.definitions)


class _StatementParser(ExpressionParser):
    """One pass over the tokens of a template."""

    def __init__(self, text: str, functions: Collection[str]) -> None:
        super().__init__(text, functions)
        self.definitions: dict[str, tree.Body] = {}
        self.range_depth = 0

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
        """Read statements up to the `else` or `end` of their block, which is read next."""
        body: list[tree.Statement] = []
        while not (self.token.kind == "open" and self.tokens[self.index + 1].kind in ("else", "end")):
            if self.token.kind == "eof":
                raise self.error("unclosed block: '{{end}}' is missing")
            body.append(self.statement())
        self.index += 1
        return tuple(body)

    def end(self) -> None:
        self.expect("end", "a block, instead of 'end'")
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
                raise self.error(f"{{{{{first.kind}}}}} outside {{{{range}}}}", first)
            return tree.Leave(again=first.kind == "continue")
        if first.kind in ("if", "with", "range", "block", "template"):
            self.take()
            with self.nested():
                return self.block_statement(first.kind)
        return tree.PipelineAction(self.pipeline("an action", "close"))

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
            raise self.unexpected(f"{context}, instead of a name in quotes")
        return self.literal(literals.string)

    def define(self, name: str) -> None:
        """Read the body of a definition, in which no variable or loop of the surrounding template is in scope."""
        outer = self.variables, self.range_depth
        self.variables, self.range_depth = ["$"], 0
        start = self.token
        body = self.body()
        self.end()
        self.variables, self.range_depth = outer
        if tree.is_blank(self.definitions.get(name, ())):
            self.definitions[name] = body
        elif not tree.is_blank(body):
            raise self.error(f"a second definition of template {name!r}", start)

    def block(self) -> tree.Invoke:
        invoked = self.invoke("block")
        self.define(invoked.name)
        return invoked

    def invoke(self, kind: str) -> tree.Invoke:
        position = self.token.position
        name = self.template_name(kind)
        pipeline = None if kind == "template" and self.take_if("close") else self.pipeline(kind, "close")
        return tree.Invoke(name, pipeline, position)
