"""The `autopath` directive: the client's search list is gone through here, in one exchange instead of one per domain.

A name below the first domain of the list is asked as it stands, then with each other domain in that one's place, and
last without any; the first reply that is not NXDOMAIN is the answer, with a CNAME in front that leads to its name. The
list is a file's, the same for everybody, or with `@kubernetes` that of the pod that asks.

A name that exists is answered alike whoever asks, so it is compiled as ever; what was found for a pod further along
its list is that pod's, and looked for again each time.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile import lenient
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.lexer import Token
from clusterdns.plugins.kubernetes.exports import ClusterExports
from clusterdns.telemetry.metrics import Series
from clusterdns.upstream.resolving import search_domains
from clusterdns.wire import codes, record
from clusterdns.wire.name import MAX_NAME_BYTES, ROOT, from_text, is_under

KUBERNETES = "@kubernetes"
OWN_FILE = "/etc/resolv.conf"

log = logging.getLogger("clusterdns.plugin.autopath")


@dataclass(frozen=True)
class AutopathSettings:
    """The last line of a block."""

    zones: tuple[bytes, ...]
    is_of_pods: bool
    domains: tuple[bytes, ...]  # of the file; with `is_of_pods` what comes after the cluster's own domains


class AutopathHandler:
    """Goes through a search list; `following` answers each name."""

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
        """The reply (see plugins.handler.Handler)."""
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
        asker = self._cluster.asker(query.name) if self._cluster is not None else None
        if asker is None or self._cluster is None:
            return first
        if self._cluster.has_pod(asker.namespace, query.client_ip):
            reply = (await self._search(query, first, (*asker.path, *self._domains))).duplicate()
        else:
            reply = first.duplicate()
        reply.reusable = False  # the next who asks may be another pod
        return reply

    async def _search(self, query: Query, first: Reply, path: Sequence[bytes]) -> Reply:
        """What the names after the first come to; the first reply where none of them exists."""
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
            reply.answer = (record.cname(query.name, first.ttl, first.name), *reply.answer)
        return reply


def _depending(reply: Reply, replies: Sequence[Reply]) -> Reply:
    """The reply as one that holds as long as all of these do."""
    reply = reply.duplicate()
    reply.dependencies = tuple(owner for one in replies for owner in one.dependencies)
    reply.counted = tuple(series for one in replies for series in one.counted)
    reply.reusable = all(one.reusable for one in replies)
    return reply


def parse(directives: Sequence[Directive], context: BlockContext) -> AutopathSettings:
    """`autopath [ZONES…] RESOLV-CONF|@kubernetes`; of several lines the last counts. Raises CorefileError."""
    for directive in directives:
        *zone_words, source = directive.arguments_between(1, None, "[ZONES…] RESOLV-CONF|@kubernetes")
        directive.no_block()
        zones = lenient.zones(zone_words, context.zones)
        settings = AutopathSettings(zones, source.text == KUBERNETES, _domains(source, context))
    return settings


def _domains(source: Token, context: BlockContext) -> tuple[bytes, ...]:
    if source.text.startswith("@"):
        if source.text != KUBERNETES:
            raise source.error(f"{source} has no search lists", f"write {KUBERNETES}, or a file such as {OWN_FILE}")
        return _own_domains()
    path = context.path(source.text)
    try:
        texts = search_domains(path)
    except OSError as problem:
        raise source.error(
            f"cannot read {path}: {problem.strerror}", "name a file as resolv.conf(5) has it"
        ) from problem
    try:
        return tuple(map(from_text, texts))
    except ValueError as problem:
        raise source.error(f"{path} names a search domain that is none: {problem}", "correct the file") from problem


def _own_domains() -> tuple[bytes, ...]:
    """Of this host: pods take these over from their node, behind the cluster's own."""
    try:
        return tuple(map(from_text, search_domains(OWN_FILE)))
    except (OSError, ValueError) as problem:
        log.warning("%s: %s; pods' search lists end with the cluster's domains", OWN_FILE, problem)
        return ()


def build(settings: AutopathSettings, context: BlockContext) -> Part:
    """The handler."""
    success = context.registry.counter(
        "coredns_autopath_success_total",
        "Queries answered with a name further along the client's search list.",
        "server",
    )

    def wrap(following: Handler) -> Handler:
        cluster = context.export(ClusterExports) if settings.is_of_pods else None
        if settings.is_of_pods and (cluster is None or not cluster.knows_pods):
            log.warning("without 'pods verified' of 'kubernetes' in the same block no client's search list is known")
        return AutopathHandler(settings, cluster, success.labels(context.server_text), following)

    return Part("autopath", handling=Handling(wrap=wrap, is_for_in_only=True))


DOC = Doc(
    usage=("autopath [ZONES…] RESOLV-CONF", "autopath [ZONES…] @kubernetes"),
    about="Goes through the client's search list on the server: a name below the first domain of the list that does "
    "not exist is tried with the other domains, and then without any. The list is that of a file, or with @kubernetes "
    "that of the pod that asks, known by its address; this takes `pods verified` of `kubernetes` in the same block.",
    example="kubernetes cluster.local {\n    kubeconfig /etc/clusterdns/kubeconfig\n    pods verified\n}\n"
    "autopath @kubernetes",
    better="names that exist stay compiled answers; letter case of the question is kept; several pods of one address, "
    "as in a host's network, are told apart by the name that is asked.",
)
PLUGIN = Plugin("autopath", parse, build, doc=DOC)
