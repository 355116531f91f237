"""The command `conform SERVER`: it reads the flags, gets the objects, has the cases asked, and prints the verdicts.

Without a source the server is taken to serve the suite's own objects, which `--print-fixtures` writes; `--manifests`
names other ones, and `--kubeconfig` makes the suite's in a cluster whose DNS server is asked.
"""

import asyncio
import itertools
import sys
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from clusterdns.cli.conform import fixtures
from clusterdns.cli.conform.case import Ask, Case, Level, Outcome, SuitePart
from clusterdns.cli.conform.cases import multicluster, rfc, spec
from clusterdns.cli.conform.cases.naming import question_for
from clusterdns.cli.conform.exchange import NoReplyError, ServerAddress, read_server
from clusterdns.cli.conform.fixtures import FixtureError
from clusterdns.cli.conform.live import ClusterError, InterruptedRun, LiveObjects
from clusterdns.cli.conform.report import as_json, junit, shown, table
from clusterdns.cli.conform.runner import Runner
from clusterdns.cli.conform.served import CLUSTER_IP, ServedObjects, served
from clusterdns.cli.flags import Flag, FlagError, Given, choice, number
from clusterdns.cli.progress import ProgressLine, progress
from clusterdns.cli.usage import EXIT_OK, CommandHelp, read_command, wrong
from clusterdns.wire.name import from_text

NONE: tuple[str, ...] = ()
MANIFESTS = Flag("manifests f filename", "A file or folder of the objects that the server serves, in place of the"
                 " suite's; may be repeated.", NONE, value="PATH", many=True)  # fmt: skip
KUBECONFIG = Flag("kubeconfig", "Make the suite's objects in this cluster, in namespaces of their own; delete them.",
                  "", value="FILE")  # fmt: skip
CONTEXT = Flag("context", "The context of the kubeconfig; else its current one.", "", value="NAME")
ZONE = Flag("zone", "The cluster's zone (default cluster.local).", "cluster.local", value="ZONE")
SET_ZONE = Flag(
    "clusterset-zone", "The zone of the clusterset (default clusterset.local).", "clusterset.local", value="ZONE"
)
PART = Flag("part", "Only this part: spec, mcs or rfc; may be repeated. Without it mcs is left out where the server"
            " does not serve the clusterset's zone.", NONE, value="PART", read=choice(*SuitePart),
            many=True)  # fmt: skip
ONLY = Flag("only", "Only cases whose ID matches, such as 'spec-2.3.*' or 'nodata'; may be repeated.", NONE,
            value="PATTERN", many=True)  # fmt: skip
LIST = Flag("list", "List the cases and ask nothing.", False)
ALL = Flag("all A", "Print the cases that pass as well.", False)
AS_JSON = Flag("json", "Print one JSON object.", False)
JUNIT = Flag("junit", "Write the verdicts to this file as JUnit XML too.", "", value="FILE")
TIMEOUT = Flag("timeout", "Time for one reply (default 2); a question over UDP is asked twice.", 2, value="SECONDS",
               read=number(1, 60, "not in the range 1 to 60"))  # fmt: skip
LIMIT = Flag("limit", "Time for all cases (default 180).", 180, value="SECONDS",
             read=number(1, 3600, "not in the range 1 to 3600"))  # fmt: skip
PRINT_FIXTURES = Flag("print-fixtures", "Print the suite's objects as YAML.", False)
PRINT_ZONE = Flag("print-zone", "Print the names of the objects as a zone file.", False)
FLAGS: tuple[Flag[Any], ...] = (
    MANIFESTS, KUBECONFIG, CONTEXT, ZONE, SET_ZONE, PART, ONLY, LIST, ALL, AS_JSON, JUNIT, TIMEOUT, LIMIT,
    PRINT_FIXTURES, PRINT_ZONE,
)  # fmt: skip
ABOUT = """Ask a cluster's DNS server what the specifications require, and report a verdict for each case.

SERVER is ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT of any DNS server, such as CoreDNS. It serves the suite's objects:
  clusterdns conform --print-fixtures | kubectl apply -f -
or the objects of --manifests; with --kubeconfig they are made in the cluster and deleted afterwards.
Exit code 0: each 'must' holds. 1: some do not. 2: nothing could be asked, or the command line is wrong.

Examples:
  conform 10.96.0.10 --kubeconfig ~/.kube/config      with objects made in the cluster
  conform 127.0.0.1:1053 --only 'spec-2.3.*' --all    some cases, also those that pass"""
