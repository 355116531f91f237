"""The command `names [PATH|PATTERN]…`: it reads the flags, chooses the source, and prints the records.

The source is a Corefile (`-conf`), manifests (`-manifests`, or an argument that is a path), or a cluster: that of
`-kubeconfig`, of $KUBECONFIG, or of ~/.kube/config, as for kubectl.
"""

import logging
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from clusterdns.cli.flags import Flag, FlagError, Given, choice, number
from clusterdns.cli.names.cluster import ClusterListing, SourceError, zones_from
from clusterdns.cli.names.table import JSON, NAME, TABLE, WIDE, YAML, Row, chosen, output
from clusterdns.cli.progress import progress
from clusterdns.cli.usage import EXIT_FAILED, EXIT_OK, CommandHelp, read_command, wrong
from clusterdns.cluster.index.pods import PodMode
from clusterdns.plugins.kubernetes.settings import MAX_TTL_SECONDS
from clusterdns.telemetry import logs
from clusterdns.telemetry.printable import one_line, several_lines

NONE: tuple[str, ...] = ()  # the default of a flag that may be repeated
CONF = Flag(
    "conf", "List what this Corefile answers, with its zones, TTLs, hosts, files and rewrites.", "", value="COREFILE"
)
MANIFESTS = Flag(
    "manifests f filename", "Read a file or folder of manifests; may be repeated.", NONE, value="PATH", many=True
)
KUBECONFIG = Flag(
    "kubeconfig", "Read the cluster of this kubeconfig (default: $KUBECONFIG, ~/.kube/config).", "", value="FILE"
)
CONTEXT = Flag("context", "The context of the kubeconfig; else its current one.", "", value="NAME")
ZONE = Flag("zone", "A zone, or a network for its reverse zone; may be repeated (default cluster.local).", NONE,
            value="ZONE", many=True)  # fmt: skip
NAMESPACE = Flag("namespace n", "Only this namespace; may be repeated (default: all).", NONE, value="NAME", many=True)
ALL = Flag("all-namespaces A", "All namespaces, the default.", False)
PODS = Flag("pods", "How pod names (1-2-3-4.NAMESPACE.pod) are answered: disabled, insecure or verified.", "disabled",
            value="MODE", read=choice(*(mode.value for mode in PodMode)))  # fmt: skip
TTL = Flag("ttl", "The TTL of records (default 5).", 5, value="SECONDS",
           read=number(0, MAX_TTL_SECONDS, f"not in the range 0 to {MAX_TTL_SECONDS}"))  # fmt: skip
OUTPUT = Flag("output o", "wide (with namespace, TTL and zone), name, yaml or json; else a table.", TABLE, value="FORM",
              read=choice(WIDE, NAME, YAML, JSON))  # fmt: skip
AS_JSON = Flag("json", "The same as --output json.", False)
NO_HEADERS = Flag("no-headers", "Do not print the line of headings.", False)
FLAGS: tuple[Flag[Any], ...] = (
    CONF, MANIFESTS, KUBECONFIG, CONTEXT, ZONE, NAMESPACE, ALL, PODS, TTL, OUTPUT, AS_JSON, NO_HEADERS,
)  # fmt: skip
_OF_CLUSTER: tuple[Flag[Any], ...] = (ZONE, PODS, TTL)
ABOUT = """List the names that are answered, with their records.

A PATH is a file or folder of manifests. A PATTERN chooses names: whole labels of them, such as web, web.prod or a
namespace, or a glob such as 'web*'. Exit code 1: the source cannot be read, or nothing matches.

Examples:
  names -n prod -o wide            of a namespace, in the cluster of the kubeconfig
  names k8s/ 'mysql*'              of manifests
  names --conf Corefile            of all that a Corefile answers"""
HELP = CommandHelp("names [PATH|PATTERN]... [FLAGS]", ABOUT, FLAGS)

_IS_PATH = re.compile(r".*(?:/|\.ya?ml$|\.json$)|\.{1,2}$")


def main(program: str, arguments: Sequence[str]) -> int:
    """List names as the arguments say; returns the exit code."""
    given = read_command(program, HELP, arguments)
    if isinstance(given, int):
        return given
    logs.set_up(sys.stderr)
    logging.getLogger("clusterdns").setLevel(logging.WARNING)
    form = JSON if given[AS_JSON] else given[OUTPUT]
    try:
        with progress("reading the names", is_quiet=form == JSON):
            rows, patterns = _rows(given)
            listed = list(rows)
    except FlagError as error:
        return wrong(f"{program} names", str(error))
    except SourceError as error:
        print(f"{program} names: {several_lines(str(error))}", file=sys.stderr)
        return EXIT_FAILED
    found = chosen(listed, patterns)
    if not found:
        what = "the source has no names"
        if listed:
            hint = f"a word matches whole labels; write '*{patterns[0]}*' for a part"
            what = f"none of {len(listed)} records matches {' '.join(patterns)}; {hint}"
        print(f"{program} names: {one_line(what)}", file=sys.stderr)
        return EXIT_FAILED
    sys.stdout.write(output(found, form, has_header=not given[NO_HEADERS]))
    return EXIT_OK


def _rows(given: Given) -> tuple[Iterable[Row], list[str]]:
    """Return the rows of the source, and the patterns. Raises FlagError and SourceError."""
    words = [word for word in given.arguments if word]
    paths = [word for word in words if _IS_PATH.match(word) or os.path.exists(word)]
    patterns = [word for word in words if word not in paths]
    manifests, namespaces = (*given[MANIFESTS], *paths), given[NAMESPACE]
    named = [flag.names[0] for flag in (CONF, MANIFESTS, KUBECONFIG) if given.has(flag)]
    if paths and "manifests" not in named:
        named.append(f"the path {paths[0]}")
    if len(named) > 1:
        raise FlagError(f"one source at a time, not {' and '.join(named)}")
    if given[CONF]:
        if fixed := next((flag for flag in _OF_CLUSTER if given.has(flag)), None):
            raise FlagError(f"--{fixed.names[0]} is set by the Corefile; leave it out with --conf")
        from clusterdns.cli.names.configured import rows_of_corefile

        return rows_of_corefile(given[CONF], given[NAMESPACE]), patterns
    listing = ClusterListing(
        zones_from(given[ZONE] or ("cluster.local",)), namespaces, PodMode(given[PODS]), given[TTL]
    )
    if manifests:
        return listing.of_manifests(manifests), patterns
    return listing.of_cluster(kubeconfig_path(given[KUBECONFIG]), given[CONTEXT]), patterns


def kubeconfig_path(named: str) -> str:
    """Return the kubeconfig to use. Raises FlagError where none is named, or it does not exist."""
    default = os.path.expanduser("~/.kube/config")
    path = named or os.environ.get("KUBECONFIG", "").partition(os.pathsep)[0] or default
    if os.path.isfile(path):
        return path
    if path == default:
        raise FlagError(
            "no source: name --conf COREFILE, --manifests PATH or --kubeconfig FILE; there is no ~/.kube/config"
        )
    raise FlagError(f"--kubeconfig: '{path}' does not exist or is not a file")
