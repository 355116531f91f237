"""What can be wrong with a Corefile, and how it is told: `file:line: what is wrong; the hint`.

Every reader of the Corefile, from the lexer to a plugin's `parse`, raises `CorefileError`; whoever reads several things
in a row keeps an `ErrorList` and reads each under `collect()`, so that one mistake does not hide the next. A warning is
for what CoreDNS accepts in silence and nobody means; warnings are handed back to the caller, never logged here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

# More would not be read by anyone, and a file of a million stray braces must not cost a gigabyte.
MAX_ERRORS = 200
_MAX_SHOWN_CHARACTERS = 60


def shown(text: str) -> str:
    """A word as messages quote it: shortened where it is long."""
    if len(text) > _MAX_SHOWN_CHARACTERS:
        text = text[: _MAX_SHOWN_CHARACTERS - 1] + "…"
    return f"'{text}'"


def _one_line(text: str) -> str:
    """The text with everything that would break the line or the terminal written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _place(file: str, line: int) -> str:
    return f"{file}:{line}" if line else file


class CorefileError(Exception):
    """One mistake: where it is, what it is and what to do. Line 0 is the file as a whole."""

    def __init__(self, file: str, line: int, text: str, hint: str = "") -> None:
        super().__init__(file, line, text, hint)
        self.file = file
        self.line = line
        self.text = text
        self.hint = hint

    @property
    def place(self) -> str:
        """`file:line`, as other messages name this place."""
        return _place(self.file, self.line)

    def __str__(self) -> str:
        return _one_line(f"{self.place}: {self.text}" + (f"; {self.hint}" if self.hint else ""))


class CorefileErrors(Exception):
    """Several mistakes, told at once: one per line."""

    def __init__(self, errors: tuple[CorefileError, ...], left_out: int = 0) -> None:
        super().__init__(errors, left_out)
        self.errors = errors
        self.left_out = left_out

    def __str__(self) -> str:
        lines = [str(error) for error in self.errors]
        if self.left_out:
            lines.append(f"… and {self.left_out} more errors")
        return "\n".join(lines)


class CorefileWarning(NamedTuple):
    """Something that works, but hardly as meant."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return _one_line(f"{_place(self.file, self.line)}: {self.text}")


class ErrorList:
    """The mistakes found so far, each once; a snippet imported five times is wrong in one place.

    Written by whoever reads a Corefile, read once at the end through `raise_if_any`.
    """

    def __init__(self) -> None:
        self.errors: list[CorefileError] = []
        self.left_out = 0
        self._seen: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self.errors)

    @property
    def is_full(self) -> bool:
        """Whether further errors are only counted, so that making a hint is wasted."""
        return len(self.errors) >= MAX_ERRORS

    def add(self, error: CorefileError) -> None:
        """Keep the error, unless the same text is kept already or `MAX_ERRORS` are."""
        if self.is_full:
            self.left_out += 1
        elif (text := str(error)) not in self._seen:
            self._seen.add(text)
            self.errors.append(error)

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Keep what the body raises as CorefileError or CorefileErrors, and go on after it."""
        try:
            yield
        except CorefileError as error:
            self.add(error)
        except CorefileErrors as several:
            for one in several.errors:
                self.add(one)
            self.left_out += several.left_out

    def raise_if_any(self) -> None:
        """Raise everything kept as one CorefileErrors, file by file, from the first line to the last."""
        if self.errors:
            files = {file: number for number, file in enumerate(dict.fromkeys(error.file for error in self.errors))}
            ordered = sorted(self.errors, key=lambda error: (files[error.file], error.line))
            raise CorefileErrors(tuple(ordered), self.left_out)
