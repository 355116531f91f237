"""What is known about one question when its verdict is made, and the Services and namespaces that it may have meant."""

import asyncio
from dataclasses import dataclass, field
from itertools import islice

from clusterdns.chain import Reply
from clusterdns.cluster.index.schema import SERVICE_TREE, NameForm, ParsedName, parse_imported_name, parse_name
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.plugins.kubernetes.exports import ClusterView
from clusterdns.server.assembly import Configuration
from clusterdns.server.explaining.asking import AskedQuestion
from clusterdns.server.explaining.explanation import (
    DOES_NOT_RESOLVE,
    RESOLVES,
    UNKNOWN,
    ExplainedAnswer,
    ExplainedService,
    ExplainedVerdict,
)
from clusterdns.server.explaining.near import nearest_label
from clusterdns.server.explaining.objects import describe_service
from clusterdns.server.explaining.tracing import TracedStep
from clusterdns.wire import codes
from clusterdns.wire.name import from_text, is_under, label_text, labels, longest_suffix, to_text

MAX_SERVICES = 4  # behind one question: the name's own, and the targets of ExternalNames
NO_NAME = ParsedName(NameForm.UNKNOWN)
_SERVICE_FORMS = (NameForm.SERVICE, NameForm.PORT, NameForm.ENDPOINT)
_CLUSTER_PLUGINS = ("kubernetes",)


@dataclass
class ClusterName:
    """A name in a zone of `kubernetes`: its labels by their meaning, and the Service behind it."""

    step: TracedStep
    view: ClusterView
    zone: ClusterZone
    parsed: ParsedName
    service: ExplainedService | None
    near_namespace: str = ""
    near_service: str = ""
    elsewhere: list[str] = field(default_factory=list)  # namespaces with such a Service; or such Services' full names
    swapped: str = ""  # the full name of the Service whose labels are in the wrong order


@dataclass
class Findings:
    """Everything that verdicts are made of."""

    configuration: Configuration
    asked: AskedQuestion
    answer: ExplainedAnswer
    deciding: TracedStep | None  # the step that made the reply
    names: list[ClusterName]  # the names of the cluster that were looked up, the client's first
    meant: str = ""  # a name of a Service, where the name asked for is in no zone, or not of the schema

    @property
    def name(self) -> str:
        """The name asked for."""
        return to_text(self.asked.query.name)

    @property
    def qtype(self) -> str:
        """The type asked for."""
        return codes.type_text(self.asked.query.qtype)

    @property
    def reply(self) -> Reply:
        """The reply."""
        return self.asked.reply

    @property
    def plugin(self) -> str:
        """The plugin that made the reply."""
        return "" if self.deciding is None else self.deciding.part.name

    @property
    def place(self) -> str:
        """The line of the Corefile that made the reply."""
        return "" if self.deciding is None else self.deciding.shown.place

    @property
    def cluster(self) -> ClusterName | None:
        """The first name of the cluster, if a kubernetes directive has the zone."""
        return self.names[0] if self.names else None

    @property
    def resolves(self) -> bool:
        """Whether the reply has a record of the type asked for."""
        qtype = self.asked.query.qtype
        return (
            self.reply.rcode == codes.NOERROR
            and not self.reply.is_dropped
            and any(qtype in (codes.ANY, one.rtype) for one in self.reply.answer)
        )

    @property
    def code(self) -> str:
        """The response code, or NODATA, or what stands for it where there is no reply."""
        if self.reply.is_dropped:
            return "no reply"
        if self.reply.rcode == codes.NOERROR and not self.resolves:
            return "NODATA"
        return codes.rcode_text(self.reply.rcode)

    def verdict(self, cause: str, text: str, next_step: str = "", *, is_unknown: bool = False) -> ExplainedVerdict:
        """Make a verdict with the response code in front."""
        outcome = UNKNOWN if is_unknown else RESOLVES if self.resolves else DOES_NOT_RESOLVE
        head = "resolves" if self.resolves else self.code
        return ExplainedVerdict(outcome, "" if self.resolves else self.code, cause, f"{head}: {text}", next_step)


def service_of(f: Findings) -> tuple[ClusterName, ExplainedService] | None:
    """Return the Service of a name of the cluster that has no answer."""
    cluster = f.cluster
    if f.resolves or cluster is None or cluster.service is None or cluster.parsed.form not in _SERVICE_FORMS:
        return None
    return cluster, cluster.service


async def gather_findings(configuration: Configuration, asked: AskedQuestion, answer: ExplainedAnswer) -> Findings:
    """Look at what stands behind a reply."""
    names: list[ClusterName] = []
    for step in asked.trace.of(*_CLUSTER_PLUGINS)[:MAX_SERVICES]:
        found = await _cluster_name(step)
        if found is not None:
            names.append(found)
    findings = Findings(configuration, asked, answer, asked.trace.deciding(), names)
    if not findings.resolves:
        findings.meant = _meant(findings)
    return findings


