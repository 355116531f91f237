"""One execution of a template: its statements are executed in order, and their output is collected.

Every statement and every iteration is a step, which `evaluation` counts and limits.
"""

import enum
from collections.abc import Iterator, Mapping
from typing import Any

from clusterdns.gotemplate import tree
from clusterdns.gotemplate.errors import TemplateFailed
from clusterdns.gotemplate.evaluation import BYTES_PER_STEP, Evaluator
from clusterdns.gotemplate.fmt.printing import PLAIN, render, sorted_keys
from clusterdns.gotemplate.values import MAX_TEXT_BYTES, MISSING, Fields, Function, Unsigned, is_true, type_name, whole


class _Leaving(enum.Enum):
    """The statement that has ended a body early."""

    BREAK = enum.auto()
    CONTINUE = enum.auto()


class Run(Evaluator):
    """The state of one execution."""

    def __init__(self, definitions: Mapping[str, tree.Body], functions: Mapping[str, Function], data: Any) -> None:
        super().__init__(functions, data)
        self.definitions = definitions
        self.pieces: list[str] = []
        self.characters = 0

    def text(self, body: tree.Body) -> str:
        """Execute the body and return its output."""
        self.walk(body, self.variables[0][1])
        return whole("".join(self.pieces))

    def write(self, text: str) -> None:
        self.pieces.append(text)
        self.characters += len(text)
        if self.characters > MAX_TEXT_BYTES:
            raise TemplateFailed(f"more than {MAX_TEXT_BYTES} bytes")

    def walk(self, body: tree.Body, dot: Any) -> _Leaving | None:
        self.descend()
        leaving = None
        for statement in body:
            self.spend(1)
            match statement:
                case tree.Text():
                    self.write(statement.text)
                case tree.PipelineAction():
                    value = self.evaluate(statement.pipeline, dot)
                    if not statement.pipeline.targets:
                        self.print(value)
                case tree.Branches():
                    leaving = self.branch(statement, dot)
                case tree.Range():
                    self.loop(statement, dot)
                case tree.Invoke():
                    self.include(statement, dot)
                case tree.Leave():
                    leaving = _Leaving.CONTINUE if statement.again else _Leaving.BREAK
            if leaving is not None:
                break
        self.depth -= 1
        return leaving

    def print(self, value: Any) -> None:
        if value is MISSING:
            self.write("<no value>")
        elif type(value) is str:
            self.write(value)
        elif callable(value) or isinstance(value, Function):
            raise TemplateFailed("cannot print a function")
        else:
            text = render(value, "v", PLAIN)
            self.spend(len(text) // BYTES_PER_STEP)
            self.write(text)

    def branch(self, branches: tree.Branches, dot: Any) -> _Leaving | None:
        mark = len(self.variables)
        body, body_dot = branches.otherwise, dot
        for condition, one in branches.branches:
            value = self.evaluate(condition, dot)
            if is_true(value):
                body, body_dot = one, value if branches.sets_dot else dot
                break
        leaving = self.walk(body, body_dot)
        del self.variables[mark:]
        return leaving

    def loop(self, loop: tree.Range, dot: Any) -> None:
        mark = len(self.variables)
        targets = loop.pipeline.targets
        collection = self.evaluate(loop.pipeline, dot)
        inner = len(self.variables)
        ran = False
        for key, element in self.elements(collection, len(targets)):
            ran = True
            self.spend(1)
            values = (key, element) if len(targets) == 2 else (element,)
            for at, (name, value) in enumerate(zip(targets, values, strict=False)):
                if loop.pipeline.assigns:
                    self.assign(name, value)
                else:
                    self.variables[inner - len(targets) + at] = (name, value)
            leaving = self.walk(loop.body, element)
            del self.variables[inner:]
            if leaving is _Leaving.BREAK:
                break
        if not ran:
            self.walk(loop.otherwise, dot)
        del self.variables[mark:]

    def elements(self, collection: Any, variables: int) -> Iterator[tuple[Any, Any]]:
        if collection is None or collection is MISSING:
            return iter(())
        match collection:
            case bool() | str() | float() | Fields():
                pass
            case int():
                if variables > 1:
                    raise TemplateFailed("range over an integer takes one variable")
                bits = collection.bits if isinstance(collection, Unsigned) else 0
                return ((MISSING, Unsigned(one, bits) if bits else one) for one in range(collection))
            case list() | tuple():
                return iter(enumerate(collection))
            case Mapping():
                return ((key, collection[key]) for key in sorted_keys(collection))
        raise TemplateFailed(f"cannot range over {type_name(collection)}")

    def include(self, statement: tree.Invoke, dot: Any) -> None:
        body = self.definitions.get(statement.name)
        if body is None:
            raise TemplateFailed(f"template {statement.name!r} is not defined")
        inner_dot = MISSING if statement.pipeline is None else self.evaluate(statement.pipeline, dot)
        outer, self.variables = self.variables, [("$", inner_dot)]
        self.walk(body, inner_dot)
        self.variables = outer
