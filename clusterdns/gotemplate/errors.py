"""Errors of a template: in its text when the server starts, or in one execution."""


class TemplateError(Exception):
    """A text is not a template. Line and column count from 1, in characters of the template's own text."""

    def __init__(self, line: int, column: int, text: str) -> None:
        super().__init__(line, column, text)
        self.line = line
        self.column = column
        self.text = text

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.text}"


class TemplateFailed(Exception):
    """An execution has failed: a missing field, an index out of range, an exceeded limit."""


def error_at(text: str, position: int, message: str) -> TemplateError:
    """Make the error at an offset into the text."""
    line_start = text.rfind("\n", 0, position) + 1
    return TemplateError(text.count("\n", 0, position) + 1, position - line_start + 1, message)
