"""Verdicts about the server: its blocks, its plugins and its upstreams. See `table`."""

from clusterdns.chain.query import plain_ip
from clusterdns.server.explaining.asking import FAILED, NO_ANSWER
from clusterdns.server.explaining.explanation import (
    ANSWERED,
    DOES_NOT_RESOLVE,
    MAX_LISTED,
    ExplainedVerdict,
)
from clusterdns.server.explaining.findings import Findings
from clusterdns.upstream.pool import LOOPING
from clusterdns.wire import codes
from clusterdns.wire.name import to_text
from clusterdns.wire.presentation.text import rdata_text

_HELD_BY = ("kubernetes", "k8s_external")
_FROM_UPSTREAMS = ("forward", "cache")
TEMPLATE_FAILED = ": template: "  # in the extended error of a template whose output is not a record


def failed_handler(f: Findings) -> ExplainedVerdict | None:
    """Recognise a handler that raised an exception, or never replied."""
    if f.asked.problem == FAILED:
        failed = next((one for one in reversed(f.asked.trace.steps) if one.shown.action == "failed"), None)
        where = "" if failed is None else f" of {failed.part.name} at {failed.shown.place}: {failed.shown.detail}"
        return f.verdict("internal-error", f"an internal error{where}", "please report it with the Corefile")
    if f.asked.problem == NO_ANSWER:
        return f.verdict("no-answer", NO_ANSWER, "look at the upstreams: clusterdns status", is_unknown=True)
    return None


def refused_by_acl(f: Findings) -> ExplainedVerdict | None:
    """Recognise a decision of `acl`."""
    if f.plugin != "acl" or f.deciding is None or f.deciding.shown.action != ANSWERED:
        return None
    action, _, line = f.deciding.shown.detail.partition(",")[0].partition(" on ")
    word = {"block": "refused", "filter": "emptied", "drop": "dropped"}.get(action, "decided")
    client = f.asked.query.client_text
    hint = f"the client {client} matches that line; allow it there, or ask for another client (--client, --from)"
    return ExplainedVerdict(DOES_NOT_RESOLVE, f.code, f"acl-{action}", f"{word} by acl at {f.place} ({line})", hint)


def held_negative(f: Findings) -> ExplainedVerdict | None:
    """Recognise a name that may exist, because the cluster's state is not known."""
    if f.plugin not in _HELD_BY or f.reply.rcode != codes.SERVFAIL or f.reply.is_unhandled:
        return None
    doubt = f.cluster.view.doubt() if f.cluster is not None else "; ".join(f.answer.extended_errors)
    if not doubt:
        return None
    text = f"cannot tell whether {f.name} exists: {doubt}"
    hint = "clusterdns status shows each watch; look at the API server, and at the RBAC of this server"
    if "403" in doubt:
        hint = "grant the rights that the message names, to the ClusterRole of this server"
    return f.verdict("not-current", text, hint, is_unknown=True)


def forwarding_loop(f: Findings) -> ExplainedVerdict | None:
    """Recognise upstreams that lead back to this server."""
    looping = [one for one in f.answer.extended_errors if LOOPING in one]
    if not looping:
        return None
    detail = next((one.shown.detail for one in f.asked.trace.of("forward")), "")
    hint = "name the real upstreams in 'forward'; a node's resolv.conf often names this server"
    return f.verdict("forwarding-loop", f"forwarding leads back to this server: {detail}", hint)


def upstreams_silent(f: Findings) -> ExplainedVerdict | None:
    """Recognise upstreams that do not reply."""
    is_silent = f.reply.rcode == codes.SERVFAIL and not (f.reply.is_upstream or f.reply.is_unhandled)
    if f.plugin not in _FROM_UPSTREAMS or not is_silent:
        return None
    own = next((one.upstream for one in f.asked.attempts if _is_own_address(f, one.upstream)), "")
    if own:
        hint = f"name the real upstreams in 'forward' at {_forward_place(f)}, and add 'loop'"
        return f.verdict("forwarding-loop", f"forwarding leads back to this server: {own} is its own address", hint)
    tried = dict.fromkeys(f"{one.upstream} ({_short(one.outcome)})" for one in f.asked.attempts)
    if not tried:
        return f.verdict("upstreams-down", "; ".join(f.answer.extended_errors) or "no upstream is asked")
    hint = "check that they run, that this host reaches them, and 'forward'" + (f" at {_forward_place(f)}")
    passed_on = ""
    if _is_of_cluster(f) and f.cluster is not None:
        passed_on = f"; 'kubernetes' at {f.cluster.step.shown.place} has no such name, and 'fallthrough' passes it on"
    return f.verdict("upstreams-down", f"no upstream answered: {', '.join(list(tried)[:4])}{passed_on}", hint)


