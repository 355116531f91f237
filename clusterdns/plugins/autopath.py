"""The `autopath` directive: the server walks the client's search list, in one exchange instead of one per domain.

A name below the first domain of the list is looked up as it is, then with each other domain instead of the first, and
last without a domain. The first reply that is not NXDOMAIN is the answer, with a CNAME from the QNAME to its name. The
list comes from a file, or with `@kubernetes` it is that of the client's pod.

The answer for a name that exists is the same for every client, so it can be reused. A result from further along a pod's
search list is for that pod alone, and is looked up each time.
"""

import logging
from collections.abc import Sequence

import msgspec

from clusterdns.chain import BlockContext, Doc, Handler, Handling, LifeCycle, Part, Plugin, Query, Reply
from clusterdns.corefile import lenient
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.lexer import Token
from clusterdns.plugins.kubernetes.exports import ClusterExports
from clusterdns.telemetry.metrics import Series
from clusterdns.upstream.resolving import search_domains
from clusterdns.wire import codes, record
from clusterdns.wire.name import MAX_NAME_BYTES, ROOT, from_text, is_under
from clusterdns.wire.runs import joined

KUBERNETES = "@kubernetes"
OWN_FILE = "/etc/resolv.conf"

log = logging.getLogger("clusterdns.plugin.autopath")


class AutopathSettings(msgspec.Struct, frozen=True):
    """The zones and the search list of the last `autopath` directive of a block."""

    zones: tuple[bytes, ...]
    is_of_pods: bool
    domains: tuple[bytes, ...]  # of the file; with `is_of_pods`, those after the cluster's own domains


class AutopathHandler:
    """Walks a search list; `following` answers each name."""

    def __init__(
        self, settings: AutopathSettings, cluster: ClusterExports | None, success: Series, following: Handler
    ) -> None:
        self._zones = settings.zones
        self._domains = (*settings.domains, ROOT)
        self._is_of_pods = settings.is_of_pods
        self._cluster = cluster
        self._success = success
        self._following = following

    async def __call__(self, query: Query) -> Reply:
        """Make the reply (see `chain.handler`)."""
        first = await self._following(query)
        if (first.is_written and first.rcode != codes.NXDOMAIN) or first.error or first.is_dropped:
            return first
        if query.qtype in codes.TRANSFER_TYPES or not any(is_under(query.name, zone) for zone in self._zones):
            return first
        if self._is_of_pods:
            return await self._search_for_pod(query, first)
        if not is_under(query.name, self._domains[0]):
            return first
        return await self._search(query, first, self._domains)

    async def _search_for_pod(self, query: Query, first: Reply) -> Reply:
        search_list = self._cluster.search_list_of(query.name) if self._cluster is not None else None
        if search_list is None or self._cluster is None:
            return first
        if self._cluster.has_pod(search_list.namespace, query.client_ip):
            reply = (await self._search(query, first, (*search_list.domains, *self._domains))).duplicate()
        else:
            reply = first.duplicate()
        reply.reusable = False  # another client may be another pod
        return reply

    async def _search(self, query: Query, first: Reply, path: Sequence[bytes]) -> Reply:
        """Look up the names after the first; the first reply is the answer where none of them exists."""
        prefix = query.name[: len(query.name) - len(path[0])]
        replies = [first]
        for domain in path[1:]:
            if not prefix or len(prefix) + len(domain) > MAX_NAME_BYTES:
                continue
            reply = await self._following(query.asking(prefix + domain, query.qtype, query.qclass))
            if reply.error or reply.is_dropped:
                return reply
            replies.append(reply)
            if reply.is_written and reply.rcode != codes.NXDOMAIN:
                self._success.value += 1
                return self._found(query, replies)
        return _depending(first, replies)

    def _found(self, query: Query, replies: Sequence[Reply]) -> Reply:
        reply = _depending(replies[-1], replies)
        reply.counted = (*reply.counted, self._success)
        if reply.answer:
            first = reply.answer[0]
            reply.answer = joined((record.cname(query.name, first.ttl, first.name),), reply.answer)
        return reply


