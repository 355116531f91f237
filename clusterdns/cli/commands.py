"""The commands beside the server: a table of name, summary and module.

A module of the table has `main(program, arguments)`, which returns the exit code, and `HELP`, with whose flags it reads
them (`usage.read_command`); it is imported when its command is run. A new command is a module and a row.
"""

import importlib
import sys
from collections.abc import Collection, Sequence
from typing import NamedTuple

from clusterdns.cli.usage import EXIT_OK, EXIT_USAGE, CommandHelp
from clusterdns.corefile.errors import nearest
from clusterdns.telemetry.printable import one_line


class CommandRow(NamedTuple):
    """One command; `module` is in this package."""

    name: str
    module: str
    summary: str


COMMANDS = (
    CommandRow("check", "check.command", "Report the errors and warnings of a Corefile, or of the ConfigMap it is in"),
    CommandRow("completion", "generated.completion", "Print the completion script of a shell: bash, zsh or fish"),
    CommandRow(
        "config", "config.command", "Print the effective Corefile: imports and variables replaced, with origins"
    ),
    CommandRow("conform", "conform.command", "Ask a cluster's DNS server what the specifications require"),
    CommandRow(
        "explain", "explain.command", "Explain why a name resolves or does not: plugin, object, cause, next step"
    ),
    CommandRow("fmt", "fmt.command", "Format a Corefile: indentation, blanks and blank lines"),
    CommandRow("man", "generated.man", "Print the man page of the program, or of a command"),
    CommandRow("names", "names.command", "List the names that are answered, from a cluster, manifests or a Corefile"),
    CommandRow("serve", "serve", "Run the server, with the flags of CoreDNS"),
    CommandRow("status", "status", "Show what a running server knows: its watches, upstreams and Corefile"),
    CommandRow("top", "top.command", "Show live what a running server is asked and answers"),
    CommandRow("version", "version", "Print the version"),
    CommandRow("help", "commands", "Print this help, or that of a command"),
)
ABOUT = """Print the help of the program, or of a command.

Examples:
  help           the commands
  help explain   the same as explain --help"""
HELP = CommandHelp("help [COMMAND]", ABOUT)
_BY_NAME = {command.name: command for command in COMMANDS}
KUBECTL_COMMANDS = ("explain", "names", "check", "conform", "status", "top", "version", "completion")


def is_command(word: str) -> bool:
    """Return whether the word names a command."""
    return word in _BY_NAME


def help_of(name: str) -> CommandHelp:
    """Return the help of the command of this name."""
    found: CommandHelp = importlib.import_module(f"clusterdns.cli.{_BY_NAME[name].module}").HELP
    return found


def run(program: str, name: str, arguments: Sequence[str]) -> int:
    """Run the command of this name; returns the exit code."""
    module = importlib.import_module(f"clusterdns.cli.{_BY_NAME[name].module}")
    code: int = module.main(program, arguments)
    return code


def run_plugin(program: str, given: Sequence[str]) -> int:
    """Run a command of the plugin of kubectl, or print its help; returns the exit code."""
    name, *arguments = given or ["help"]
    if name in KUBECTL_COMMANDS:
        return run(program, name, arguments)
    if name.lstrip("-") not in ("h", "help"):
        return unknown(program, name, KUBECTL_COMMANDS)
    if arguments and arguments[0] in KUBECTL_COMMANDS:
        return run(program, arguments[0], ["--help"])
    print(plugin_overview(program))
    return EXIT_OK


def plugin_overview(program: str) -> str:
    """Write the help of the plugin of kubectl."""
    return "\n".join([
        "Explain, list and check the DNS names of a cluster.",
        "",
        "Usage:",
        f"  {program} COMMAND [FLAGS]",
        "",
        *_command_lines([_BY_NAME[name] for name in KUBECTL_COMMANDS]),
        "",
        f"'{program} COMMAND --help' describes a command.",
    ])  # fmt: skip


def unknown(program: str, word: str, known: Collection[str] = _BY_NAME.keys()) -> int:
    """Report a command that does not exist; returns the exit code."""
    near = nearest(word, known)
    hint = "" if near is None else f"; did you mean '{near}'?"
    print(f"{program}: unknown command '{one_line(word)}'{hint}\nRun '{program} --help' for usage.", file=sys.stderr)
    return EXIT_USAGE


def overview(program: str) -> str:
    """Write the help of the program: its commands, and how it serves."""
    return "\n".join([
        "clusterdns is the DNS server of a Kubernetes cluster, a drop-in replacement for CoreDNS.",
        "",
        "Usage:",
        f"  {program} -conf COREFILE [FLAGS]   run the server ('{program} help serve' lists its flags)",
        f"  {program} COMMAND [FLAGS]",
        "",
        *_command_lines(COMMANDS),
        "",
        f"'{program} COMMAND --help' describes a command. Called as 'coredns' it serves without flags too, as CoreDNS.",
    ])  # fmt: skip


def _command_lines(commands: Sequence[CommandRow]) -> list[str]:
    width = max(len(command.name) for command in commands)
    return ["Commands:", *[f"  {command.name:{width}}  {command.summary}" for command in commands]]


def main(program: str, arguments: Sequence[str]) -> int:
    """Run `help [COMMAND]`; returns the exit code."""
    asked = [word for word in arguments if not word.startswith("-")]
    if not asked or asked[0] == "help":
        print(overview(program))
        return EXIT_OK
    return run(program, asked[0], ["--help"]) if is_command(asked[0]) else unknown(program, asked[0])