def _is_own_address(f: Findings, upstream: str) -> bool:
    """Return whether an upstream is an address at which the Corefile listens, as far as it can be seen here."""
    host, _, port = upstream.rpartition(":")
    address = plain_ip(host.strip("[]"))
    return any(
        point.port == int(port) and (plain_ip(point.address) == address if point.address else address.is_loopback)
        for point in f.configuration.listen_points
    )


def external_service(f: Findings) -> ExplainedVerdict | None:
    """Recognise a name of `k8s_external` that no Service has."""
    if f.plugin != "k8s_external" or f.resolves or f.deciding is None or f.reply.rcode == codes.SERVFAIL:
        return None
    text = f"k8s_external at {f.place} has no address for {f.name}"
    hint = "SERVICE.NAMESPACE.ZONE has the externalIPs and load balancer addresses of a Service: does it have one?"
    return f.verdict("no-external-address", text, hint)


def _short(outcome: str) -> str:
    return outcome.rpartition(": ")[2]


def _forward_place(f: Findings) -> str:
    return next((one.shown.place for one in f.asked.trace.of("forward")), "")


def upstream_refuses(f: Findings) -> ExplainedVerdict | None:
    """Recognise an error of an upstream."""
    if f.plugin not in _FROM_UPSTREAMS or not f.reply.is_upstream:
        return None
    if f.reply.rcode in (codes.NOERROR, codes.NXDOMAIN):
        return None
    errors = f"; it says: {'; '.join(f.answer.extended_errors)}" if f.answer.extended_errors else ""
    upstream, when = _upstream_of(f)
    host, _, port = upstream.rpartition(":")
    is_plain = bool(f.asked.attempts) and f.asked.attempts[-1].transport == "dns"
    hint = f"ask it yourself: dig @{host.strip('[]')} -p {port} {f.name} {f.qtype}" if is_plain else ""
    return f.verdict("upstream-error", f"{upstream or 'an upstream'} answers {f.code}{when}{errors}", hint)


def _upstream_of(f: Findings) -> tuple[str, str]:
    """Return the upstream that answered, or none and the cache's state."""
    if f.asked.attempts:
        return f.asked.attempts[-1].upstream, ""
    state = next((one.shown.detail for one in f.asked.trace.of("cache")), "")
    return "", f" (the cache {state})" if state else ""


def truncated_by_upstream(f: Findings) -> ExplainedVerdict | None:
    """Recognise a truncated reply of an upstream that does not answer over TCP."""
    if not f.reply.is_truncated:
        return None
    upstream, _ = _upstream_of(f)
    text = f"the reply of {upstream or 'an upstream'} is truncated, and it does not answer over TCP"
    made = f.verdict("truncated-upstream", text, "open TCP port 53 from this server to the upstream")
    made.outcome, made.text = DOES_NOT_RESOLVE, f"truncated: {text}"
    return made


def template(f: Findings) -> ExplainedVerdict | None:
    """Recognise a `template` that decided against the name."""
    if f.plugin != "template" or f.resolves or f.deciding is None:
        return None
    failed = [one for one in f.answer.extended_errors if TEMPLATE_FAILED in one]
    if failed:
        place, _, reason = failed[0].partition(": ")[2].partition(TEMPLATE_FAILED)
        return f.verdict("template", f"template at {place}: {reason}", "what it writes must be a record; correct it")
    return f.verdict(
        "template", f"template at {f.place}: {f.deciding.shown.detail}", f"change the template at {f.place}"
    )


def hosts(f: Findings) -> ExplainedVerdict | None:
    """Recognise a name that `hosts` has in part, or keeps from the next plugin."""
    if f.plugin != "hosts" or f.resolves or f.deciding is None:
        return None
    hint = "add 'fallthrough' to 'hosts', or the name to the file" if f.reply.rcode else "ask for the other type"
    unread = next((one for one in f.answer.extended_errors if one.startswith(f"{codes.EDE_NOT_READY} ")), "")
    if unread:
        return f.verdict("hosts-unread", f"hosts at {f.place}: {unread}", "correct the path of the file")
    return f.verdict("hosts", f"hosts at {f.place}: {f.deciding.shown.detail}", hint)