async def _cluster_name(step: TracedStep) -> ClusterName | None:
    """Describe the name that a kubernetes directive was asked for; None where it is in none of its zones."""
    view = next((one for one in step.part.exports if isinstance(one, ClusterView)), None)
    qname = step.query.name
    by_zone = {} if view is None else {zone.zone: zone for zone in view.zones}
    zone_name = longest_suffix(qname, by_zone)
    if view is None or zone_name is None:
        return None
    zone = by_zone[zone_name]
    parsed = _parsed(view, zone, qname) or NO_NAME
    service = await describe_service(view, zone, parsed) if parsed.service else None
    found = ClusterName(step, view, zone, parsed, service)
    if parsed.namespace and not zone.index.exposes(parsed.namespace):
        found.near_namespace = await nearest_label(parsed.namespace, zone.index.namespaces.names())
        found.swapped = _named([parsed.namespace, parsed.service], zone) if parsed.service else ""
        if parsed.form is NameForm.SERVICE_NAMESPACE:
            await asyncio.sleep(0)
            homes = (namespace for namespace, name in zone.index.service_keys() if name == parsed.namespace)
            found.elsewhere = [_named([parsed.namespace, namespace], zone) for namespace in islice(homes, 3)]
    elif parsed.service and service is not None and not service.exists:
        keys = zone.index.service_keys()
        found.near_service = await nearest_label(
            parsed.service, (name for namespace, name in keys if namespace == parsed.namespace)
        )
        await asyncio.sleep(0)
        others = (namespace for namespace, name in keys if name == parsed.service and zone.index.exposes(namespace))
        found.elsewhere = [label_text(one) for one in islice(others, 3)]
    return found


def _meant(findings: Findings) -> str:
    """Return the full name of the Service that a name in no zone, or of no form, spells; empty where there is none."""
    parts = labels(findings.asked.query.name)
    cluster = findings.cluster
    if cluster is not None and cluster.parsed.form is not NameForm.UNKNOWN:
        return ""
    if cluster is not None:
        zone_labels = len(labels(cluster.zone.zone))
        return _named(parts[: len(parts) - zone_labels], cluster.zone, rests=1)
    for context in findings.configuration.contexts:
        for view in context.exports(ClusterView):
            for zone in view.zones:
                found = "" if zone.is_reverse else _named(parts, zone)
                if found:
                    return found
    return ""


def is_of_service(configuration: Configuration, name: str) -> bool:
    """Return whether a full name is that of a Service that exists, or of an endpoint or port of it."""
    qname = from_text(name)
    for context in configuration.contexts:
        for view in context.exports(ClusterView):
            for zone in view.zones:
                parsed = _parsed(view, zone, qname)
                if parsed is not None and parsed.form in _SERVICE_FORMS:
                    return zone.index.service(parsed.namespace, parsed.service) is not None
    return False


def _parsed(view: ClusterView, zone: ClusterZone, qname: bytes) -> ParsedName | None:
    """Parse a name of this zone; None for others, and for reverse zones."""
    if zone.is_reverse or not is_under(qname, zone.zone):
        return None
    parse = parse_imported_name if zone.zone in view.settings.multicluster else parse_name
    return parse(labels(qname[: len(qname) - len(zone.zone)] + b"\0"))


def meant_by(findings: Findings, text: str) -> str:
    """Return the full name of a Service of the cluster that a short name such as web.prod means; empty where none."""
    cluster = findings.cluster
    try:
        parts = labels(from_text(text))
    except ValueError:
        return ""
    if cluster is None or cluster.zone.is_reverse:
        return ""
    if len(parts) == 1:
        parts = [*parts, cluster.parsed.namespace]
    return _named(parts, cluster.zone) if len(parts) == 2 or (len(parts) == 3 and parts[2] == SERVICE_TREE) else ""


def _named(parts: list[bytes], zone: ClusterZone, rests: int = 0) -> str:
    """Return the full name of a Service that these labels name: [ENDPOINT or port.]SERVICE.NAMESPACE[.svc…].

    `rests` is how many labels may stand in place of `svc`.
    """
    for at in range(min(3, max(0, len(parts) - 1))):
        service, namespace, *rest = parts[at:]
        if len(rest) > rests and rest[0] != SERVICE_TREE:
            continue
        if zone.index.exposes(namespace) and zone.index.service(namespace, service) is not None:
            shown = [*parts[: at + 2], b"svc"]
            return "".join(f"{label_text(one)}." for one in shown) + to_text(zone.zone)
    return ""
