"""Verdicts about a Service: whether it is there, its ports, and its endpoints. See `table`."""

from clusterdns.cluster.index.schema import NameForm
from clusterdns.cluster.objects import is_address
from clusterdns.server.explaining.explanation import ExplainedVerdict
from clusterdns.server.explaining.findings import Findings, meant_by, service_of
from clusterdns.wire import codes


def external_name(f: Findings) -> ExplainedVerdict | None:
    """Recognise an ExternalName that leads to nowhere, to itself or to an address."""
    found = service_of(f)
    if found is None or found[1].type != "ExternalName":
        return None
    cluster, service = found
    key, target = service.label, service.external_name
    if cluster.parsed.form is not NameForm.SERVICE:
        return f.verdict(
            "external-name", f"{key} is an ExternalName, which has no names of ports or endpoints below it"
        )
    if (problem := _not_a_name(f, target)) is not None:
        text, hint = problem
        return f.verdict("external-name", f'externalName "{target}" of {key} {text}', hint)
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
    errors = f"; {'; '.join(f.answer.extended_errors)}" if f.answer.extended_errors else ""
    text = f'{key} is an ExternalName of "{target}": {f.code}{who}{errors}'
    return f.verdict("external-name-target", text, "correct externalName, or the target")


def _not_a_name(f: Findings, target: str) -> tuple[str, str] | None:
    """Return what is wrong with an externalName that is no full DNS name, and the next step; None where it is one."""
    if "://" in target or "/" in target:
        host = target.rpartition("://")[2].partition("/")[0].partition(":")[0]
        return "is a URL, not a DNS name", f'write the host name alone: "{host}"'
    host, _, port = target.rpartition(":")
    if host and port.isdigit() and ":" not in host:
        return "has a port, and a CNAME cannot name one", f'write the host name alone: "{host}"'
    if f.reply.rcode in (codes.NOERROR, codes.NXDOMAIN, codes.SERVFAIL) and (meant := meant_by(f, target)):
        return "is not completed by a search list", f'write the full name: "{meant.rstrip(".")}"'
    return None


def skipped_part(f: Findings) -> ExplainedVerdict | None:
    """Recognise objects that cannot be used, or a part of them."""
    found = service_of(f)
    if found is None or not found[1].problems:
        return None
    problem = found[1].problems[0]
    more = f" (and {len(found[1].problems) - 1} more)" if len(found[1].problems) > 1 else ""
    made = f.verdict("skipped", problem + more, "correct the object; the server ignores that part of it")
    made.text = f"skipped: {problem}{more}"
    return made


def missing(f: Findings) -> ExplainedVerdict | None:
    """Recognise a Service that does not exist."""
    found = service_of(f)
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
    elif service.near_pod:
        hint = service.near_pod
    elif cluster.elsewhere:
        hint = f"there is one in namespace {', '.join(cluster.elsewhere)}"
    return f.verdict("service-missing", text, hint)


def other_type(f: Findings) -> ExplainedVerdict | None:
    """Recognise a name that has no record of this type."""
    found = service_of(f)
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
