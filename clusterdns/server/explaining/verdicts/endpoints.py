"""Verdicts about the endpoints and ports of a Service. See `table`."""

from clusterdns.cluster.index.schema import NameForm
from clusterdns.corefile.errors import nearest
from clusterdns.server.explaining.explanation import ExplainedService, ExplainedVerdict
from clusterdns.server.explaining.findings import Findings, service_of
from clusterdns.wire.name import label_text


def hidden_without_endpoints(f: Findings) -> ExplainedVerdict | None:
    """Recognise a Service that `ignore empty_service` hides."""
    found = service_of(f)
    if found is None or found[1].is_headless or not found[0].view.settings.ignore_empty_service:
        return None
    cluster, service = found
    if service.listed_count:
        return None
    text = f"{readiness(service)}, and ignore empty_service at {cluster.step.shown.place} hides such a Service"
    return f.verdict("ignore-empty-service", text, endpoint_hint(service))


def no_such_endpoint(f: Findings) -> ExplainedVerdict | None:
    """Recognise the name of an endpoint that is not there, or not ready."""
    found = service_of(f)
    if found is None or found[0].parsed.form is not NameForm.ENDPOINT or f.code != "NXDOMAIN":
        return None
    cluster, service = found
    label = label_text(cluster.parsed.endpoint)
    key = service.label
    own = next((one for one in service.endpoints if not one.is_listed and label in (one.pod, one.hostname)), None)
    if own is not None:
        text = f'endpoint "{label}" of {key} is left out: {own.reason}'
        return f.verdict("endpoint-not-ready", text, endpoint_hint(service))
    if not service.listed_count:
        return _none_of_that_name(f, service, label)
    nameless = next((one for one in service.endpoints if one.is_listed and one.pod == label), None)
    if nameless is not None:
        text = f'pod "{label}" is a ready endpoint of {key}, without a name of its own'
        return f.verdict("endpoint-without-name", text, f"its subdomain (serviceName) must be {service.name}")
    known = [one.hostname for one in service.endpoints if one.is_listed and one.hostname]
    near = nearest(label, known)
    if near is not None:
        return f.verdict(
            "endpoint-missing", f'no ready endpoint of {key} is called "{label}"', f'did you mean "{near}"?'
        )
    hint = "a pod has a name of its own where its hostname is set and its subdomain is the Service's name (StatefulSet)"
    return f.verdict("endpoint-missing", f'no ready endpoint of {key} is called "{label}"', hint)


def _none_of_that_name(f: Findings, service: ExplainedService, label: str) -> ExplainedVerdict:
    """Describe an endpoint that is not there, of a Service without a ready one."""
    names = [name for one in service.endpoints for name in (one.hostname, one.pod) if name]
    if not names:
        return f.verdict("not-ready", readiness(service), endpoint_hint(service))
    near = nearest(label, names)
    hint = f'did you mean "{near}"?' if near is not None else f"its endpoints are {', '.join(dict.fromkeys(names))}"
    text = f'no endpoint of {service.label} is called "{label}", and none is ready'
    return f.verdict("endpoint-missing", text, hint)


def nothing_ready(f: Findings) -> ExplainedVerdict | None:
    """Recognise a headless Service without a ready endpoint."""
    found = service_of(f)
    if found is None or not found[1].is_headless or found[1].listed_count:
        return None
    cluster, service = found
    if not cluster.view.settings.api.endpoints:
        text = f"noendpoints at {cluster.step.shown.place} leaves all endpoints out"
        return f.verdict("noendpoints", text, "remove that option for headless Services")
    return f.verdict("not-ready", readiness(service), endpoint_hint(service))


def readiness(service: ExplainedService) -> str:
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


def endpoint_hint(service: ExplainedService) -> str:
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
    if service.near_slice:
        return service.near_slice
    return "add a selector to the Service, or an EndpointSlice with the label kubernetes.io/service-name"


def no_such_port(f: Findings) -> ExplainedVerdict | None:
    """Recognise a port that the Service does not have, or with another protocol."""
    found = service_of(f)
    if found is None or f.code != "NXDOMAIN":
        return None
    cluster, service = found
    if cluster.parsed.form is not NameForm.PORT:
        return None
    port, protocol = label_text(cluster.parsed.port), label_text(cluster.parsed.protocol)
    key = service.label
    same = [one for one in service.ports if one.name.lower() == port]
    unserved = next((one for one in same if one.protocol.lower() == protocol), None)
    if unserved is not None:
        target = unserved.target_port or unserved.port
        text = f'no ready endpoint of {key} has the port "{port}" (targetPort {target})'
        return f.verdict("port-unresolved", text, "a targetPort by name must be the name of a container's port")
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
