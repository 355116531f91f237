"""The command line: the only place that knows argv and exit codes.

`main` chooses between the server with CoreDNS's flags (`serve`) and two commands that CoreDNS does not have (`check`,
`names`). Each is imported when it is chosen, and imports libraries when it needs them: `-version` loads none.
"""

import os
import sys
from collections.abc import Sequence

INTERRUPTED = 130  # 128 and the number of SIGINT, as in shells


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments choose, and exit."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["check"]:
        from clusterdns.cli.check import check

        check.main(given[1:], prog_name="clusterdns check")
    elif given[:1] == ["names"]:
        from clusterdns.cli.names import names

        names.main(given[1:], prog_name="clusterdns names")
    else:
        from clusterdns.cli.serve import serve

        try:
            code = serve(given)
        except KeyboardInterrupt:  # before the server has taken over its signals
            code = INTERRUPTED
        _flush_output()
        sys.exit(code)


def _flush_output() -> None:
    """Flush standard output, and discard what it does not accept, so that the interpreter does not fail at its end."""
    if sys.stdout is None:  # closed before the start
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
