"""The command line: the only place that knows argv and exit codes.

`main` chooses between the server with CoreDNS's flags (`serve`) and the commands that CoreDNS does not have
(`commands`), each imported when it is chosen: `-version` loads no library. Called as `coredns`, as in the image, the
program is CoreDNS to its caller: without arguments it serves, and a stray argument is an error of CoreDNS's. Called as
`kubectl-dns` it is a plugin of kubectl, which has the commands that ask.
"""

import os
import sys
from collections.abc import Sequence

KUBECTL_PROGRAM = "kubectl dns"  # as kubectl users type it
INTERRUPTED = 130  # 128 and the number of SIGINT, as in shells


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments choose, and exit."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    program = _program()
    try:
        code = _run(program, given)
    except KeyboardInterrupt:  # of a command, or before the server has taken over its signals
        code = INTERRUPTED
    except BrokenPipeError:  # the reader, such as head, has seen enough
        code = 0
    _flush_output()
    sys.exit(code)


def _run(program: str, given: list[str]) -> int:
    from clusterdns.cli import commands
    from clusterdns.cli.serve import serve

    if program == KUBECTL_PROGRAM:
        return commands.run_plugin(program, given)
    is_coredns = program.startswith("coredns")
    if given and commands.is_command(given[0]):
        return commands.run(program, given[0], given[1:])
    if is_coredns or (given and given[0].startswith("-") and given[0] not in ("-h", "-help", "--help", "--h")):
        return serve(program, given, is_coredns=is_coredns)
    if not given or given[0].startswith("-"):
        return commands.main(program, ())
    return commands.unknown(program, given[0])


def _program() -> str:
    """Return the name by which the program was called; `clusterdns` for `python -m clusterdns`."""
    name = os.path.basename(sys.argv[0])
    if name == "kubectl-dns":
        return KUBECTL_PROGRAM
    return "clusterdns" if name in ("", "-", "-c", "-m", "__main__.py") else name


def _flush_output() -> None:
    """Flush standard output, and discard what it does not accept, so that the interpreter does not fail at its end."""
    if sys.stdout is None:  # closed before the start
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
