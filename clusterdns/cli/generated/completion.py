"""The command `completion bash|zsh|fish`: it prints a script, which the shell loads once and asks at each TAB."""

import re
from collections.abc import Sequence

from clusterdns.cli import KUBECTL_PROGRAM
from clusterdns.cli.commands import KUBECTL_COMMANDS
from clusterdns.cli.generated import bash, fish, zsh
from clusterdns.cli.generated.pages import SERVE, pages
from clusterdns.cli.usage import CommandHelp, read_command, wrong

SHELLS = {"bash": bash.script, "zsh": zsh.script, "fish": fish.script}
ABOUT = """Print a completion script: of commands, flags, files, and values of which there are few.

The script is for the name by which the program is called: clusterdns, coredns or kubectl-dns.

Examples:
  source <(clusterdns completion bash)    in ~/.bashrc
  source <(clusterdns completion zsh)     in ~/.zshrc, after compinit
  clusterdns completion fish | source     in ~/.config/fish/config.fish"""
HELP = CommandHelp("completion bash|zsh|fish", ABOUT)


def main(program: str, arguments: Sequence[str]) -> int:
    """Print the script of a shell; returns the exit code."""
    from clusterdns.cli.serve import print_line

    given = read_command(program, HELP, arguments)
    if isinstance(given, int):
        return given
    if len(given.arguments) != 1 or given.arguments[0] not in SHELLS:
        named = " ".join(given.arguments) or "nothing"
        return wrong(f"{program} completion", f"{named}: name one shell, bash, zsh or fish")
    return print_line(script(program, given.arguments[0]).rstrip("\n"))


def script(program: str, shell: str) -> str:
    """Write the script of a shell for a program; the plugin of kubectl has fewer commands, and does not serve."""
    is_plugin = program == KUBECTL_PROGRAM
    name = re.sub(r"[^\w.-]", "-", program, flags=re.ASCII)
    function = "_" + re.sub(r"\W", "_", name, flags=re.ASCII)
    return SHELLS[shell](name, function, pages(KUBECTL_COMMANDS if is_plugin else ()), "" if is_plugin else SERVE)
