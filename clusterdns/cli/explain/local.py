"""Explanations by a Corefile that is run here: its parts are started without sockets, and asked.

Without a Corefile it is the cluster's own, where its ConfigMap can be read, or else kubeadm's without upstreams. The
source of `kubernetes` that a Corefile names can be replaced by manifests or a kubeconfig, because that of a pod is not
at hand here.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from clusterdns.chain import StartError
from clusterdns.cli.check.configmap import MOUNT, mounted
from clusterdns.cli.check.reading import corefile_at, named
from clusterdns.cli.names.cluster import SourceError
from clusterdns.cli.names.configured import start_parts
from clusterdns.cluster.api.errors import NO_CLUSTER
from clusterdns.corefile.directive import Directive, Line, ServerBlock
from clusterdns.corefile.errors import CorefileError, CorefileErrors, ErrorList
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.load import Corefile, parse
from clusterdns.server.assembly import assemble
from clusterdns.server.explaining.engine import Explainer, ExplainRequest
from clusterdns.server.explaining.explanation import END_OF_CHAIN, UNKNOWN, Explanation
from clusterdns.server.instance import Instance
from clusterdns.telemetry.metrics import Registry

BUILT_IN = "built-in Corefile"
_BUILT_IN_TEXT = """.:53 {
    kubernetes %s in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
}
"""
_DEFAULT_ZONES = ("cluster.local",)
_SOURCE_OPTIONS = frozenset({"manifests", "kubeconfig", "endpoint", "tls"})
# directives that poll, serve pages or need files of the server's host, and have no part in an answer
_LEFT_OUT = frozenset(
    {"dashboard", "health", "pprof", "prometheus", "ready", "reload", "timeouts", "multisocket", "bind"}
)


@dataclass(frozen=True)
class LocalSource:
    """A Corefile, or the built-in one, and the cluster that it reads; empty fields are left as the Corefile says."""

    conf: str
    manifests: Sequence[str]
    kubeconfig: str
    context: str
    zones: Sequence[str]

    def explain(self, request: ExplainRequest) -> Explanation:
        """Explain a name. Raises SourceError where the Corefile or the cluster cannot be read, and ExplainError."""
        errors = ErrorList()
        try:
            if not self.conf:
                return self._by_cluster(request)
            with corefile_at(named(self.conf), errors) as (corefile, folder):
                return _in_pod(self._run(corefile, errors, request), folder)
        except (CorefileError, CorefileErrors, StartError) as error:
            raise SourceError(str(error)) from error
        except SourceError as error:
            is_of_a_pod = not self.kubeconfig and not self.manifests and NO_CLUSTER in str(error)
            hint = "; here, name the cluster with --kubeconfig FILE or --manifests PATH" if is_of_a_pod else ""
            raise SourceError(f"{error}{hint}") from error

    def _by_cluster(self, request: ExplainRequest) -> Explanation:
        """Explain by the cluster's own Corefile, or by the built-in one where there is none that can be used here."""
        why = "; --conf names another one"
        if self.kubeconfig and not self.zones:
            from clusterdns.cli.explain.cluster_corefile import read_corefile  # the API client, for clusters alone

            cluster = asyncio.run(read_corefile(self.kubeconfig, self.context))
            why = f", because {cluster.text}"
            if cluster.files:
                errors = ErrorList()
                try:
                    with mounted(cluster.files, os.environ, errors) as (corefile, folder):
                        found = _in_pod(self._run(corefile, errors, request), folder)
                    found.corefile = f"{cluster.text}{_of_this_machine(cluster.files)}"
                    return found
                except (CorefileError, CorefileErrors, StartError, SourceError) as error:
                    why = f", because {cluster.text} cannot be used here: {' | '.join(str(error).splitlines())}"
        zones = " ".join(self.zones or _DEFAULT_ZONES)
        found = self._run(parse(_BUILT_IN_TEXT % zones, BUILT_IN, {}), ErrorList(), request)
        found.corefile = f"built-in, 'kubernetes' alone without upstreams{why}"
        _note_missing_upstreams(found)
        return found

    def _run(self, corefile: Corefile, errors: ErrorList, request: ExplainRequest) -> Explanation:
        blocks = tuple(replace(block, directives=tuple(self._reduced(block))) for block in corefile.blocks)
        return asyncio.run(_explain(replace(corefile, blocks=blocks), errors, request))

    def _reduced(self, block: ServerBlock) -> list[Directive]:
        return [self._with_source(one) for one in block.directives if one.name not in _LEFT_OUT]

    def _with_source(self, directive: Directive) -> Directive:
        """Replace the source of a `kubernetes` directive, where another one was given."""
        if directive.name != "kubernetes" or not (self.manifests or self.kubeconfig):
            return directive
        words = ["manifests", *map(os.path.abspath, self.manifests)]
        if self.kubeconfig:
            words = ["kubeconfig", os.path.abspath(self.kubeconfig), *filter(None, [self.context])]
        line = Line(tuple(Token(text, directive.file, directive.line, quoted=True) for text in words))
        kept = [one for one in directive.block if one.name not in _SOURCE_OPTIONS]
        return replace(directive, block=(*kept, line))


def _in_pod(found: Explanation, folder: str) -> Explanation:
    """Name the files of a ConfigMap as they are named in the pod; `folder` stands for its mount, where there is one."""
    if not folder:
        return found
    text = msgspec.json.encode(found).replace(folder.encode(), MOUNT.encode())
    return msgspec.json.decode(text, type=Explanation)


def _of_this_machine(files: Mapping[str, bytes]) -> str:
    """Say what of a cluster's Corefile is read where the command runs."""
    reads_it = any(b"/etc/resolv.conf" in content for content in files.values())
    return "; its /etc/resolv.conf is that of this machine" if reads_it else ""


def _note_missing_upstreams(found: Explanation) -> None:
    """Turn the verdict on a name outside of the cluster into one that says what is missing here."""
    if found.verdict.cause == END_OF_CHAIN:
        found.verdict.outcome = UNKNOWN
        found.verdict.text = f"cannot tell: {found.name} is not in the cluster's zones, and no upstream is known here"
        found.verdict.next_step = "name the server's Corefile with --conf, or ask the server itself with --server"


async def _explain(corefile: Corefile, errors: ErrorList, request: ExplainRequest) -> Explanation:
    """Start the parts, and explain. Raises SourceError, StartError and ExplainError."""
    configuration = assemble(corefile, Registry(), dns_port=53, errors=errors)
    instance = Instance(configuration, "")
    try:
        await start_parts(instance)
        return await Explainer(configuration).explain(request)
    finally:
        await instance.stop()
