"""What would change an answer, and until when a copy of it is used: from the dependencies of the reply."""

from clusterdns.chain import Reply
from clusterdns.cluster.dependents import WHOLE
from clusterdns.cluster.objects import address_text
from clusterdns.plugins.cache.phases import Phase
from clusterdns.server.explaining.explanation import ANSWERED
from clusterdns.server.explaining.findings import Findings
from clusterdns.wire.name import label_text

MAX_CHANGES = 6


def changes_of(findings: Findings) -> list[str]:
    """List what would change the answer of this server, besides its Corefile."""
    found = [text for one in findings.reply.dependencies if (text := _change(one))]
    if findings.plugin == "file":
        found.append("another content of the zone file")
    if findings.plugin == "hosts":
        found.append("another content of the hosts file")
    if findings.reply.is_upstream:
        found.append("another reply of the upstream, once the cached one has expired")
    return list(dict.fromkeys(found))[:MAX_CHANGES]


def _change(dependency: object) -> str:
    if dependency is WHOLE or isinstance(dependency, Phase):
        return ""
    if isinstance(dependency, bytes):
        return f"a Service, endpoint or pod with the address {address_text(dependency)}, at once"
    if isinstance(dependency, tuple) and all(isinstance(one, bytes) for one in dependency):
        match [label_text(one) for one in dependency]:
            case [namespace]:
                return f"Namespace {namespace}, at once"
            case [namespace, service]:
                return f"Service {namespace}/{service} and its EndpointSlices, at once"
    return ""


def cached_text(findings: Findings) -> str:
    """Write where the answer is cached, and for how long: by the `cache` plugin, and by clients."""
    cache = [step for step in findings.asked.trace.of("cache") if step.query.name == _effective(findings)]
    held = cache[-1].shown.detail if cache else ""
    ttl = _ttl(findings.reply)
    clients = f"resolvers may keep the answer for {ttl} s" if ttl is not None else ""
    if held:
        origin = "answered from the cache" if cache[-1].shown.action == ANSWERED else "asked anew"
        return "; ".join(filter(None, (f"the cache {held} ({origin})", clients)))
    return clients


def _effective(findings: Findings) -> bytes:
    return findings.asked.query.effective.name if findings.deciding is None else findings.deciding.query.name


def _ttl(reply: Reply) -> int | None:
    """Return for how long others may keep the reply: the smallest TTL, of a negative one that of its SOA."""
    records = reply.answer or reply.authority
    return min((one.ttl for one in records[:100]), default=None)
