"""Running the server with CoreDNS's flags: the choice of the Corefile, and the exit codes that deployments depend on.

0: the server has ended as requested. 1: it could not start. 2: the command line is wrong. `server.run` does the rest.
"""

import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from clusterdns.cli.flags import Flag, FlagError, Given, HelpAsked, port, read
from clusterdns.cli.usage import EXIT_FAILED, EXIT_OK, EXIT_USAGE, CommandHelp, flag_lines, help_text
from clusterdns.telemetry.printable import one_line, several_lines
from clusterdns.version import banner

if TYPE_CHECKING:
    from clusterdns.corefile.errors import ErrorList
    from clusterdns.corefile.load import Corefile

DEFAULT_FILE = "Corefile"
BUILT_IN = ". {\n    whoami\n    log\n}\n"
BUILT_IN_NAME = "(built-in Corefile)"
STATE_VARIABLE = "CLUSTERDNS_STATE"
DEFAULT_PORT = 53
TEXT, JSON = "text", "json"  # forms of log lines

CONF = Flag(
    "conf",
    "Corefile to load, 'stdin' for standard input (default: Corefile in the working directory)",
    "",
    value="FILE",
)
DNS_PORT = Flag(
    "dns.port p", f"port of plain DNS keys without one (default {DEFAULT_PORT})", DEFAULT_PORT, value="PORT", read=port
)
LOG_FORMAT = Flag("log-format", 'form of all log lines: text or json (default "text")', TEXT, value="FORMAT",
                  words=(TEXT, JSON))  # fmt: skip
PIDFILE = Flag("pidfile", "write the process id to FILE once DNS is answered", "", value="FILE")
PLUGINS = Flag("plugins", "list the plugins and exit", False)
QUIET = Flag("quiet", "do not print zones and version at the start", False)
STATE = Flag(
    "state", f"keep the last good Corefile and snapshots of clusters there (default: ${STATE_VARIABLE})", "",
    value="FOLDER",
)  # fmt: skip
VERSION = Flag("version", "show the version and exit", False)
FLAGS: tuple[Flag[Any], ...] = (CONF, DNS_PORT, LOG_FORMAT, PIDFILE, PLUGINS, QUIET, STATE, VERSION)
ABOUT = """Run the server, with the flags of CoreDNS: they have one dash or two, and may stand without 'serve'.

Exit code 0: the server has ended as requested. 1: it could not start. 2: the command line is wrong.

Examples:
  clusterdns -conf Corefile                     serve what the Corefile says
  clusterdns -conf Corefile -dns.port 1053      on a port that needs no rights
  clusterdns -conf Corefile -state /var/lib/clusterdns"""
HELP = CommandHelp("serve [FLAGS]", ABOUT, FLAGS, is_command=False)


def usage(program: str) -> str:
    """Write the usage that is printed after a wrong flag, and by CoreDNS for `-h`."""
    return "\n".join([f"Usage of {program}:", *flag_lines(FLAGS, is_command=False), f"Commands: see '{program} help'"])


def main(program: str, arguments: Sequence[str]) -> int:
    """Run `serve [FLAGS]`; returns the exit code."""
    return serve(program, arguments, is_coredns=False)


def serve(program: str, arguments: Sequence[str], *, is_coredns: bool) -> int:
    """Obey the flags: print version or plugins, or run the server until a signal ends it. Returns the exit code.

    For a caller that takes the program for CoreDNS, help and exit codes are CoreDNS's.
    """
    try:
        given = read(arguments, FLAGS, is_command=False)
    except HelpAsked:
        print(usage(program) if is_coredns else help_text(program, HELP), file=sys.stderr if is_coredns else sys.stdout)
        return EXIT_OK
    except FlagError as error:
        print(f"{one_line(str(error))}\n{usage(program)}", file=sys.stderr)
        return EXIT_USAGE
    is_json = given[LOG_FORMAT] == JSON
    if given[LOG_FORMAT] not in (TEXT, JSON):
        print(f'unknown log format "{one_line(given[LOG_FORMAT])}": expected text or json', file=sys.stderr)
    elif given.arguments:
        words = " ".join(given.arguments)
        _report(f"extra command line arguments: [{words}]; name the Corefile with -conf", is_json=is_json)
    elif given[VERSION]:
        return print_line(banner())
    elif given[PLUGINS]:
        return _list_plugins()
    else:
        return _run(given, is_json=is_json)
    return EXIT_FAILED if is_coredns else EXIT_USAGE


def _report(text: str, *, is_json: bool) -> None:
    """Report what prevents the start on standard error; in JSON as one object per line of the text."""
    if is_json:
        from clusterdns.telemetry.jsonlines import fatal_line

        print("\n".join(map(fatal_line, text.splitlines())), file=sys.stderr)
    else:
        print(several_lines(text), file=sys.stderr)


def _list_plugins() -> int:
    from clusterdns.plugins.order import ORDER

    return print_line("\n".join([*sorted(ORDER), ""]))  # CoreDNS, too, ends its list with an empty line


def print_line(text: str) -> int:
    """Print a text; returns the exit code, which says whether standard output took it."""
    try:
        print(text, flush=True)
    except OSError as error:
        print(f"standard output: {os.strerror(error.errno or 0).lower()}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK


def load_server() -> ModuleType:
    """Import `server.run` with the collector kept from work that a start does not need."""
    from clusterdns.host.collector import collect_in_short_runs, collector_paused

    collect_in_short_runs()
    with collector_paused():
        from clusterdns.server import run
    return run


def _run(given: Given, *, is_json: bool) -> int:
    server = load_server()
    from clusterdns.chain import StartError
    from clusterdns.corefile.errors import CorefileErrors
    from clusterdns.telemetry import logs

    logs.set_up(is_json=is_json)
    state_folder = given[STATE] or os.environ.get(STATE_VARIABLE, "")
    try:
        server.run(
            ChosenCorefile(given[CONF]).load,
            dns_port=given[DNS_PORT], quiet=given[QUIET], pidfile=given[PIDFILE] or None, state_folder=state_folder,
        )  # fmt: skip
    except (CorefileErrors, StartError) as error:
        _report(str(error), is_json=is_json)
    return EXIT_FAILED


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
