"""The command `explain NAME [TYPE]`: it reads the flags, chooses the source, and prints the explanation.

The source is a running server (`--server`), or a Corefile, manifests or a cluster, from which the chain is built here.
"""

import json
import logging
import sys
from collections.abc import Sequence
from typing import Any

from clusterdns.cli.admin_page import NoPageError
from clusterdns.cli.explain import local, remote
from clusterdns.cli.explain.text import as_text
from clusterdns.cli.flags import Flag, FlagError, Given, choice
from clusterdns.cli.names.cluster import SourceError
from clusterdns.cli.names.command import CONTEXT, KUBECONFIG, MANIFESTS, NONE, kubeconfig_path
from clusterdns.cli.progress import progress
from clusterdns.cli.usage import CommandHelp, read_command, wrong
from clusterdns.server.explaining.engine import ExplainError, ExplainRequest
from clusterdns.server.explaining.explanation import DOES_NOT_RESOLVE, RESOLVES, UNKNOWN, Explanation, as_tree
from clusterdns.telemetry.printable import several_lines

TEXT, JSON = "text", "json"
EXIT_CODES = {RESOLVES: 0, DOES_NOT_RESOLVE: 1, UNKNOWN: 2}

CONF = Flag("conf", "Explain by this Corefile, as it would run here.", "", value="COREFILE")
SERVER = Flag("server s", "Explain by a running server: the address of its 'ready', such as 10.1.2.3:8181.", "",
              value="URL")  # fmt: skip
FROM = Flag("from n namespace", "Ask as a pod of this namespace: walk its search list, with glibc and with musl.", "",
            value="NAMESPACE[/POD]")  # fmt: skip
CLIENT = Flag("client", "The address of the client, which acl may look at (default: the pod's, or 127.0.0.1).", "",
              value="ADDRESS")  # fmt: skip
ZONE = Flag("zone", "The cluster's zone, where no Corefile says it; may be repeated (default cluster.local).", NONE,
            value="ZONE", many=True)  # fmt: skip
OUTPUT = Flag("output o", "text or json (default text).", TEXT, value="FORM", read=choice(TEXT, JSON))
AS_JSON = Flag("json", "The same as --output json.", False)
FLAGS: tuple[Flag[Any], ...] = (
    CONF, MANIFESTS, KUBECONFIG, CONTEXT, SERVER, FROM, CLIENT, ZONE, OUTPUT, AS_JSON,
)  # fmt: skip
ABOUT = """Explain why NAME resolves or does not: which server block, rewrite and plugin decide, which object stands
behind it, what the answer is, what would change it, and what to do.

TYPE is A by default, PTR for an address, SRV for a name such as _http._tcp.web. Without a source the cluster of
$KUBECONFIG or ~/.kube/config is read, with the Corefile of its ConfigMap where that is allowed. --manifests or
--kubeconfig together with --conf replace the source of its 'kubernetes'.
Exit code 0: it resolves; 1: it does not; 2: it is not known, or the command line is wrong.

Examples:
  explain web.prod.svc.cluster.local --server 10.244.0.5    as a running server sees it
  explain web --from shop/cart-0                            as this pod asks, in the cluster of the kubeconfig
  explain www.example.com --conf Corefile                   by this Corefile, with its upstreams
  explain _http._tcp.web.prod.svc.cluster.local -f k8s/     by manifests"""
HELP = CommandHelp("explain NAME [TYPE] [FLAGS]", ABOUT, FLAGS)


def main(program: str, arguments: Sequence[str]) -> int:
    """Explain the name that the arguments say; returns the exit code."""
    given = read_command(program, HELP, arguments)
    if isinstance(given, int):
        return given
    name = f"{program} explain"
    if not 1 <= len(given.arguments) <= 2:
        return wrong(name, f"{len(given.arguments)} arguments; name one NAME, and perhaps a TYPE")
    logging.getLogger("clusterdns").setLevel(logging.CRITICAL + 1)  # the explanation has all that matters
    is_json = given[AS_JSON] or given[OUTPUT] == JSON
    try:
        with progress(f"explaining {given.arguments[0]}", is_quiet=is_json):
            found = _explained(given)
    except FlagError as error:
        return wrong(name, str(error))
    except (SourceError, NoPageError, ExplainError) as error:
        print(f"{name}: {several_lines(str(error))}", file=sys.stderr)
        return EXIT_CODES[UNKNOWN]
    sys.stdout.write(json.dumps(as_tree(found), indent=2) + "\n" if is_json else as_text(found, sys.stdout))
    return EXIT_CODES[found.verdict.outcome]


def _explained(given: Given) -> Explanation:
    """Explain by the source of the flags. Raises FlagError, SourceError, NoPageError and ExplainError."""
    request = ExplainRequest(
        given.arguments[0], given.arguments[1] if len(given.arguments) > 1 else "", given[FROM], given[CLIENT]
    )
    others = [flag.names[0] for flag in (CONF, MANIFESTS, KUBECONFIG, CONTEXT, ZONE) if given.has(flag)]
    if given.has(SERVER):
        if others:
            raise FlagError(f"--server explains by itself; leave out --{others[0]}")
        return remote.explain(given[SERVER], request)
    if given[CONF] and given.has(ZONE):
        raise FlagError("--zone is set by the Corefile; leave it out with --conf")
    if given[MANIFESTS] and given.has(KUBECONFIG):
        raise FlagError("one cluster at a time, not manifests and kubeconfig")
    kubeconfig = ""
    if not given[MANIFESTS] and (given.has(KUBECONFIG) or not given[CONF]):
        kubeconfig = kubeconfig_path(given[KUBECONFIG])
    source = local.LocalSource(given[CONF], given[MANIFESTS], kubeconfig, given[CONTEXT], given[ZONE])
    return source.explain(request)
