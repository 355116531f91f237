"""Verdicts about a Service: whether it is there, its ports, and its endpoints. See `table`."""

from clusterdns.cluster.index.schema import NameForm
from clusterdns.cluster.objects import is_address
from clusterdns.corefile.errors import nearest
from clusterdns.server.explaining.explanation import ExplainedService, ExplainedVerdict
from clusterdns.server.explaining.findings import ClusterName, Findings
from clusterdns.wire import codes
from clusterdns.wire.name import label_text

_DNS_SERVICES, _DNS_PORT = (b"kube-dns", b"coredns"), 53
_SERVICE_FORMS = (NameForm.SERVICE, NameForm.PORT, NameForm.ENDPOINT)


def _service(f: Findings) -> tuple[ClusterName, ExplainedService] | None:
    """Return the Service of a name of the cluster that has no answer."""
    cluster = f.cluster
    if f.resolves or cluster is None or cluster.service is None or cluster.parsed.form not in _SERVICE_FORMS:
        return None
    return cluster, cluster.service


def external_name(f: Findings) -> ExplainedVerdict | None:
    """Recognise an ExternalName that leads to nowhere, to itself or to an address."""
    found = _service(f)
    if found is None or found[1].type != "ExternalName":
        return None
    cluster, service = found
    key, target = service.label, service.external_name
    if cluster.parsed.form is not NameForm.SERVICE:
        return f.verdict(
            "external-name", f"{key} is an ExternalName, which has no names of ports or endpoints below it"
        )
    if is_address(target):
        hint = "an externalName is a DNS name: use a Service without selector and an EndpointSlice with the address"
        return f.verdict("external-name-address", f'externalName "{target}" of {key} is an IP address', hint)
    if not target or not f.reply.answer:
        return f.verdict("external-name", f'externalName "{target}" of {key} is not a DNS name', "correct it")
    chain = [one.step.shown.name for one in f.names]
    back = next((one for number, one in enumerate(chain) if one in chain[:number]), None)
    if back is not None:
        loop = " -> ".join(chain[: chain.index(back, chain.index(back) + 1) + 1])
        text = f"the CNAMEs lead back to {back}: {loop}"
        return f.verdict("external-name-loop", text, f"correct externalName of {key}")
    if f.qtype == "CNAME":
        return None
    who = f"; {f.plugin} at {f.place} answers for it" if f.plugin not in ("", "kubernetes") else ""
    if f.reply.rcode == codes.NOERROR:
        text = f'{key} is an ExternalName of "{target}", which has no {f.qtype} record here{who}'
        return f.verdict("external-name-target", text, "no plugin here may serve that name: see 'forward'")
    text = f'{key} is an ExternalName of "{target}": {f.code}{who}'
    return f.verdict("external-name-target", text, "correct externalName, or the target")


def skipped_part(f: Findings) -> ExplainedVerdict | None:
    """Recognise objects that cannot be used, or a part of them."""
    found = _service(f)
    if found is None or not found[1].problems:
        return None
    problem = found[1].problems[0]
    more = f" (and {len(found[1].problems) - 1} more)" if len(found[1].problems) > 1 else ""
    made = f.verdict("skipped", problem + more, "correct the object; the server ignores that part of it")
    made.text = f"skipped: {problem}{more}"
    return made


def missing(f: Findings) -> ExplainedVerdict | None:
    """Recognise a Service that does not exist."""
    found = _service(f)
    if found is None or found[1].exists:
        return None
    cluster, service = found
    text = f'{service.kind} "{service.name}" does not exist in namespace "{service.namespace}"'
    selector = cluster.view.settings.api.labels
    if selector:
        text += f", or has not the labels {selector} ({cluster.step.shown.place})"
    hint = f"kubectl -n {service.namespace} get services lists them"
    if cluster.near_service:
        hint = f'did you mean "{cluster.near_service}"?'
    elif cluster.elsewhere:
        hint = f"there is one in namespace {', '.join(cluster.elsewhere)}"
    return f.verdict("service-missing", text, hint)


def hidden_without_endpoints(f: Findings) -> ExplainedVerdict | None:
    """Recognise a Service that `ignore empty_service` hides."""
    found = _service(f)
    if found is None or found[1].is_headless or not found[0].view.settings.ignore_empty_service:
        return None
    cluster, service = found
    if service.listed_count:
        return None
    text = f"{_readiness(service)}, and ignore empty_service at {cluster.step.shown.place} hides such a Service"
    return f.verdict("ignore-empty-service", text, _endpoint_hint(service))


