"""Running the server with CoreDNS's flags: the choice of the Corefile, and the exit codes that deployments depend on.

0: the server has ended as requested. 1: it could not start. 2: the command line is wrong. `server.run` does the rest.
"""

import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from clusterdns.cli.flags import FlagError, HelpAsked, ServeFlags, parse, usage
from clusterdns.version import banner

if TYPE_CHECKING:
    from clusterdns.corefile.errors import ErrorList
    from clusterdns.corefile.load import Corefile

DEFAULT_FILE = "Corefile"
BUILT_IN = ". {\n    whoami\n    log\n}\n"
BUILT_IN_NAME = "(built-in Corefile)"
STATE_VARIABLE = "CLUSTERDNS_STATE"

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


def serve(arguments: Sequence[str]) -> int:
    """Obey the flags: print version or plugins, or run the server until a signal ends it. Returns the exit code."""
    program = os.path.basename(sys.argv[0]) or "clusterdns"
    try:
        flags = parse(arguments)
    except HelpAsked:
        print(usage(program), file=sys.stderr)
        return EXIT_OK
    except FlagError as error:
        print(f"{error}\n{usage(program)}", file=sys.stderr)
        return EXIT_USAGE
    if flags.extra:
        words = " ".join(flags.extra)
        print(f"extra command line arguments: [{words}]; name the Corefile with -conf", file=sys.stderr)
        return EXIT_FAILED
    if flags.version:
        return _print(banner())
    if flags.plugins:
        return _list_plugins()
    return _run(flags)


def _list_plugins() -> int:
    from clusterdns.plugins.order import ORDER

    return _print("\n".join([*sorted(ORDER), ""]))  # CoreDNS, too, ends its list with an empty line


def _print(text: str) -> int:
    try:
        print(text, flush=True)
    except OSError as error:
        print(f"standard output: {os.strerror(error.errno or 0).lower()}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK


def load_server() -> ModuleType:
    """Import `server.run` with the collector and aiohttp kept from work that a start does not need."""
    from clusterdns.host.authorities import deferred_authorities
    from clusterdns.host.resources import collect_rarely, collector_paused

    collect_rarely()
    with collector_paused(), deferred_authorities():
        from clusterdns.server import run
    return run


def _run(flags: ServeFlags) -> int:
    server = load_server()
    from clusterdns.chain import StartError
    from clusterdns.corefile.errors import CorefileErrors
    from clusterdns.telemetry import logs

    logs.set_up()
    state_folder = flags.state or os.environ.get(STATE_VARIABLE, "")
    try:
        code: int = server.run(
            ChosenCorefile(flags.conf).load,
            dns_port=flags.dns_port, quiet=flags.quiet, pidfile=flags.pidfile or None, state_folder=state_folder,
        )  # fmt: skip
    except (CorefileErrors, StartError) as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED
    return code


class ChosenCorefile:
    """The Corefile that `-conf` names, or ./Corefile, or the built-in one: whoami and log for all names.

    Unlike in CoreDNS, an empty Corefile and a terminal as standard input are errors: neither is a request for the
    built-in Corefile.
    """

    def __init__(self, conf: str) -> None:
        self._conf = conf
        self._input: str | None = None  # of standard input, which can be read once only

    def load(self, errors: "ErrorList") -> "Corefile":
        """Choose and read the Corefile, for the start and for each reload.

        Its mistakes are added to `errors`. Raises CorefileErrors where standard input is a terminal.
        """
        from clusterdns.corefile.load import STDIN, load, parse

        if self._conf == STDIN:
            return self._load_input(errors)
        if not self._conf and not os.path.lexists(DEFAULT_FILE):
            return parse(BUILT_IN, BUILT_IN_NAME, os.environ, errors=errors)
        return load(self._conf or DEFAULT_FILE, environ=os.environ, errors=errors)

    def _load_input(self, errors: "ErrorList") -> "Corefile":
        from clusterdns.corefile.errors import CorefileError, CorefileErrors
        from clusterdns.corefile.load import STDIN, load, parse

        if self._input is not None:
            return parse(self._input, STDIN, os.environ, errors=errors)
        if sys.stdin is None or sys.stdin.isatty():
            hint = "pipe the Corefile in, or name a file with -conf"
            raise CorefileErrors((CorefileError(STDIN, 0, "standard input is a terminal", hint),))
        corefile = load(STDIN, stdin=sys.stdin, environ=os.environ, errors=errors)
        self._input = dict(corefile.files).get(STDIN, b"").decode("utf-8", "surrogatepass")
        return corefile
