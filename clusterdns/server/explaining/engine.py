"""An explanation from its request to its result: the name, the search list, the question, the objects, the verdict."""

import asyncio
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from time import perf_counter

from clusterdns.cluster.objects import is_address
from clusterdns.plugins.kubernetes.exports import ClusterView
from clusterdns.server.assembly import Configuration
from clusterdns.server.explaining.answer import shown_answer
from clusterdns.server.explaining.asking import AskedQuestion, ask
from clusterdns.server.explaining.changes import cached_text, changes_of
from clusterdns.server.explaining.explanation import RESOLVES, UNKNOWN, Explanation, UpstreamAttempt
from clusterdns.server.explaining.findings import Findings, gather_findings, is_of_service
from clusterdns.server.explaining.searching.pod_resolver import PodResolver, resolver_of
from clusterdns.server.explaining.searching.walking import add_walks, best_name, best_type, walk_all
from clusterdns.server.explaining.verdicts.table import verdict_on
from clusterdns.wire import codes
from clusterdns.wire.name import from_address, from_text, is_reverse, to_text

NODATA = "NODATA"
EXPLAIN_SECONDS = 25.0
DEFAULT_CLIENT = "127.0.0.1"


class ExplainError(ValueError):
    """A request that cannot be explained; the text says why."""


class ExplainTimeout(ExplainError):
    """An explanation that takes too long."""


@dataclass(frozen=True)
class ExplainRequest:
    """What to explain: a name or an address, a type, and the client."""

    name: str
    type: str = ""  # empty: A, or PTR for an address, or SRV for a name such as _http._tcp.web
    asked_from: str = ""  # NAMESPACE or NAMESPACE/POD, whose search list is walked
    client: str = ""  # the address of the client


class Explainer:
    """Explains names by a running configuration."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    async def explain(self, request: ExplainRequest) -> Explanation:
        """Explain a name. Raises ExplainError, and ExplainTimeout after EXPLAIN_SECONDS."""
        try:
            async with asyncio.timeout(EXPLAIN_SECONDS):
                return await self._explain_request(request)
        except TimeoutError:
            text = f"no explanation within {EXPLAIN_SECONDS:g} s: upstreams or the API server do not answer"
            raise ExplainTimeout(f"{text}; clusterdns status shows their state") from None

    async def _explain_request(self, request: ExplainRequest) -> Explanation:
        started = perf_counter()
        name, qtype = _question(request)
        resolver = await self._resolver(request.asked_from)
        client = _client(request.client or (resolver.address if resolver is not None else "") or DEFAULT_CLIENT)
        if resolver is None or is_address(request.name):  # which no stub resolver looks up with its search list
            explanation = await self._explain(name, qtype, client)
            if not request.type and explanation.verdict.code == NODATA and qtype == codes.A:
                other = await self._explain(name, codes.AAAA, client)  # of a cluster with IPv6 alone
                explanation = other if other.verdict.outcome == RESOLVES else explanation
        else:
            explanation = await self._walk(request, qtype, client, resolver)
        explanation.seconds = perf_counter() - started
        return explanation

    async def _explain(self, name: bytes, qtype: int, client: str) -> Explanation:
        return await self._explain_asked(await ask(self._configuration, name, qtype, client))

    async def _explain_asked(self, asked: AskedQuestion) -> Explanation:
        answer = shown_answer(asked.query, asked.reply)
        await asyncio.sleep(0)  # which has encoded all of it
        findings = await gather_findings(self._configuration, asked, answer)
        return _joined(findings)

    async def _walk(self, request: ExplainRequest, qtype: int, client: str, resolver: PodResolver) -> Explanation:
        """Walk the search list, and explain the name that it finds, or the one that was probably meant."""
        types = codes.ADDRESS_TYPES if qtype in codes.ADDRESS_TYPES else (qtype,)

        known: dict[tuple[str, int], AskedQuestion] = {}

        async def look_up(name: str, rtype: int) -> AskedQuestion:
            known[name, rtype] = asked = await ask(self._configuration, from_text(name), rtype, client)
            return asked

        walks = await walk_all(request.name, resolver.search, types, look_up)
        name = best_name(request.name, resolver.search, walks, partial(is_of_service, self._configuration))
        answered = best_type(name, walks)
        if not request.type and answered:
            qtype = codes.type_from_text(answered)
        asked = known.get((name, qtype)) or await look_up(name, qtype)
        found = await self._explain_asked(asked)
        found.notes += resolver.notes
        add_walks(found, request.name, resolver.search, walks)
        if resolver.uses_node:
            text = f"{resolver.uses_node}: it asks the node's resolver, with the node's search list"
            found.verdict.outcome, found.verdict.cause, found.verdict.text = UNKNOWN, "node-resolver", text
            found.verdict.next_step = "set dnsPolicy: ClusterFirstWithHostNet for the cluster's names"
        return found

    async def _resolver(self, asked_from: str) -> PodResolver | None:
        """Find the stub resolver of the client. Raises ExplainError where this server has no cluster."""
        if not asked_from:
            return None
        views = [view for context in self._configuration.contexts for view in context.exports(ClusterView)]
        if not views:
            raise ExplainError("a search list needs a cluster: no server block has 'kubernetes'")
        namespace, _, pod = asked_from.partition("/")
        return await resolver_of(views[0], namespace, pod)


def _question(request: ExplainRequest) -> tuple[bytes, int]:
    """Read the name and the type. Raises ExplainError."""
    try:
        name = from_address(ip_address(request.name).packed)
    except ValueError:
        try:
            name = from_text(request.name)
        except ValueError as error:
            raise ExplainError(f"not a domain name: {error}") from error
    default = "PTR" if is_reverse(name) else "SRV" if name[1:2] == b"_" else "A"
    try:
        qtype = codes.type_from_text(request.type or default)
    except ValueError as error:
        raise ExplainError(str(error)) from error
    if qtype in codes.TRANSFER_TYPES:
        raise ExplainError("a zone transfer is not a question about a name; ask for SOA")
    return name, qtype


def _client(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ExplainError("the client is not an IP address") from None


def _joined(findings: Findings) -> Explanation:
    """Make the explanation of findings."""
    asked = findings.asked
    block = ""
    if asked.block is not None:
        block = f"{' '.join(word.text for word in asked.block.words)} at {asked.block.file}:{asked.block.line}"
    return Explanation(
        name=findings.name,
        type=findings.qtype,
        client=asked.query.client_text,
        block=block,
        zone=to_text(asked.zone) if asked.zone else "",
        verdict=verdict_on(findings),
        answer=findings.answer,
        steps=[one.shown for one in asked.trace.roots],
        attempts=[UpstreamAttempt(*one) for one in asked.attempts],
        services=list(
            {(one.service.namespace, one.service.name): one.service for one in findings.names if one.service}.values()
        ),
        changes=changes_of(findings),
        cached=cached_text(findings),
        notes=["the chain is longer than what is recorded"] if asked.trace.is_cut else [],
    )
