"""Verdicts about names of the cluster in general: the schema, namespaces, pods and addresses. See `table`."""

from clusterdns.cluster.index.pods import PodMode, address_in_label
from clusterdns.cluster.index.schema import SERVICE_TREE, NameForm
from clusterdns.cluster.objects import address_text
from clusterdns.plugins.kubernetes.exports import ClusterView
from clusterdns.server.explaining.explanation import ExplainedVerdict
from clusterdns.server.explaining.findings import ClusterName, Findings
from clusterdns.wire import codes
from clusterdns.wire.name import is_under, label_text, labels, to_address, to_text

SCHEMA = (
    "SERVICE.NAMESPACE.svc.{zone}, _PORT._PROTOCOL.SERVICE.NAMESPACE.svc.{zone} or IP-WITH-DASHES.NAMESPACE.pod.{zone}"
)


def other_block(f: Findings) -> ExplainedVerdict | None:
    """Recognise a name of the cluster that a server block without `kubernetes` takes."""
    if f.resolves or f.cluster is not None or f.asked.block is None:
        return None
    name = f.asked.query.name
    for source, context in zip(f.configuration.sources, f.configuration.contexts, strict=True):
        zones = [zone for view in context.exports(ClusterView) for zone in view.zones]
        found = next((zone.zone for zone in zones if not zone.is_reverse and is_under(name, zone.zone)), None)
        if found is not None and source is not f.asked.block and f.asked.zone != found:
            taker = f"{to_text(f.asked.zone)} at {f.asked.block.file}:{f.asked.block.line}"
            text = f"the server block {taker} takes {f.name} from 'kubernetes' at {source.named('kubernetes')[0].place}"
            return f.verdict("other-block", text, "the block with the longest zone answers: add 'kubernetes' there")
    return None


def reverse_zone_missing(f: Findings) -> ExplainedVerdict | None:
    """Recognise the reverse name of an address in the cluster whose zone no `kubernetes` has."""
    address = to_address(f.asked.query.name)
    if f.resolves or f.cluster is not None or address is None:
        return None
    for source, context in zip(f.configuration.sources, f.configuration.contexts, strict=True):
        for view in context.exports(ClusterView):
            reverse = view.zones[0].index.reverse
            keys = [*reverse.services(address)[:1], *((e.namespace, e.service) for e in reverse.endpoints(address)[:1])]
            if keys:
                owner = "/".join(map(label_text, keys[0]))
                text = f"{address_text(address)} is an address of Service {owner}, and no reverse zone here has it"
                place = source.named("kubernetes")[0].place
                hint = (
                    f"add {'in-addr.arpa' if len(address) == 4 else 'ip6.arpa'} to the zones of 'kubernetes' at {place}"
                )
                return f.verdict("reverse-zone-missing", text, hint)
    return None


def other_spelling(f: Findings) -> ExplainedVerdict | None:
    """Recognise the labels of a Service's name in a zone, or of a form, that the cluster does not have."""
    parts = labels(f.asked.query.name)
    zones = _cluster_zones(f)
    has_tree = f.cluster is None and bool(zones) and SERVICE_TREE in parts[2:5]
    if f.resolves or not (f.meant or has_tree):
        return None
    hint = f'did you mean "{f.meant}"?' if f.meant else f"names of Services end in .svc.{zones[0]}"
    if f.cluster is not None:
        zone = to_text(f.cluster.zone.zone)
        return f.verdict("not-in-schema", f'a Service\'s name in {zone} has the label "svc"', hint)
    if len(parts) <= 2:
        text = f"{f.name} is short, and this query has no search list"
        return f.verdict("short-name", text, f"{hint} or ask as a pod does: --from NAMESPACE")
    return f.verdict("wrong-cluster-domain", f"{f.name} is in no zone of this cluster ({', '.join(zones)})", hint)


def _cluster_zones(f: Findings) -> list[str]:
    views = (view for context in f.configuration.contexts for view in context.exports(ClusterView))
    return [to_text(zone.zone) for view in views for zone in view.zones if not zone.is_reverse]


def _unanswered(f: Findings) -> ClusterName | None:
    """Return the client's name in the cluster, where the cluster has no answer."""
    return None if f.resolves or f.cluster is None else f.cluster


def namespace_left_out(f: Findings) -> ExplainedVerdict | None:
    """Recognise a namespace that the option `namespaces` leaves out."""
    cluster = _unanswered(f)
    if cluster is None or not cluster.parsed.namespace:
        return None
    if cluster.zone.index.namespaces.serves(cluster.parsed.namespace):
        return None
    namespace = label_text(cluster.parsed.namespace)
    text = f'namespace "{namespace}" is left out by the option namespaces at {cluster.step.shown.place}'
    return f.verdict("namespace-left-out", text, "add it there, and to the Role of this server")