def _depending(reply: Reply, replies: Sequence[Reply]) -> Reply:
    """Copy a reply, with the dependencies, counters and reusability of all of these."""
    reply = reply.duplicate()
    reply.dependencies = tuple(dependency for one in replies for dependency in one.dependencies)
    reply.counted = tuple(series for one in replies for series in one.counted)
    reply.reusable = all(one.reusable for one in replies)
    return reply


def parse(directives: Sequence[Directive], context: BlockContext) -> AutopathSettings:
    """`autopath [ZONES…] RESOLV-CONF|@kubernetes`; the last of several directives counts. Raises CorefileError."""
    for directive in directives:
        *zone_words, source = directive.arguments_between(1, None, "[ZONES…] RESOLV-CONF|@kubernetes")
        directive.no_block()
        zones = lenient.zones(zone_words, context.zones)
        settings = AutopathSettings(zones, source.text == KUBERNETES, _domains(source, context))
    return settings


def _domains(source: Token, context: BlockContext) -> tuple[bytes, ...]:
    if source.text.startswith("@"):
        if source.text != KUBERNETES:
            raise source.error(
                f"{source} is not a source of search lists", f"write {KUBERNETES}, or a file such as {OWN_FILE}"
            )
        return _own_domains()
    path = context.path(source.text)
    try:
        texts = search_domains(path)
    except OSError as problem:
        raise source.error(
            f"cannot read {path}: {problem.strerror}", "name a file in the format of resolv.conf(5)"
        ) from problem
    try:
        return tuple(map(from_text, texts))
    except ValueError as problem:
        raise source.error(f"{path} has an invalid search domain: {problem}", "correct the file") from problem


def _own_domains() -> tuple[bytes, ...]:
    """Read the search domains of this host, which pods have after the cluster's own."""
    try:
        return tuple(map(from_text, search_domains(OWN_FILE)))
    except (OSError, ValueError) as problem:
        log.warning("%s: %s; pods' search lists end with the cluster's domains", OWN_FILE, problem)
        return ()


def build(settings: AutopathSettings, context: BlockContext) -> Part:
    """Build the part."""
    success = context.registry.counter(
        "coredns_autopath_success_total",
        "Queries answered with a name further along the client's search list.",
        "server",
    )

    def cluster() -> ClusterExports | None:
        return context.export(ClusterExports) if settings.is_of_pods else None

    def wrap(following: Handler) -> Handler:
        return AutopathHandler(settings, cluster(), success.labels(context.server_text), following)

    async def warn() -> None:
        exported = cluster()
        if settings.is_of_pods and (exported is None or not exported.knows_pods):
            log.warning(
                "no client gets a search list: @kubernetes needs 'pods verified' of 'kubernetes' in the same block"
            )

    return Part("autopath", handling=Handling(wrap=wrap, is_for_in_only=True), life=LifeCycle(dry_run=warn, start=warn))


DOC = Doc(
    usage=("autopath [ZONES…] RESOLV-CONF", "autopath [ZONES…] @kubernetes"),
    about="Walks the client's search list on the server: a name below the first domain of the list that does not exist "
    "is looked up with the other domains, and then without any. The list is that of a file, or with @kubernetes that "
    "of the client's pod, known by its address; this needs `pods verified` of `kubernetes` in the same block.",
    example="kubernetes cluster.local {\n    kubeconfig /etc/clusterdns/kubeconfig\n    pods verified\n}\n"
    "autopath @kubernetes",
    better="names that exist stay compiled answers; the case of the question is kept; pods that share one address, as "
    "in a host's network, are distinguished by the QNAME.",
)
PLUGIN = Plugin("autopath", parse, build, doc=DOC)
