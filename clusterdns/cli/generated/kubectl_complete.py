"""The program `kubectl_complete-dns`, which kubectl runs for `kubectl dns <TAB>` where it is on PATH.

Its arguments are the words after `dns`, the last one perhaps empty; it prints what may stand in its place, a line each
with a description after a tab, and then a directive of kubectl's library (cobra) as `:NUMBER`.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from clusterdns.cli.commands import COMMANDS, KUBECTL_COMMANDS
from clusterdns.cli.generated.pages import CommandPage, Values, pages, values_of

FILES, NO_FILES = 0, 4  # directives: the shell completes files too, or it does not


class Offered(NamedTuple):
    """What may be completed: words with descriptions, and the directive."""

    words: Sequence[tuple[str, str]]
    directive: int = NO_FILES


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the completions of a command line."""
    offered = complete(sys.argv[1:] if arguments is None else arguments)
    lines = [f"{word}\t{text}" if text else word for word, text in offered.words]
    print("\n".join([*lines, f":{offered.directive}"]))


def complete(words: Sequence[str]) -> Offered:
    """Complete the last word."""
    *before, current = words or ("",)
    if not before:
        rows = (row for row in COMMANDS if row.name in KUBECTL_COMMANDS)
        return Offered(list(_beginning(current, ((row.name, row.summary) for row in rows))))
    command = next(iter(pages((before[0],))), None) if before[0] in KUBECTL_COMMANDS else None
    if command is None:
        return Offered(())
    position, due = 1, None
    for word in before[1:]:
        if due is not None:
            due = None
        elif len(word) > 1 and word[0] == "-":
            due = _value(command, word) if "=" not in word else None
        else:
            position += 1
    return _last(command, current, position, due)


def _last(command: CommandPage, current: str, position: int, due: Values | None) -> Offered:
    """Complete the last word as the value of the flag before it, as a flag, or as an argument."""
    flag, equals, text = current.partition("=")
    if due is not None:
        return _offered(due, current)
    if current[:1] == "-" and equals:
        return _offered(_value(command, flag) or Values(("true", "false")), text)  # kubectl keeps what is before `=`
    if current[:1] == "-":
        flags = ((command.dashed(name), one.text) for one in command.flags for name in one.names)
        return Offered(list(_beginning(current, flags)))
    parameters = command.parameters
    if not parameters or (position > len(parameters) and not parameters[-1].is_repeated):
        return Offered(())
    return _offered(parameters[min(position, len(parameters)) - 1].values, current)


def _value(command: CommandPage, word: str) -> Values | None:
    """Return what the value of a flag may be; None for a switch, and for one that the command does not have."""
    name = word.lstrip("-")
    return next((values_of(flag) for flag in command.flags if name in flag.names and flag.value), None)


def _offered(values: Values, current: str) -> Offered:
    if values.words:
        return Offered(list(_beginning(current, ((word, "") for word in values.words))))
    return Offered((), FILES if values.is_file or values.is_folder else NO_FILES)


def _beginning(current: str, words: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return ((word, " ".join(text.split())) for word, text in words if word.startswith(current))
