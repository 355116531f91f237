"""A parsed template: execute it per query, or ask beforehand what it needs and where it can only fail."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from clusterdns.gotemplate.errors import TemplateError, error_at
from clusterdns.gotemplate.functions import BUILTINS
from clusterdns.gotemplate.inspection import Inspection, Path, inspect
from clusterdns.gotemplate.parser import Parsed, read
from clusterdns.gotemplate.run import Run
from clusterdns.gotemplate.values import MAX_TEXT_BYTES, Function


class Template:
    """Made by `parse`. Never changes, so that any number of executions may share it."""

    def __init__(self, text: str, parsed: Parsed, functions: dict[str, Function]) -> None:
        self.text = text
        self._parsed = parsed
        self._functions = functions

    def execute(self, data: Mapping[str, Any]) -> str:
        """The template's text for this data. Raises TemplateFailed, also past its bounds of time, depth and size."""
        return Run(self._parsed.definitions, self._functions, data).text(self._parsed.body)

    def fields(self) -> set[Path]:
        """The paths it asks of its data, such as ("Name",), ("Group", "host") and, for `index .Match 1`, ("Match", 1).

        A path counts even where an `if` may pass it by; what cannot be followed, such as the elements of a `range`, is
        left out.
        """
        return set(self._inspection.fields)

    def faults(self) -> list[TemplateError]:
        """What Go accepts but fails at whenever it is reached: a wrong number of arguments, `index "abc" 9`, …"""
        return [error_at(self.text, position, what) for position, what in sorted(self._inspection.faults.items())]

    @cached_property
    def _inspection(self) -> Inspection:
        return inspect(self._parsed, self._functions)


def parse(text: str, functions: Mapping[str, Callable[..., Any] | Function]) -> Template:
    """Parse a template that may call Go's built-ins and these functions, which must be pure.

    A function's arguments are checked against its annotations; it refuses them with ValueError. Raises TemplateError.
    """
    try:
        length = len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError as error:
        raise error_at(text, error.start, "half a surrogate pair") from None
    if length > MAX_TEXT_BYTES:
        raise TemplateError(1, 1, f"a template of more than {MAX_TEXT_BYTES} bytes")
    known = dict(BUILTINS)
    for name, function in functions.items():
        known[name] = function if isinstance(function, Function) else Function.of(function)
    return Template(text, read(text, known), known)
