"""Evaluation of pipelines over the data, within bounds of steps and depth.

Every command is a step, and so are every BYTES_PER_STEP bytes of text; depth counts nested blocks, parentheses and
templates. Exceeding a bound raises TemplateFailed, as does every error of Go. `run` adds the statements.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from clusterdns.gotemplate import tree
from clusterdns.gotemplate.errors import TemplateFailed
from clusterdns.gotemplate.functions import all_true, any_true, converted, invoke
from clusterdns.gotemplate.literals import Number
from clusterdns.gotemplate.values import ABSENT, MISSING, Fields, Function, is_true, type_name

MAX_STEPS = 10_000  # 25 to 200 ms measured; an answer of 100 records takes some 700
MAX_DEPTH = 80  # at most six Python frames each, of 1,000
BYTES_PER_STEP = 16


class Evaluator:
    """The variables of one execution, and the rest of its bounds."""

    def __init__(self, functions: Mapping[str, Function], data: Any) -> None:
        self.functions = functions
        self.variables: list[tuple[str, Any]] = [("$", data)]
        self.steps_left = MAX_STEPS
        self.depth = 0

    def spend(self, steps: int) -> None:
        self.steps_left -= steps
        if self.steps_left < 0:
            raise TemplateFailed(f"more than {MAX_STEPS} steps")

    def spend_text(self, values: Iterable[Any]) -> None:
        for value in values:
            if isinstance(value, str):
                self.spend(len(value) // BYTES_PER_STEP)

    def descend(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TemplateFailed(f"blocks, parentheses and templates more than {MAX_DEPTH} deep")

    def evaluate(self, pipeline: tree.Pipeline, dot: Any) -> Any:
        value: Any = ABSENT
        for command in pipeline.commands:
            self.spend(1)
            value = self.command(command, dot, value)
            if value is None:
                value = MISSING
        for name in pipeline.targets:
            if pipeline.assigns:
                self.assign(name, value)
            else:
                self.variables.append((name, value))
        return value

    def assign(self, name: str, value: Any) -> None:
        for at in range(len(self.variables) - 1, -1, -1):
            if self.variables[at][0] == name:
                self.variables[at] = (name, value)
                return
        raise TemplateFailed(f"variable {name} is not defined here")

    def variable(self, name: str) -> Any:
        for known, value in reversed(self.variables):
            if known == name:
                return value
        raise TemplateFailed(f"variable {name} is not defined here")

    def command(self, command: tree.Command, dot: Any, final: Any) -> Any:
        head = command.head
        match head:
            case tree.Field():
                return self.chain(dot, head.names, dot, command.arguments, final)
            case tree.FieldChain():
                return self.chain(self.value(head.operand, dot), head.names, dot, command.arguments, final)
            case tree.Variable() if head.names:
                return self.chain(self.variable(head.name), head.names, dot, command.arguments, final)
            case tree.Name():
                return self.function(head.name, command.arguments, dot, final)
        if command.arguments or final is not ABSENT:
            raise TemplateFailed("only a function or a method takes arguments")
        if isinstance(head, tree.Nil):
            raise TemplateFailed("nil is not a command")
        return self.value(head, dot)

    def value(self, operand: tree.Operand, dot: Any) -> Any:
        """Evaluate an operand where any type is accepted."""
        match operand:
            case tree.Dot():
                return dot
            case tree.Nil():
                return None
            case tree.Constant():
                constant = operand.value
                if isinstance(constant, Number):
                    if constant.value is None:
                        raise TemplateFailed(f"{operand.source} overflows int")
                    return constant.value
                return constant
            case tree.Field():
                return self.chain(dot, operand.names, dot, (), ABSENT)
            case tree.Variable():
                value = self.variable(operand.name)
                return self.chain(value, operand.names, dot, (), ABSENT) if operand.names else value
            case tree.Name():
                return self.function(operand.name, (), dot, ABSENT)
            case tree.FieldChain():
                return self.chain(self.value(operand.operand, dot), operand.names, dot, (), ABSENT)
        self.descend()
        value = self.evaluate(operand, dot)
        self.depth -= 1
        return value

    def argument(self, operand: tree.Operand, dot: Any, wanted: type) -> Any:
        """Evaluate an operand as an argument; a numeric constant takes the type of the parameter."""
        if isinstance(operand, tree.Constant) and isinstance(operand.value, Number):
            if wanted is int and operand.value.integer is not None:
                return operand.value.integer
            if wanted is float:
                return operand.value.real
        return converted(self.value(operand, dot), wanted)

    def function(self, name: str, operands: tuple[tree.Operand, ...], dot: Any, final: Any) -> Any:
        function = self.functions[name]
        if function.call is not all_true and function.call is not any_true:
            return self.call(function, name, operands, dot, final)
        if not operands and final is ABSENT:
            raise TemplateFailed(f"{name} takes at least 1 argument")
        value: Any = None
        for operand in operands:
            value = converted(self.value(operand, dot), object)
            if is_true(value) is (function.call is any_true):
                return value
        return value if final is ABSENT else final

    def call(self, function: Function, name: str, operands: tuple[tree.Operand, ...], dot: Any, final: Any) -> Any:
        count = len(operands) + (final is not ABSENT)
        fault = function.arity_fault(name, count)
        if fault is not None:
            raise TemplateFailed(fault)
        arguments = [self.argument(one, dot, function.parameter(at)) for at, one in enumerate(operands)]
        if final is not ABSENT:
            arguments.append(converted(final, function.parameter(count - 1)))
        self.spend_text(arguments)
        result = invoke(function, name, arguments)
        self.spend_text((result,))
        return result

    def chain(
        self, value: Any, names: tuple[str, ...], dot: Any, operands: tuple[tree.Operand, ...], final: Any
    ) -> Any:
        """Follow field names from a value; the last one, if it is a method, is called with the arguments."""
        for name in names[:-1]:
            value = self.field(value, name, dot, (), ABSENT)
        return self.field(value, names[-1], dot, operands, final)

    def field(self, value: Any, name: str, dot: Any, operands: tuple[tree.Operand, ...], final: Any) -> Any:
        if value is MISSING:
            return MISSING
        if not isinstance(value, Mapping):
            raise TemplateFailed(f"no field {name} in {type_name(value)}")
        found = value.get(name, MISSING)
        if isinstance(value, Fields):
            if found is MISSING:
                raise TemplateFailed(f"no field {name} in {value.type_name}")
            if callable(found):
                found = Function.of(found)
            if isinstance(found, Function):
                return self.call(found, name, operands, dot, final)
        if operands or final is not ABSENT:
            raise TemplateFailed(f"{name} takes no arguments: it is not a method")
        return found
