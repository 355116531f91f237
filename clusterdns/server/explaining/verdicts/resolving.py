"""Verdicts about names that resolve: from what, and what clients should know all the same. See `table`."""

from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.schema import NameForm
from clusterdns.server.explaining.explanation import ExplainedService, ExplainedVerdict
from clusterdns.server.explaining.findings import Findings
from clusterdns.server.explaining.verdicts.endpoints import endpoint_hint, readiness

_DNS_SERVICES, _DNS_PORT = (b"kube-dns", b"coredns"), 53


def resolves(f: Findings) -> ExplainedVerdict | None:
    """Describe what resolves, and what clients should know all the same."""
    if not f.resolves:
        return None
    size = f.answer.message_bytes
    cut = ""
    if not f.answer.fits_udp_1232:
        cut = f"{size} bytes do not fit into UDP: clients ask again over TCP, which must reach this server"
    service = f.cluster.service if f.cluster is not None else None
    if service is None or not service.exists:
        made = _resolves_elsewhere(f)
    else:
        made = _resolves_as_service(f, service)
    udp_only = _udp_only(f) if cut else ""
    if cut:
        made.cause, made.next_step = "truncated", "; ".join(filter(None, (made.next_step, cut, udp_only)))
    if udp_only:
        made.cause = "udp-only"
    return made


def _udp_only(f: Findings) -> str:
    """Name the Service of the cluster's DNS where it has no TCP port, over which truncated answers are asked again."""
    index = f.cluster.zone.index if f.cluster is not None else None
    for name in _DNS_SERVICES if index is not None else ():
        entry = index.service(b"kube-system", name) if index is not None else None
        ports = entry.service.ports if entry is not None and entry.service is not None else ()
        if ports and not any(one.protocol == "TCP" and one.number == _DNS_PORT for one in ports):
            return (
                f"Service kube-system/{name.decode()} has no TCP port {_DNS_PORT}, so that they get no answer: add it"
            )
    return ""


def _resolves_elsewhere(f: Findings) -> ExplainedVerdict:
    cluster = f.cluster
    if cluster is not None and cluster.parsed.form is NameForm.POD and cluster.view.settings.pods is PodMode.INSECURE:
        text = f"the address that the name spells (pods insecure at {f.place}: whether a pod has it is not looked up)"
        return f.verdict("pods-insecure", text)
    count = f"{f.answer.answer_count} record" + ("s" if f.answer.answer_count != 1 else "")
    stale = any(one.startswith(("3 ", "19 ")) for one in f.answer.extended_errors)
    if f.asked.attempts:
        return f.verdict("resolves", f"{count}, from the upstream {f.asked.attempts[-1].upstream}")
    state = next((one.shown.detail for one in f.asked.trace.of("cache")), "")
    if f.plugin == "cache":
        return f.verdict("stale" if stale else "resolves", f"{count}; the cache {state}")
    return f.verdict("stale" if stale else "resolves", f"{count}, from {f.plugin} at {f.place}")


def _resolves_as_service(f: Findings, service: ExplainedService) -> ExplainedVerdict:
    key = service.label
    kind = "headless" if service.is_headless else service.type
    stale = [one for one in f.answer.extended_errors if one.startswith("3 ")]
    if stale:
        doubt = f.cluster.view.doubt() if f.cluster is not None else ""
        return f.verdict("stale", f"{key} ({kind}), as last known: {doubt}", "clusterdns status shows each watch")
    if service.type == "ExternalName":
        return f.verdict("resolves", f'{key} is an ExternalName of "{service.external_name}"')
    if service.is_headless and service.publishes_not_ready:
        return f.verdict("publishes-not-ready", f"{key} (headless) publishes endpoints whether or not they are ready")
    if service.listed_count:
        ready = f"{service.listed_count} of {service.endpoint_count} endpoints ready"
        hint = f"ignored: {service.problems[0]}" if service.problems else ""
        return f.verdict("resolves", f"{key} ({kind}), {ready}", hint)
    if not service.slices and not service.place:
        return f.verdict("resolves", f"{key} ({kind})")
    return f.verdict("resolves-without-endpoints", f"{key} ({kind}), but nothing answers there: {readiness(service)}",
                     endpoint_hint(service))  # fmt: skip