HELP = CommandHelp("conform SERVER [FLAGS]", ABOUT, FLAGS)
TABLES: dict[SuitePart, Callable[[ServedObjects], list[Case]]] = {
    SuitePart.SPEC: spec.cases, SuitePart.MCS: multicluster.cases, SuitePart.RFC: rfc.cases
}  # fmt: skip
UNSERVED = "does it serve the objects? --print-fixtures prints them for 'kubectl apply', --kubeconfig makes them"
MAX_ZONE_BYTES = 63  # one case asks for three labels of 63 bytes below the zone
EXIT_FAILED, EXIT_UNASKED = 1, 2
SIGNAL_EXIT = 128  # and the number of the signal, as in shells


def main(program: str, arguments: Sequence[str]) -> int:
    """Do what the arguments say; returns the exit code."""
    given = read_command(program, HELP, arguments)
    if isinstance(given, int):
        return given
    try:
        if given[PRINT_FIXTURES] or given[PRINT_ZONE] or given[LIST]:
            sys.stdout.write(_printed(given))
            return EXIT_OK
        return asyncio.run(_conform(_server(given), given))
    except FlagError as error:
        return wrong(f"{program} conform", str(error))
    except InterruptedRun as error:
        return SIGNAL_EXIT + error.number
    except (FixtureError, ClusterError, NoReplyError) as error:
        print(f"{program} conform: {shown(str(error))}", file=sys.stderr)
        return EXIT_UNASKED


def _server(given: Given) -> ServerAddress:
    """Read the argument. Raises FlagError."""
    if len(given.arguments) != 1:
        raise FlagError(f"{len(given.arguments)} arguments; name one SERVER, such as 127.0.0.1:53")
    if given.has(MANIFESTS) and given.has(KUBECONFIG):
        raise FlagError("one source at a time, not manifests and kubeconfig")
    try:
        return read_server(given.arguments[0])
    except ValueError as error:
        raise FlagError(f"SERVER: {error}") from error


def _objects(given: Given) -> ServedObjects:
    """Read the objects of manifests, or the suite's. Raises FixtureError."""
    zone, set_zone = _zone(given, ZONE), _zone(given, SET_ZONE)
    manifests = fixtures.of_paths(given[MANIFESTS]) if given[MANIFESTS] else fixtures.own(zone)
    try:
        return served(manifests, zone, set_zone)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FixtureError(f"the manifests cannot be asked about: {type(error).__name__}: {error}") from error


def _zone(given: Given, flag: Flag[str]) -> str:
    """Read a zone, without its final dot. Raises FlagError."""
    text = given[flag].rstrip(".").lower()
    try:
        wire = from_text(text)
    except ValueError as error:
        raise FlagError(f"--{flag.names[0]}: {error}") from error
    if len(wire) > MAX_ZONE_BYTES:
        raise FlagError(f"--{flag.names[0]}: more than {MAX_ZONE_BYTES} bytes leave no room for the names to ask")
    return text


def _printed(given: Given) -> str:
    """Return what a flag asks to print. Raises FlagError and FixtureError."""
    if given[PRINT_FIXTURES]:
        return fixtures.text(_zone(given, ZONE))
    objects = _objects(given)
    if given[PRINT_ZONE]:
        return fixtures.zone_text(objects)
    cases = _chosen(objects, given, given[PART] or tuple(map(str, SuitePart)))
    return "".join(f"{shown(one.id):50} {one.level:6} {shown(one.title)}\n" for one in cases)


