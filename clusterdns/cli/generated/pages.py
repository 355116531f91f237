"""What completion scripts and man pages say of each command: the table of commands with the help of each.

What a flag's value or an argument may be follows from the names that `--help` shows: COREFILE is a file, FOLDER a
folder.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from clusterdns.cli.commands import COMMANDS, help_of
from clusterdns.cli.flags import Flag, dashed
from clusterdns.cli.usage import CommandHelp

FILES, FOLDERS = frozenset({"COREFILE", "FILE", "PATH"}), frozenset({"FOLDER"})
HELP_TEXT = "Print this help."
SERVE = "serve"


class Values(NamedTuple):
    """What a value may be: one of some words, or a file or folder; else anything, of which nothing is completed."""

    words: tuple[str, ...] = ()
    is_file: bool = False
    is_folder: bool = False


class Parameter(NamedTuple):
    """One argument of a command, as in its usage."""

    name: str
    values: Values
    is_repeated: bool = False


class CommandPage(NamedTuple):
    """One command with its summary and help."""

    name: str
    summary: str
    help: CommandHelp

    @property
    def parameters(self) -> list[Parameter]:
        """The arguments, in order."""
        words = self.help.usage.split()[1:]
        return [parameter_of(word) for word in words if word != "[FLAGS]"]

    def dashed(self, name: str) -> str:
        """Write a flag's name as the help shows it."""
        return dashed(name, is_command=self.help.is_command)

    @property
    def help_flag(self) -> Flag[bool]:
        """The flag that each command has beside its own."""
        return Flag("help" if any("h" in flag.names for flag in self.help.flags) else "help h", HELP_TEXT, False)

    @property
    def flags(self) -> tuple[Flag[Any], ...]:
        """The flags, with that of the help."""
        return (*self.help.flags, self.help_flag)


def pages(names: Collection[str] = ()) -> list[CommandPage]:
    """Return the page of each command, or of some."""
    chosen = [row for row in COMMANDS if not names or row.name in names]
    return [CommandPage(row.name, row.summary, help_of(row.name)) for row in chosen]


def values_of(flag: Flag[Any]) -> Values:
    """Return what the value of a flag may be."""
    return Values(flag.words) if flag.words else _values(flag.value)


def parameter_of(word: str) -> Parameter:
    """Read an argument of a usage: NAME, [NAME], one|two, [PATH|PATTERN]..."""
    name = word.removesuffix("...").strip("[]")
    return Parameter(name, _values(name), word.endswith("..."))


def _values(name: str) -> Values:
    parts = name.split("|")
    words = tuple(row.name for row in COMMANDS) if "COMMAND" in parts else tuple(filter(str.islower, parts))
    return Values(words, not FILES.isdisjoint(parts), not FOLDERS.isdisjoint(parts))


def filled(script: str, parts: Mapping[str, str]) -> str:
    """Replace each `@NAME@` of a script by the part of this name."""
    return re.sub("@([A-Z]+)@", lambda found: parts[found[1]], script)
