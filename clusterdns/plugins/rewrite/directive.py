"""The `rewrite` directive: its steps from Corefile to handler, and its documentation."""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Handling, Part, Plugin, Query, Reuse
from clusterdns.chain.exports import Deciding, Decision
from clusterdns.corefile.directive import Directive
from clusterdns.plugins.rewrite.handler import RewriteHandler
from clusterdns.plugins.rewrite.parse import OPTIONS, read
from clusterdns.plugins.rewrite.settings import RewriteSettings
from clusterdns.wire.name import to_text


def parse(directives: Sequence[Directive], context: BlockContext) -> RewriteSettings:
    """Read `rewrite [stop|continue] FIELD …`, on one line or in braces; repeatable. Raises CorefileErrors."""
    return read(directives, RewriteSettings(context.port))


def build(settings: RewriteSettings, context: BlockContext) -> Part:
    """Make the part."""
    return Part(
        "rewrite",
        handling=Handling(wrap=lambda following: RewriteHandler(settings, following), reuse=Reuse.PER_REPLY),
        exports=(Deciding(lambda query: _applied(settings, query)),),
    )


def _applied(settings: RewriteSettings, query: Query) -> Decision:
    """Describe the rules that apply to a query, with the place of the last one."""
    name_text, applied = to_text(query.name), []
    for step in settings.steps:
        try:
            effect = step.rule.apply(query, name_text)
        except ValueError as problem:
            return Decision(f"rule '{step.text}' fails: {problem}", step.place)
        if effect is not None:
            query, name_text = effect.query, effect.name_text
            applied.append(step)
            if step.stops:
                break
    if not applied:
        return Decision("no rule applies")
    return Decision("; ".join(f"rule '{step.text}'" for step in applied), applied[-1].place)


PLUGIN = Plugin(
    "rewrite",
    parse,
    build,
    doc=Doc(
        usage=("rewrite [stop|continue] FIELD ARGUMENTS…", "rewrite [stop|continue] { FIELD ARGUMENTS… }"),
        about="Changes queries before the next plugins see them, and changes the replies back. Rules run in the "
        "order of the file, each on the query as the rules before it have changed it. A rule that applies is the last "
        "one, unless it has `continue`. The question in the reply is always the client's.",
        options=OPTIONS,
        example="rewrite name suffix .old.example .svc.cluster.local answer auto\n"
        "rewrite stop {\n"
        "    name regex (.*)\\.api\\.example {1}.default.svc.cluster.local\n"
        "    answer name (.*)\\.default\\.svc\\.cluster\\.local {1}.api.example\n"
        "}",
        better="names in replies are changed back in upper and lower case; a rewritten CNAME has the response code "
        "of its new target; a name that becomes too long gives SERVFAIL and a log line instead of no reply; clients "
        "without EDNS get no EDNS options.",
    ),
)
