"""From findings to the verdict: the first maker that has something to say, the most specific ones first.

A maker is a function from `Findings` to a verdict, or to None where its cause is not the one. `chain` has those about
the server, the others those about objects. A new cause is a function and a place in the table.
"""

from collections.abc import Callable
from dataclasses import replace

from clusterdns.server.explaining.explanation import ExplainedVerdict
from clusterdns.server.explaining.findings import Findings
from clusterdns.server.explaining.verdicts import chain, cluster, endpoints, order, resolving, service

Maker = Callable[[Findings], ExplainedVerdict | None]

MAKERS: tuple[Maker, ...] = (
    chain.failed_handler,
    chain.refused_by_acl,
    chain.held_negative,
    order.taken_before_cluster,
    order.rewritten_type,
    service.external_name,
    cluster.other_block,
    cluster.other_spelling,
    chain.forwarding_loop,
    chain.upstreams_silent,
    chain.upstream_refuses,
    chain.truncated_by_upstream,
    chain.external_service,
    chain.template,
    chain.hosts,
    chain.no_block,
    cluster.reverse_zone_missing,
    chain.upstream_denies,
    cluster.namespace_left_out,
    cluster.namespace_missing,
    cluster.no_such_form,
    service.skipped_part,
    service.missing,
    endpoints.hidden_without_endpoints,
    endpoints.no_such_endpoint,
    endpoints.nothing_ready,
    endpoints.no_such_port,
    cluster.above_names,
    cluster.pod_names,
    cluster.no_such_address,
    order.end_of_chain,
    service.other_type,
    chain.referral,
    chain.zone_file,
    resolving.resolves,
)


def verdict_on(findings: Findings) -> ExplainedVerdict:
    """Return the verdict, with the rewrite that the question went through."""
    found = next((made for maker in MAKERS if (made := maker(findings)) is not None), None)
    verdict = found if found is not None else chain.anything_else(findings)
    rewritten = _rewritten(findings)
    return replace(verdict, text=verdict.text + rewritten) if rewritten else verdict


def _rewritten(findings: Findings) -> str:
    """Describe the last rewrite of the client's own question; empty where there is none."""
    asked = findings.name
    for step in findings.asked.trace.of("rewrite"):
        inner = step.inner[0].shown.name if step.inner else ""
        if step.shown.name == asked and inner and inner != asked:
            return f" (asked as {inner} by the rewrite at {step.shown.place})"
    return ""
