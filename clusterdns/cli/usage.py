"""The help of the program and of its commands, and how a wrong command line is answered.

`flags` reads the command line; the exit code of a wrong one is 2, as with Go's flag package and with kubectl.
"""

import sys
from collections.abc import Collection
from typing import Any

from clusterdns.cli.flags import Flag, FlagError, Given, HelpAsked, dashed, read

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


def flag_lines(flags: Collection[Flag[Any]], *, is_command: bool) -> list[str]:
    """Write the flags as Go's flag package does, those of a command with two dashes, as kubectl does."""
    lines = []
    for flag in flags:
        names = ", ".join(dashed(name, is_command=is_command) for name in flag.names)
        lines += [f"  {names} {flag.value}".rstrip(), f"    \t{flag.text}"]
    return lines


def read_command(
    program: str, usage: str, about: str, flags: Collection[Flag[Any]], arguments: Collection[str]
) -> Given | int:
    """Read the command line of a command, or return the exit code where it asks for help or is wrong.

    `usage` begins with the command's name; `about` says what the command does.
    """
    name = f"{program} {usage.partition(' ')[0]}"
    try:
        return read(tuple(arguments), flags, is_command=True)
    except HelpAsked:
        lines = [
            about.rstrip(),
            "",
            "Usage:",
            f"  {program} {usage}",
            "",
            "Flags:",
            *flag_lines(flags, is_command=True),
        ]
        print("\n".join(lines))
        return EXIT_OK
    except FlagError as error:
        return wrong(name, str(error))


def wrong(name: str, text: str) -> int:
    """Report a wrong command line on standard error; returns the exit code."""
    print(f"{name}: {text}\nRun '{name} --help' for usage.", file=sys.stderr)
    return EXIT_USAGE