def namespace_missing(f: Findings) -> ExplainedVerdict | None:
    """Recognise a namespace that does not exist."""
    cluster = _unanswered(f)
    if cluster is None or not cluster.parsed.namespace or cluster.zone.index.exposes(cluster.parsed.namespace):
        return None
    if cluster.parsed.form is NameForm.UNKNOWN:
        return None
    text = f'namespace "{label_text(cluster.parsed.namespace)}" does not exist'
    if cluster.view.settings.api.namespace_labels:
        text += f" or has not the labels {cluster.view.settings.api.namespace_labels} ({cluster.step.shown.place})"
    near = cluster.near_namespace
    if cluster.swapped:
        hint = f'namespace and Service are swapped: did you mean "{cluster.swapped}"?'
        return f.verdict("namespace-missing", text, hint)
    if not near and cluster.elsewhere:
        hint = f'a Service\'s name has its namespace: did you mean "{cluster.elsewhere[0]}"?'
        return f.verdict("namespace-missing", text, hint)
    return f.verdict(
        "namespace-missing", text, f'did you mean "{near}"?' if near else "kubectl get namespaces lists them"
    )


def no_such_form(f: Findings) -> ExplainedVerdict | None:
    """Recognise a name that no object can have."""
    cluster = _unanswered(f)
    if cluster is None or cluster.parsed.form is not NameForm.UNKNOWN or cluster.zone.is_reverse:
        return None
    if f.plugin not in ("kubernetes", "") or (cluster.view.settings.zonal and cluster.parsed.service):
        return None
    zone = to_text(cluster.zone.zone)
    text = f"no object of the cluster can have the name {f.name}"
    return f.verdict("not-in-schema", text, f"names are {SCHEMA.format(zone=zone)}")


def above_names(f: Findings) -> ExplainedVerdict | None:
    """Recognise a name that exists only as an ancestor of others, or that has records of other types."""
    cluster = _unanswered(f)
    if cluster is None or f.code != "NODATA" or f.plugin not in ("kubernetes", ""):
        return None
    zone, namespace = to_text(cluster.zone.zone), label_text(cluster.parsed.namespace)
    match cluster.parsed.form:
        case NameForm.SERVICE_NAMESPACE:
            text = f'{f.name} stands for the namespace "{namespace}", and has no records'
            return f.verdict("namespace-name", text, f"a Service's name goes before it: SERVICE.{f.name}")
        case NameForm.POD_NAMESPACE:
            text = f'{f.name} stands for the namespace "{namespace}", and has no records'
            return f.verdict("namespace-name", text, f"the address of a pod goes before it: 10-1-2-3.{f.name}")
        case NameForm.FIXED if f.asked.query.name == cluster.zone.zone:
            return f.verdict("zone-name", f"{zone} is the zone of the cluster", "it has SOA and NS records")
        case NameForm.FIXED:
            hint = f"names of objects go before it: {SCHEMA.format(zone=zone)}"
            return f.verdict("zone-name", f"{f.name} stands above the names of objects, and has no records", hint)
        case NameForm.VERSION:
            return f.verdict("other-type", f"{f.name} has the version of the schema", "ask for TXT")
    return None


def pod_names(f: Findings) -> ExplainedVerdict | None:
    """Recognise why a pod's name is not answered."""
    cluster = _unanswered(f)
    if cluster is None or cluster.parsed.form not in (NameForm.POD, NameForm.POD_NAMESPACE):
        return None
    place, mode = cluster.step.shown.place, cluster.view.settings.pods
    if mode is PodMode.DISABLED:
        return f.verdict("pods-disabled", f"pod names are off (pods disabled at {place})", "set 'pods verified' there")
    if cluster.parsed.form is NameForm.POD_NAMESPACE:
        return None
    label = label_text(cluster.parsed.endpoint)
    address = address_in_label(cluster.parsed.endpoint)
    if address is None:
        hint = "write an address with dashes, such as 10-1-2-3; pods have no names of their own there"
        return f.verdict("pod-address", f'"{label}" is not the address of a pod', hint)
    text = address_text(address)
    if f.asked.query.qtype == (codes.AAAA if len(address) == 4 else codes.A):
        return f.verdict("other-type", f"{text} is not an address for {f.qtype}", "ask for the other type")
    namespace = label_text(cluster.parsed.namespace)
    there = [label_text(one) for one, _ in cluster.zone.index.pods.at(address)[:1]]
    hint = f'it is of a pod in "{there[0]}"' if there else "the pod may have been replaced; names of Services stay"
    return f.verdict("pod-missing", f'no pod of namespace "{namespace}" has the address {text}', hint)


def no_such_address(f: Findings) -> ExplainedVerdict | None:
    """Recognise a reverse name of an address that nothing in the cluster has."""
    cluster = _unanswered(f)
    if cluster is None or not cluster.zone.is_reverse or f.plugin not in ("kubernetes", ""):
        return None
    address = to_address(f.asked.query.name)
    if address is None:
        return f.verdict("not-in-schema", f"{f.name} is not the reverse name of an address")
    if f.code == "NODATA":
        return f.verdict("other-type", f"{f.name} has PTR records only", "ask for PTR")
    text = f"no Service or ready endpoint has the address {address_text(address)}"
    if f.reply.is_unhandled:  # `fallthrough` passes it on, and no plugin has it either
        text += ", and no plugin after 'kubernetes' answers for it"
    return f.verdict("address-missing", text, "pods have no PTR records unless a Service selects them")
