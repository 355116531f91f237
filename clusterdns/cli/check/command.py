"""The command `check COREFILE`: the errors and warnings of a configuration, and its differences from CoreDNS.

It runs the code of a real start up to the binding of the first socket. What kubectl prints, a ConfigMap or several
objects with one, is accepted as well as the Corefile in it.
"""

import asyncio
import logging
import re
from collections.abc import Iterable, Sequence
from typing import Any

from clusterdns.chain import Part, StartError
from clusterdns.cli.check.advice import advice_on
from clusterdns.cli.check.configmap import MOUNT
from clusterdns.cli.check.differences import differences_of
from clusterdns.cli.check.reading import corefile_at, named
from clusterdns.cli.check.report import CheckVerdict, print_json, print_text
from clusterdns.cli.flags import Flag, port
from clusterdns.cli.progress import progress
from clusterdns.cli.serve import DEFAULT_PORT
from clusterdns.cli.usage import EXIT_FAILED, EXIT_OK, CommandHelp, read_command, wrong
from clusterdns.corefile.errors import CorefileError, CorefileErrors, CorefileWarning, ErrorList
from clusterdns.corefile.load import Corefile
from clusterdns.server.assembly import assemble
from clusterdns.telemetry.metrics import Registry

DNS_PORT = Flag("dns-port p dns.port", f"Port of plain DNS keys without one (default {DEFAULT_PORT}).", DEFAULT_PORT,
                value="PORT", read=port)  # fmt: skip
DIFFERENCES = Flag("differences", "List how answers will differ from CoreDNS's, by directive.", False)
AS_JSON = Flag("json", "Print one JSON object: ok, errors, warnings, zones, listeners, differences.", False)
FLAGS: tuple[Flag[Any], ...] = (DIFFERENCES, DNS_PORT, AS_JSON)
ABOUT = """Check COREFILE ('-' for standard input): would the server start with it?

COREFILE may also be a ConfigMap, or several objects with one, as 'kubectl get configmap coredns -o yaml' prints them;
the other keys are the files beside the Corefile. The summary goes to standard output, errors and warnings go to
standard error, one per line: file:line: what is wrong; what to do. Exit code 0: the server would start, as far as
binding its ports; 1: it would not; 2: the command line is wrong.

Examples:
  check Corefile --differences                                                 and how answers differ from CoreDNS's
  kubectl -n kube-system get configmap coredns -o yaml | clusterdns check -    that of a cluster"""
HELP = CommandHelp("check COREFILE [FLAGS]", ABOUT, FLAGS)


def main(program: str, arguments: Sequence[str]) -> int:
    """Check the Corefile that the arguments name, and print the verdict; returns the exit code."""
    given = read_command(program, HELP, arguments)
    if isinstance(given, int):
        return given
    if len(given.arguments) != 1:
        problem = "name one COREFILE, or '-' for standard input"
        return wrong(f"{program} check", f"{len(given.arguments)} arguments; {problem}")
    with progress(f"checking {named(given.arguments[0])}", is_quiet=given[AS_JSON]):
        verdict = verdict_on(given.arguments[0], given[DNS_PORT])
    if given[AS_JSON]:
        print_json(verdict)
    else:
        print_text(verdict, with_differences=given[DIFFERENCES])
    return EXIT_OK if verdict.is_ok else EXIT_FAILED


def verdict_on(path: str, dns_port: int) -> CheckVerdict:
    """Check the Corefile at a path, or of standard input."""
    verdict = CheckVerdict(named(path))
    errors = ErrorList()
    logged = _Warnings()
    try:
        with logged:
            _check(verdict, dns_port, errors)
    except CorefileError as error:
        verdict.errors.append(error)
    except CorefileErrors as several:
        verdict.errors += several.errors
        verdict.left_out = several.left_out
    verdict.warnings = list(dict.fromkeys([*verdict.warnings, *logged.found]))
    verdict.rename_folder(MOUNT)
    return verdict


def _check(verdict: CheckVerdict, dns_port: int, errors: ErrorList) -> None:
    """Fill in the verdict. Raises CorefileError or CorefileErrors."""
    with corefile_at(verdict.name, errors) as (corefile, verdict.folder):
        _assemble(verdict, corefile, dns_port, errors)


def _assemble(verdict: CheckVerdict, corefile: Corefile, dns_port: int, errors: ErrorList) -> None:
    """Assemble the configuration, and read what a start reads before it binds a socket. Raises CorefileErrors."""
    verdict.warnings += corefile.warnings
    configuration = assemble(corefile, Registry(), dns_port=dns_port, errors=errors)
    asyncio.run(_rehearse(configuration.parts, verdict.name))
    verdict.warnings += advice_on(corefile)
    verdict.block_count = len(corefile.blocks)
    verdict.zones = list(dict.fromkeys(zone for block in corefile.blocks for zone in block.zones_text))
    verdict.listeners = [point.server_text for point in configuration.listen_points]
    verdict.differences = list(differences_of(corefile))


async def _rehearse(parts: Iterable[Part], name: str) -> None:
    """Have each part read the files that a start reads before a socket is bound. Raises CorefileErrors."""
    errors = ErrorList()
    for part in parts:
        if part.life.dry_run is not None:
            with errors.collect():
                try:
                    await part.life.dry_run()
                except StartError as error:
                    raise CorefileError(name, 0, str(error)) from error
    errors.raise_if_any()


class _Warnings(logging.Handler):
    """The warnings that are logged while it is entered, in place of all other handlers."""

    _PLACE = re.compile(r"([^\s:]+):(\d+): (.*)", re.DOTALL)

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[CorefileWarning] = []
        self._kept: list[logging.Handler] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record as a warning, at the place with which its text begins, if it does."""
        text = record.getMessage()
        place = self._PLACE.match(text)
        self.found.append(CorefileWarning(place[1], int(place[2]), place[3]) if place else _placeless(text))

    def __enter__(self) -> None:
        root = logging.getLogger()
        self._kept, root.handlers = root.handlers, [self]

    def __exit__(self, *_: object) -> None:
        logging.getLogger().handlers = self._kept


def _placeless(text: str) -> CorefileWarning:
    """Make the warning of a text that names a file and no line, or neither."""
    file, colon, rest = text.partition(": ")
    return CorefileWarning(file, 0, rest) if colon else CorefileWarning("", 0, text)
