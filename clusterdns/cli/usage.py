"""The help of the program and of its commands, and how a wrong command line is answered.

`flags` reads the command line; the exit code of a wrong one is 2, as with Go's flag package and with kubectl. Shell
completions and man pages (`generated`) are made of the same `CommandHelp`.
"""

import sys
from collections.abc import Collection
from typing import Any, NamedTuple

from clusterdns.cli.flags import Flag, FlagError, Given, HelpAsked, dashed, read
from clusterdns.telemetry.printable import one_line

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


class CommandHelp(NamedTuple):
    """The help of a command: `usage` begins with its name, `about` says what it does, with examples and exit codes.

    The flags of a command have two dashes, those of the server one (`is_command` false).
    """

    usage: str
    about: str
    flags: tuple[Flag[Any], ...] = ()
    is_command: bool = True


def flag_lines(flags: Collection[Flag[Any]], *, is_command: bool) -> list[str]:
    """Write the flags as Go's flag package does, those of a command with two dashes, as kubectl does."""
    lines = []
    for flag in flags:
        names = ", ".join(dashed(name, is_command=is_command) for name in flag.names)
        lines += [f"  {names} {flag.value}".rstrip(), f"    \t{flag.text}"]
    return lines


def help_text(program: str, described: CommandHelp) -> str:
    """Write the help of a command, as `--help` prints it."""
    return "\n".join([
        described.about.rstrip(),
        "",
        "Usage:",
        f"  {program} {described.usage}",
        "",
        "Flags:",
        *flag_lines(described.flags, is_command=described.is_command),
    ])  # fmt: skip


def read_command(program: str, described: CommandHelp, arguments: Collection[str]) -> Given | int:
    """Read the command line of a command, or return the exit code where it asks for help or is wrong."""
    name = f"{program} {described.usage.partition(' ')[0]}"
    try:
        return read(tuple(arguments), described.flags, is_command=True)
    except HelpAsked:
        print(help_text(program, described))
        return EXIT_OK
    except FlagError as error:
        return wrong(name, str(error))


def wrong(name: str, text: str) -> int:
    """Report a wrong command line on standard error; returns the exit code."""
    print(f"{name}: {one_line(text)}\nRun '{name} --help' for usage.", file=sys.stderr)
    return EXIT_USAGE
