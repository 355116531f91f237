"""Verdicts about the order of a block's plugins: which one answered although another was meant. See `table`."""

from clusterdns.plugins.kubernetes.exports import ClusterView
from clusterdns.server.explaining.explanation import END_OF_CHAIN, ExplainedVerdict
from clusterdns.server.explaining.findings import Findings
from clusterdns.wire import codes
from clusterdns.wire.name import is_under

_HINTS = {
    "hosts": "add 'fallthrough' to 'hosts', or name its zones in its line",
    "template": "let the template match fewer names, or add 'fallthrough' to it",
    "file": "add 'fallthrough' to 'file', or name its zones in its line",
}
_GO_ON = ("kubernetes", "forward", "cache")  # those that ask the next plugin, or come after `kubernetes`


def taken_before_cluster(f: Findings) -> ExplainedVerdict | None:
    """Recognise a name of the cluster that a plugin before `kubernetes` answers."""
    if f.resolves or f.cluster is not None or f.asked.block is None or f.plugin in (*_GO_ON, "acl", ""):
        return None
    name = f.asked.query.name
    for source, context in zip(f.configuration.sources, f.configuration.contexts, strict=True):
        zones = [zone.zone for view in context.exports(ClusterView) for zone in view.zones]
        if source is f.asked.block and any(is_under(name, zone) for zone in zones):
            place = source.named("kubernetes")[0].place
            text = f"{f.plugin} at {f.place} answers before 'kubernetes' at {place} is asked{_detail(f)}"
            return f.verdict("taken-before-cluster", text, _HINTS.get(f.plugin, f"let {f.plugin} pass the name on"))
    return None


def _detail(f: Findings) -> str:
    detail = f.deciding.shown.detail if f.deciding is not None else ""
    return f": {detail}" if detail else ""


def rewritten_type(f: Findings) -> ExplainedVerdict | None:
    """Recognise a `rewrite` that asks for another type, of which the records are no answer to the client."""
    asked = f.asked.query
    if f.code != "NODATA" or not f.reply.answer:
        return None
    for step in f.asked.trace.of("rewrite"):
        inner = step.inner[0].query if step.inner else asked
        if inner.qtype != asked.qtype and any(one.rtype == inner.qtype for one in f.reply.answer):
            other = codes.type_text(inner.qtype)
            text = f"the rewrite at {step.shown.place} asks for {other} in place of {f.qtype}, and has {other} records"
            hint = f"stub resolvers ignore {other} records in an answer to {f.qtype}: correct the rewrite"
            return f.verdict("rewritten-type", text, hint)
    return None


def end_of_chain(f: Findings) -> ExplainedVerdict | None:
    """Recognise a query that reached the end of the chain."""
    if not f.reply.is_unhandled or not f.asked.trace.steps or f.asked.block is None:
        return None
    text = f"no plugin of the server block at {f.asked.block.file}:{f.asked.block.line} answers {f.name}"
    forward = next((one.shown.place for one in f.asked.trace.of("forward")), "")
    if forward:
        text += f": 'forward' at {forward} leaves it out, by its zone or by 'except'"
        return f.verdict(END_OF_CHAIN, text, "add a 'forward' for its zone, or take the name out of 'except'")
    return f.verdict(END_OF_CHAIN, text, "add 'forward' to the block, or the name's zone")
