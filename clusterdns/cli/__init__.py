"""Commands and flags: the only place that knows argv and exit codes.

`main` chooses between the server with CoreDNS's flags (`serve`) and the commands that CoreDNS has not (`check`,
`names`). What each needs is imported when it runs, so that `-version` answers before the libraries would have loaded.
"""

import sys
from collections.abc import Sequence

COMMANDS = ("check", "names")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line asks for, and exit."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given and given[0] in COMMANDS:
        from clusterdns.cli.commands import commands

        commands.main(given, prog_name="clusterdns")
    else:
        from clusterdns.cli.serve import serve

        sys.exit(serve(given))
