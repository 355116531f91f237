"""Inspection of a template without executing it: the data that it reads, and calls that must fail.

The tree is walked with paths in place of values: the dot begins as the empty path, `.Group.name` is a path of two, and
the result of a function other than `index` is unknown. All branches are walked, and definitions where invoked.
"""

from typing import NamedTuple

from clusterdns.gotemplate import tree
from clusterdns.gotemplate.errors import TemplateFailed
from clusterdns.gotemplate.functions import converted, invoke
from clusterdns.gotemplate.literals import Number
from clusterdns.gotemplate.parser import ParsedTemplate
from clusterdns.gotemplate.values import Function

Path = tuple[str | int, ...]
_Known = Path | None
_MAX_DOTS = 16


class Inspection(NamedTuple):
    """`fields`: paths from the root of the data. `faults`: errors of calls that must fail, by offset into the text."""

    fields: set[Path]
    faults: dict[int, str]


def inspect(parsed: ParsedTemplate, functions: dict[str, Function]) -> Inspection:
    """Walk the template and the definitions that it invokes, each once per path that its dot can have."""
    inspector = _Inspector(parsed, functions)
    bodies: list[tuple[tree.Body, _Known]] = [(parsed.body, ())]
    seen: set[tuple[str, _Known]] = set()
    while bodies:
        body, dot = bodies.pop()
        inspector.variables = [("$", dot)]
        inspector.walk(body, dot)
        bodies.extend((parsed.definitions[name], inner_dot) for name, inner_dot in inspector.invoked - seen)
        seen |= inspector.invoked
    return Inspection(inspector.fields, inspector.faults)


class _Inspector:
    """The variables and findings of one inspection."""

    def __init__(self, parsed: ParsedTemplate, functions: dict[str, Function]) -> None:
        self.definitions = parsed.definitions
        self.functions = functions
        self.variables: list[tuple[str, _Known]] = []
        self.fields: set[Path] = set()
        self.faults: dict[int, str] = {}
        self.invoked: set[tuple[str, _Known]] = set()

    def walk(self, body: tree.Body, dot: _Known) -> None:
        mark = len(self.variables)
        for statement in body:
            match statement:
                case tree.PipelineAction():
                    self.pipeline(statement.pipeline, dot)
                case tree.Branches():
                    scope = len(self.variables)
                    for condition, one in statement.branches:
                        value = self.pipeline(condition, dot)
                        self.walk(one, value if statement.sets_dot else dot)
                    self.walk(statement.otherwise, dot)
                    del self.variables[scope:]
                case tree.Range():
                    scope = len(self.variables)
                    self.pipeline(statement.pipeline, dot)
                    for name in statement.pipeline.targets:
                        self.variables.append((name, None))
                    self.walk(statement.body, None)
                    self.walk(statement.otherwise, dot)
                    del self.variables[scope:]
                case tree.Invoke():
                    self.invoke(statement, dot)
        del self.variables[mark:]

    def invoke(self, statement: tree.Invoke, dot: _Known) -> None:
        inner = None if statement.pipeline is None else self.pipeline(statement.pipeline, dot)
        if statement.name not in self.definitions:
            self.faults[statement.position] = f"template {statement.name!r} is not defined"
            return
        # A recursion may lengthen its path with every call, so after a few the dot counts as unknown.
        is_new = sum(name == statement.name for name, _ in self.invoked) < _MAX_DOTS
        self.invoked.add((statement.name, inner if is_new else None))

    def pipeline(self, pipeline: tree.Pipeline, dot: _Known) -> _Known:
        value: _Known = None
        for at, command in enumerate(pipeline.commands):
            value = self.command(command, dot, follows=at > 0)
        for name in pipeline.targets:
            if not pipeline.assigns:
                self.variables.append((name, value))
            elif any(known == name for known, _ in self.variables):
                # It is not known whether this is executed, so the variable is unknown from here on.
                self.variables = [(known, None if known == name else path) for known, path in self.variables]
            else:
                self.faults[pipeline.commands[0].position] = f"variable {name} is not defined here"
        return value

    def command(self, command: tree.Command, dot: _Known, follows: bool) -> _Known:
        head, position = command.head, command.position
        has_arguments = bool(command.arguments) or follows
        paths = [self.operand(one, dot, position) for one in command.arguments]
        if isinstance(head, tree.Name):
            self.call(head.name, command, follows)
            return self.indexed(paths, command.arguments) if head.name == "index" and not follows else None
        path = self.operand(head, dot, position)
        is_callable = isinstance(head, tree.Field | tree.FieldChain) or (isinstance(head, tree.Variable) and head.names)
        if isinstance(head, tree.Nil):
            self.faults[position] = "nil is not a command"
        elif has_arguments and not is_callable:
            self.faults[position] = "only a function or a method takes arguments"
        return None if has_arguments else path

    def operand(self, operand: tree.Operand, dot: _Known, position: int) -> _Known:
        match operand:
            case tree.Dot():
                return dot
            case tree.Field():
                return self.found(dot, operand.names)
            case tree.Variable():
                known = [path for name, path in self.variables if name == operand.name]
                if not known:
                    self.faults[position] = f"variable {operand.name} is not defined here"
                return self.found(known[-1] if known else None, operand.names)
            case tree.FieldChain():
                return self.found(self.operand(operand.operand, dot, position), operand.names)
            case tree.Name():
                self.call(operand.name, tree.Command(operand, (), position), follows=False)
            case tree.Pipeline():
                return self.pipeline(operand, dot)
        return None

    def found(self, path: _Known, names: tuple[str | int, ...]) -> _Known:
        if path is None:
            return None
        path = (*path, *names)
        if path:
            self.fields.add(path)
        return path

    def indexed(self, paths: list[_Known], arguments: tuple[tree.Operand, ...]) -> _Known:
        """Return the path that `index` leads to, as far as its keys are constants."""
        if not paths or paths[0] is None:
            return None
        keys: list[str | int] = []
        for one in arguments[1:]:
            constant = one.value if isinstance(one, tree.Constant) else None
            key = constant.value if isinstance(constant, Number) else constant
            if not isinstance(key, str | int) or isinstance(key, bool):
                self.found(paths[0], tuple(keys))
                return None
            keys.append(key)
        return self.found(paths[0], tuple(keys))

    def call(self, name: str, command: tree.Command, follows: bool) -> None:
        """Record the error of a call: its number of arguments, the types of constants, or a result that is an error."""
        function = self.functions[name]
        fault = function.arity_fault(name, len(command.arguments) + follows)
        if fault is not None:
            self.faults[command.position] = fault
            return
        values: list[object] = []
        try:
            for at, operand in enumerate(command.arguments):
                if isinstance(operand, tree.Constant | tree.Nil):
                    values.append(_constant(operand, function.parameter(at)))
            if len(values) == len(command.arguments) and not follows:
                invoke(function, name, values)
        except TemplateFailed as failed:
            self.faults[command.position] = str(failed)


def _constant(operand: tree.Constant | tree.Nil, wanted: type) -> object:
    if isinstance(operand, tree.Nil):
        return converted(None, wanted)
    value = operand.value
    if not isinstance(value, Number):
        return converted(value, wanted)
    if wanted is int and value.integer is not None:
        return value.integer
    if wanted is float:
        return value.real
    if value.value is None:
        raise TemplateFailed(f"{operand.source} overflows int")
    return converted(value.value, wanted)