def no_such_endpoint(f: Findings) -> ExplainedVerdict | None:
    """Recognise the name of an endpoint that is not there, or not ready."""
    found = _service(f)
    if found is None or found[0].parsed.form is not NameForm.ENDPOINT or f.code != "NXDOMAIN":
        return None
    cluster, service = found
    label = label_text(cluster.parsed.endpoint)
    key = service.label
    own = next((one for one in service.endpoints if not one.is_listed and label in (one.pod, one.hostname)), None)
    if own is not None:
        text = f'endpoint "{label}" of {key} is left out: {own.reason}'
        return f.verdict("endpoint-not-ready", text, _endpoint_hint(service))
    if not service.listed_count:
        return f.verdict("not-ready", _readiness(service), _endpoint_hint(service))
    known = [one.hostname for one in service.endpoints if one.is_listed and one.hostname]
    near = nearest(label, known)
    if near is not None:
        return f.verdict(
            "endpoint-missing", f'no ready endpoint of {key} is called "{label}"', f'did you mean "{near}"?'
        )
    hint = "a pod has a name of its own where its hostname is set and its subdomain is the Service's name (StatefulSet)"
    return f.verdict("endpoint-missing", f'no ready endpoint of {key} is called "{label}"', hint)


def nothing_ready(f: Findings) -> ExplainedVerdict | None:
    """Recognise a headless Service without a ready endpoint."""
    found = _service(f)
    if found is None or not found[1].is_headless or found[1].listed_count:
        return None
    cluster, service = found
    if not cluster.view.settings.api.endpoints:
        text = f"noendpoints at {cluster.step.shown.place} leaves all endpoints out"
        return f.verdict("noendpoints", text, "remove that option for headless Services")
    return f.verdict("not-ready", _readiness(service), _endpoint_hint(service))


def _readiness(service: ExplainedService) -> str:
    """Write how many endpoints are ready, and the first reasons why others are not."""
    key = service.label
    if service.endpoint_count:
        why = next((one.reason for one in service.endpoints if one.reason and not one.is_listed), "")
        shown = f" ({why})" if why else ""
        return f"{key} exists, {service.listed_count} of {service.endpoint_count} endpoints are ready{shown}"
    if service.selector:
        text = ",".join(f"{name}={value}" for name, value in sorted(service.selector.items()))
        return f"{key} exists, its selector {text} matches no pod"
    if service.unseen or (not service.place and not service.slices):
        return f"{key} exists, and has no ready endpoint"
    return f"{key} exists, has no selector, and no EndpointSlice names it"


def _endpoint_hint(service: ExplainedService) -> str:
    """Return the next step for a Service without ready endpoints."""
    not_ready = next((one.pod for one in service.endpoints if one.pod and not one.is_listed), "")
    if not_ready:
        return f"kubectl -n {service.namespace} describe pod {not_ready}"
    if service.near_selector:
        return f'did you mean "{service.near_selector}"?'
    if service.unseen:
        return f"not seen: {service.unseen[0]}"
    if service.selector:
        return f"kubectl -n {service.namespace} get pods --show-labels"
    return "add a selector to the Service, or an EndpointSlice with the label kubernetes.io/service-name"


def no_such_port(f: Findings) -> ExplainedVerdict | None:
    """Recognise a port that the Service does not have, or with another protocol."""
    found = _service(f)
    if found is None or f.code != "NXDOMAIN":
        return None
    cluster, service = found
    if cluster.parsed.form is not NameForm.PORT:
        return None
    port, protocol = label_text(cluster.parsed.port), label_text(cluster.parsed.protocol)
    key = service.label
    same = [one for one in service.ports if one.name.lower() == port]
    if same:
        has = " and ".join(dict.fromkeys(one.protocol for one in same))
        hint = f"ask for {same[0].srv_name}"
        return f.verdict("port-protocol", f'port "{port}" of {key} is {has}, not {protocol.upper()}', hint)
    known = [one.name for one in service.ports if one.name]
    near = nearest(port, known)
    listed = (
        f"its named ports are {', '.join(known[:6])}" if known else "its ports have no names, so they have no SRV names"
    )
    return f.verdict("port-missing", f'{key} has no port "{port}"', f'did you mean "{near}"?' if near else listed)


def other_type(f: Findings) -> ExplainedVerdict | None:
    """Recognise a name that has no record of this type."""
    found = _service(f)
    if found is None or f.code != "NODATA" or f.plugin not in ("kubernetes", ""):
        return None
    _, service = found
    key = service.label
    addresses = service.cluster_ips or [text for one in service.endpoints if one.is_listed for text in one.addresses]
    has_v6, has_v4 = any(":" in one for one in addresses), any(":" not in one for one in addresses)
    if f.qtype == "AAAA" and has_v4 and not has_v6:
        return f.verdict(
            "other-type", f"{key} has IPv4 addresses only", "ask for A; stub resolvers take NODATA as that"
        )
    if f.qtype == "A" and has_v6 and not has_v4:
        return f.verdict("other-type", f"{key} has IPv6 addresses only", "ask for AAAA")
    return f.verdict("other-type", f"{key} exists, and has no {f.qtype} record", "it has A, AAAA and SRV records")


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
    return f.verdict("resolves-without-endpoints", f"{key} ({kind}), but nothing answers there: {_readiness(service)}",
                     _endpoint_hint(service))  # fmt: skip
