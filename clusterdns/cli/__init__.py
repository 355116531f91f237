"""Commands and flags: the only place that knows argv and exit codes.

`main` chooses between the server with CoreDNS's flags (`serve`) and the commands that CoreDNS has not (`check`,
`names`). What each needs is imported when it runs, so that `-version` answers before the libraries would have loaded.
"""

import os
import sys
from collections.abc import Sequence

COMMANDS = ("check", "names")
INTERRUPTED = 130  # as shells say it: 128 and the number of SIGINT


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line asks for, and exit."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given and given[0] in COMMANDS:
        from clusterdns.cli.commands import commands

        commands.main(given, prog_name="clusterdns")
    else:
        from clusterdns.cli.serve import serve

        try:
            code = serve(given)
        except KeyboardInterrupt:  # before the server has taken over its signals
            code = INTERRUPTED
        _flush()
        sys.exit(code)


def _flush() -> None:
    """Let go of what standard output does not take, so that the interpreter does not fail over it at the very end."""
    if sys.stdout is None:  # closed before we began
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
