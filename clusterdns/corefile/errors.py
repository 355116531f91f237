"""Errors and warnings of a Corefile, written as `file:line: what is wrong; hint`.

Every reader of the Corefile, from the lexer to a plugin's `parse`, raises `CorefileError`. A reader of several things
in a row has an `ErrorList` and reads each under `collect()`, so that one mistake does not hide the next. A warning is
for text that CoreDNS accepts although it is probably a mistake; warnings are returned to the caller, not logged here.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from clusterdns.telemetry.printable import one_line

# More would be of no use to a reader, and a file of a million stray braces would cost a gigabyte of memory.
MAX_ERRORS = 200
_MAX_SHOWN_CHARACTERS = 60
_MAX_WORD_CHARACTERS = 64  # longer than any directive or option; the cost of a distance grows with the word
_MIN_PREFIX_CHARACTERS = 3
_TWO_EDITS_FROM_CHARACTERS = 6
_MAX_LISTED = 12
_MAX_IMPORTS = 4  # shown of a chain, the last one included


def shown(text: str) -> str:
    """Quote a word for a message, shortened where it is long."""
    if len(text) > _MAX_SHOWN_CHARACTERS:
        text = text[: _MAX_SHOWN_CHARACTERS - 1] + "…"
    return f"'{text}'"


def nearest(word: str, known: Collection[str]) -> str | None:
    """Return the known word that this one was probably meant to be; None where none is close.

    Close is a word that it begins, alone among the known ones, or a word at a distance of one edit, of two from six
    characters on: a letter more, less or other, or two neighbours exchanged.
    """
    if not 1 < len(word) <= _MAX_WORD_CHARACTERS:
        return None
    word = word.lower()
    begun = [one for one in known if one.lower().startswith(word)] if len(word) >= _MIN_PREFIX_CHARACTERS else []
    if len(begun) == 1:
        return begun[0]
    limit = 1 if len(word) < _TWO_EDITS_FROM_CHARACTERS else 2
    distances = ((_distance(word, one.lower()), one) for one in known if abs(len(one) - len(word)) <= limit)
    distance, found = min(distances, default=(limit + 1, ""))
    return found if distance <= limit else None


def _distance(first: str, second: str) -> int:
    """Count the edits from one word to the other (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, a in enumerate(first):
        last, before, row = before, row, [i + 1]
        for j, b in enumerate(second):
            cost = min(before[j] + (a != b), before[j + 1] + 1, row[j] + 1)
            if i and j and a == second[j - 1] and first[i - 1] == b:
                cost = min(cost, last[j - 1] + 1)
            row.append(cost)
    return row[-1]


def hint_for(word: str, known: Collection[str], otherwise: str = "") -> str:
    """Make the hint for an unknown word: the closest known word, or a short list of all, or `otherwise`."""
    if (near := nearest(word, known)) is not None:
        return f"did you mean {shown(near)}?"
    if known and len(known) <= _MAX_LISTED:
        return f"known: {', '.join(sorted(known))}"
    return otherwise


def _place(file: str, line: int) -> str:
    return f"{file}:{line}" if line else file


class CorefileError(Exception):
    """One mistake: its place, what is wrong, and a hint. Line 0 stands for the file as a whole.

    `imported_at` are the places of the imports by which the line is read, that of the main file last.
    """

    def __init__(self, file: str, line: int, text: str, hint: str = "", imported_at: tuple[str, ...] = ()) -> None:
        super().__init__(file, line, text, hint, imported_at)
        self.file = file
        self.line = line
        self.text = text
        self.hint = hint
        self.imported_at = imported_at

    @property
    def place(self) -> str:
        """`file:line`, for other messages that refer to this place."""
        return _place(self.file, self.line)

    @property
    def in_its_file(self) -> str:
        """The error without the imports by which its line is read."""
        return one_line(f"{self.place}: {self.text}" + (f"; {self.hint}" if self.hint else ""))

    def __str__(self) -> str:
        places = self.imported_at
        if not places:
            return self.in_its_file
        if len(places) > _MAX_IMPORTS:
            places = (*places[: _MAX_IMPORTS - 1], "…", places[-1])
        return f"{self.in_its_file} (imported at {one_line(', '.join(places))})"


class CorefileErrors(Exception):
    """Several mistakes, one per line."""

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
    """Something that is accepted, but is probably a mistake. Line 0 stands for the file as a whole."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return one_line(f"{_place(self.file, self.line)}: {self.text}")


class ErrorList:
    """The mistakes found so far, each once, because a snippet that is imported five times is wrong in one place.

    The readers of a Corefile add to it; `raise_if_any` ends the reading.
    """

    def __init__(self) -> None:
        self.errors: list[CorefileError] = []
        self.left_out = 0
        self._seen: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self.errors)

    @property
    def is_full(self) -> bool:
        """Whether further errors are only counted, so that looking for a hint is wasted time."""
        return len(self.errors) >= MAX_ERRORS

    def add(self, error: CorefileError) -> None:
        """Add the error, unless its text is in the list or `MAX_ERRORS` are; those are counted."""
        if self.is_full:
            self.left_out += 1
        elif (text := error.in_its_file) not in self._seen:
            self._seen.add(text)
            self.errors.append(error)

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Add the CorefileError or CorefileErrors that the body raises, and continue after it."""
        try:
            yield
        except CorefileError as error:
            self.add(error)
        except CorefileErrors as several:
            for one in several.errors:
                self.add(one)
            self.left_out += several.left_out

    def raise_if_any(self) -> None:
        """Raise all errors as one CorefileErrors, ordered by file and line."""
        if self.errors:
            files = {file: number for number, file in enumerate(dict.fromkeys(error.file for error in self.errors))}
            ordered = sorted(self.errors, key=lambda error: (files[error.file], error.line))
            raise CorefileErrors(tuple(ordered), self.left_out)