def _chosen(objects: ServedObjects, given: Given, parts: Sequence[str]) -> list[Case]:
    """Make the cases of the parts that match the patterns. Raises FlagError where there is none, and FixtureError."""
    tables: dict[SuitePart, Callable[[ServedObjects], list[Case]]] = {
        SuitePart.SPEC: spec.cases,
        SuitePart.MCS: multicluster.cases,
        SuitePart.RFC: rfc.cases,
    }
    try:
        found: list[Case] = [case for part, make in tables.items() if part in parts for case in make(objects)]
    except ValueError as error:
        raise FixtureError(f"the manifests cannot be asked about: {error}") from error
    patterns = [word.lower() if any(sign in word for sign in "*?[") else f"*{word.lower()}*" for word in given[ONLY]]
    chosen = [one for one in found if not patterns or any(fnmatchcase(one.id, pattern) for pattern in patterns)]
    if not chosen:
        raise FlagError(f"--only: none of {len(found)} cases matches {' '.join(given[ONLY])}; --list lists them")
    return chosen


async def _conform(server: ServerAddress, given: Given) -> int:
    """Ask, with objects in the cluster where a kubeconfig is named; returns the exit code."""
    if not given[KUBECONFIG]:
        return await _asked(server, given, _objects(given))
    zones = _zone(given, ZONE), _zone(given, SET_ZONE)
    line = ProgressLine(is_quiet=given[AS_JSON])
    async with LiveObjects(given[KUBECONFIG], given[CONTEXT], *zones, line) as live:
        return await _asked(server, given, await live.make(server, given[TIMEOUT]))


async def _asked(server: ServerAddress, given: Given, objects: ServedObjects) -> int:
    """Ask the cases, and print the verdicts; returns the exit code. Raises NoReplyError where nothing replies."""
    probe = probe_of(objects)
    runner = Runner(server, probe, given[TIMEOUT])
    with progress(f"asking {server.text}", is_quiet=given[AS_JSON]):
        problem = await runner.reachable()
    if problem:
        raise NoReplyError(f"{server.text} cannot be asked: {problem}; does a DNS server listen there?")
    if not given[KUBECONFIG] and not await runner.has_answer(probe):
        print(shown(f"{server.text} has no address for {probe.name}: {UNSERVED}"), file=sys.stderr)
    parts = given[PART] or await _served_parts(runner, objects)
    cases = _chosen(objects, given, parts)
    line, done = ProgressLine(is_quiet=given[AS_JSON]), itertools.count(1)
    outcomes = await runner.run(cases, given[LIMIT], lambda _: line.show(f"{next(done)} of {len(cases)} cases"))
    line.end()
    _print(server, given, objects.zone, outcomes)
    return EXIT_FAILED if any(one.is_failure and one.case.level is Level.MUST for one in outcomes) else EXIT_OK


def _print(server: ServerAddress, given: Given, zone: str, outcomes: Sequence[Outcome]) -> None:
    """Print the verdicts, and write them to the file of `--junit`. Raises FixtureError."""
    if given[AS_JSON]:
        sys.stdout.write(as_json(server, outcomes))
    else:
        print(f"{server.text}, zone {shown(zone)}: {len(outcomes)} cases")
        sys.stdout.write(table(server, outcomes, sys.stdout, shows_all=given[ALL]))
    if given[JUNIT]:
        try:
            with open(given[JUNIT], "wb") as file:
                file.write(junit(server, outcomes))
        except OSError as error:
            raise FixtureError(
                f"{given[JUNIT]}: cannot be written: {(error.strerror or str(error)).lower()}"
            ) from error


async def _served_parts(runner: Runner, objects: ServedObjects) -> tuple[str, ...]:
    """Return all parts, or those without the clusterset's where the server does not serve its zone."""
    if objects.imports and await runner.has_answer(Ask(f"dns-version.{objects.set_zone}.", "TXT")):
        return tuple(SuitePart)
    print(
        f"the part mcs is left out: the server does not serve {objects.set_zone}; --part mcs asks it", file=sys.stderr
    )
    return (SuitePart.SPEC, SuitePart.RFC)


def probe_of(objects: ServedObjects) -> Ask:
    """Return a question that the server answers with records: the address of the first Service that has one."""
    found = next((one for one in objects.of_kind(CLUSTER_IP) if one.ips), None)
    return question_for(objects, found) if found else Ask(f"{objects.zone}.", "SOA")
