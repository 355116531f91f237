"""The command `man [COMMAND]`: it prints a man page, for `man -l` or for a folder of pages."""

from collections.abc import Sequence

from clusterdns.cli.commands import is_command, unknown
from clusterdns.cli.generated.pages import SERVE, pages
from clusterdns.cli.generated.roff import command_page, program_page
from clusterdns.cli.usage import CommandHelp, read_command, wrong

ABOUT = """Print the man page of the program, or of COMMAND, in roff.

Examples:
  man check | man -l -                                 read a page
  man > /usr/local/share/man/man1/clusterdns.1         install one"""
HELP = CommandHelp("man [COMMAND]", ABOUT)


def main(program: str, arguments: Sequence[str]) -> int:
    """Print a page; returns the exit code."""
    from clusterdns.cli.serve import print_line

    given = read_command(program, HELP, arguments)
    if isinstance(given, int):
        return given
    if len(given.arguments) > 1:
        return wrong(f"{program} man", f"unexpected argument '{given.arguments[1]}'")
    if given.arguments and not is_command(given.arguments[0]):
        return unknown(program, given.arguments[0])
    return print_line(page(program, *given.arguments).rstrip("\n"))


def page(program: str, name: str = "") -> str:
    """Write the page of a command, or of the program."""
    found = pages()
    by_name = {one.name: one for one in found}
    return command_page(program, by_name[name], found) if name else program_page(program, found, by_name[SERVE])
