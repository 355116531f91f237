"""A parsed template: executed per query, and inspected beforehand for the data it reads and calls that must fail."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from clusterdns.gotemplate.errors import TemplateError, error_at
from clusterdns.gotemplate.functions import BUILTINS
from clusterdns.gotemplate.inspection import Inspection, Path, inspect
from clusterdns.gotemplate.parser import ParsedTemplate, read
from clusterdns.gotemplate.run import Run
from clusterdns.gotemplate.values import MAX_TEXT_BYTES, Function


class Template:
    """A template as made by `parse`; immutable, so that executions may share it."""

    def __init__(self, text: str, parsed: ParsedTemplate, functions: dict[str, Function]) -> None:
        self.text = text
        self._parsed = parsed
        self._functions = functions

    def execute(self, data: Mapping[str, Any]) -> str:
        """Return the text for this data. Raises TemplateFailed, also beyond the bounds of steps, depth and size."""
        return Run(self._parsed.definitions, self._functions, data).text(self._parsed.body)

    def fields(self) -> set[Path]:
        """Return the paths of the data that it reads: ("Name",), ("Group", "host"), ("Match", 1) for `index .Match 1`.

        All branches of an `if` count. Paths that are not known beforehand, such as the elements of a `range`, do not.
        """
        return set(self._inspection.fields)

    def faults(self) -> list[TemplateError]:
        """Return the errors that Go raises on every execution, such as wrong argument counts and `index "abc" 9`."""
        return [error_at(self.text, position, message) for position, message in sorted(self._inspection.faults.items())]

    @cached_property
    def _inspection(self) -> Inspection:
        return inspect(self._parsed, self._functions)


def parse(text: str, functions: Mapping[str, Callable[..., Any] | Function]) -> Template:
    """Parse a template that may call Go's built-in functions and these, which must be pure. Raises TemplateError.

    A function's arguments are checked against its annotations; for a wrong value it raises ValueError.
    """
    try:
        length = len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError as error:
        raise error_at(text, error.start, "unpaired surrogate") from None
    if length > MAX_TEXT_BYTES:
        raise TemplateError(1, 1, f"template of more than {MAX_TEXT_BYTES} bytes")
    known = dict(BUILTINS)
    for name, function in functions.items():
        known[name] = function if isinstance(function, Function) else Function.of(function)
    return Template(text, read(text, known), known)
