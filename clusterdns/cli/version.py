"""`clusterdns version`: the version, as `-version` prints it."""

from collections.abc import Sequence

from clusterdns.cli.usage import CommandHelp, read_command, wrong
from clusterdns.version import banner

ABOUT = """Print the name, the version, the platform and Python's.

Examples:
  version
  clusterdns -version    the same, as CoreDNS has it"""
HELP = CommandHelp("version", ABOUT)


def main(program: str, arguments: Sequence[str]) -> int:
    """Print the version; returns the exit code."""
    from clusterdns.cli.serve import print_line

    given = read_command(program, HELP, arguments)
    if isinstance(given, int):
        return given
    if given.arguments:
        return wrong(f"{program} version", f"unexpected argument '{given.arguments[0]}'")
    return print_line(banner())