def no_block(f: Findings) -> ExplainedVerdict | None:
    """Recognise a name that no server block serves."""
    if f.asked.trace.steps or f.reply.rcode != codes.REFUSED:
        return None
    zones = sorted({zone for block in f.configuration.sources for zone in block.zones_text})
    shown = ", ".join(zones[:6]) + (", …" if len(zones) > 6 else "")
    return f.verdict("no-server-block", f"no server block serves {f.name} (zones: {shown})",
                     "add a server block for it, or a block for '.' with 'forward'")  # fmt: skip


def upstream_denies(f: Findings) -> ExplainedVerdict | None:
    """Recognise a negative reply of an upstream, of now or from the cache."""
    if f.plugin not in _FROM_UPSTREAMS or f.resolves or not f.reply.is_upstream or _is_of_cluster(f):
        return None
    if _referred_to(f):
        return None
    upstream, when = _upstream_of(f)
    what = "does not exist" if f.reply.rcode == codes.NXDOMAIN else f"has no {f.qtype} record"
    source = upstream or "an upstream"
    cached = "cached-negative" if not upstream else "upstream-negative"
    hint = "the name is outside of the cluster's zones: check its spelling, or add its zone"
    if not upstream:
        hint = "a record that exists by now shows when the cached reply expires"
    return f.verdict(cached, f"{source} says that {f.name} {what}{when}", hint)


def _is_of_cluster(f: Findings) -> bool:
    """Return whether a `kubernetes` with `fallthrough` has the name's zone, so that the cluster is the cause."""
    return f.cluster is not None and not f.cluster.zone.is_reverse


def referral(f: Findings) -> ExplainedVerdict | None:
    """Recognise a delegation, which stub resolvers do not follow."""
    servers = _referred_to(f)
    if not servers:
        return None
    if f.plugin == "file":
        hint = "a stub resolver does not follow it: forward the zone, or ask these servers"
        return f.verdict("referral", f"the zone of 'file' at {f.place} delegates {f.name} to {servers}", hint)
    upstream, _ = _upstream_of(f)
    text = f"{upstream or 'an upstream'} refers to {servers} in place of an answer"
    return f.verdict("referral", text, "it does not recurse: name a recursive resolver in 'forward'")


def _referred_to(f: Findings) -> str:
    """Return the name servers of a referral; empty for any other reply."""
    reply = f.reply
    types = {one.rtype for one in reply.authority[:MAX_LISTED]}
    if reply.rcode != codes.NOERROR or reply.answer or codes.NS not in types or codes.SOA in types:
        return ""
    names = [rdata_text(one) for one in reply.authority[:MAX_LISTED] if one.rtype == codes.NS]
    return ", ".join(names[:3])


def zone_file(f: Findings) -> ExplainedVerdict | None:
    """Recognise a negative answer of a zone file."""
    if f.plugin != "file" or f.resolves:
        return None
    if f.answer.extended_errors and f.reply.rcode == codes.SERVFAIL:
        return f.verdict("zone-file", f"file at {f.place}: {'; '.join(f.answer.extended_errors)}", "correct the file")
    what = "does not exist" if f.reply.rcode == codes.NXDOMAIN else f"has no {f.qtype} record"
    return f.verdict("zone-file", f"{f.name} {what} in the zone of 'file' at {f.place}", "add it to the zone file")


def anything_else(f: Findings) -> ExplainedVerdict:
    """Name the plugin that decided."""
    errors = f"; {'; '.join(f.answer.extended_errors)}" if f.answer.extended_errors else ""
    if f.deciding is None:
        return f.verdict("unknown", f"{f.name} {f.qtype}{errors}")
    detail = f": {f.deciding.shown.detail}" if f.deciding.shown.detail else ""
    if f.resolves:
        return f.verdict("answered", f"{f.plugin} at {f.place} answers {f.name} {f.qtype}")
    zone = f" in the zone {to_text(f.asked.zone)}" if f.asked.zone else ""
    return f.verdict("answered", f"{f.plugin} at {f.place} answers so{zone}{detail}{errors}")
