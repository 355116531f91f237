"""The `rewrite` directive: asks something else than the client did, and puts the reply back into the client's terms.

The rules run in the order of the file on the question as it has become; `stop` ends them once its rule has applied.
What they want of the reply is done in reverse. The question that comes back is always the client's, because a reply is
laid out for the query that came in. The rules themselves are in `rewrite_rules` and `rewrite_edns`.
"""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply, Reuse, failure
from clusterdns.corefile.directive import Directive
from clusterdns.plugins.rewrite import parse as rewrite_parse
from clusterdns.plugins.rewrite.edns import echoed
from clusterdns.plugins.rewrite.parse import Settings
from clusterdns.plugins.rewrite.rules import AliasTarget, Draft, Response
from clusterdns.wire import codes
from clusterdns.wire.name import to_text


class Rewriter:
    """The rules of one block."""

    def __init__(self, settings: Settings) -> None:
        self._steps = settings.steps
        self._codes_echoed = settings.codes_echoed
        self._following: list[Handler] = []

    def wrap(self, following: Handler) -> Handler:
        """The handler above `following`: first the chain for class IN, then the one for all others."""
        self._following.append(following)
        return self

    async def __call__(self, query: Query) -> Reply:
        """Ask what the rules make of the question (see plugins.handler.Handler)."""
        asked, name_text, is_fixed, has_applied = query, to_text(query.name), True, False
        responses: list[Response | AliasTarget] = []
        for step in self._steps:
            is_fixed = is_fixed and step.rule.is_fixed
            try:
                applied = step.rule.apply(asked, name_text)
            except ValueError as problem:
                return failure(codes.SERVFAIL, str(problem))
            if applied is None:
                continue
            has_applied = True
            asked, name_text = applied.query, applied.name_text
            responses += applied.responses
            if step.stops:
                break
        if asked is not query:
            query.rewritten_as = asked
        following = self._following[0 if asked.qclass == codes.IN else -1]
        reply = await following(asked)
        if reply.is_dropped or not (has_applied or self._codes_echoed or not is_fixed):
            return reply
        try:
            return await self._answered(query, asked, reply, responses, is_fixed=is_fixed, has_applied=has_applied)
        except ValueError as problem:
            return failure(codes.SERVFAIL, f"invalid name in a rewritten reply: {problem}")

    async def _answered(
        self, query: Query, asked: Query, reply: Reply, responses: Sequence[Response | AliasTarget], *,
        is_fixed: bool, has_applied: bool,
    ) -> Reply:  # fmt: skip
        """The reply as the client is to see it. Raises ValueError where a name in it would become none."""
        draft = Draft(reply)
        draft.reply.reusable = reply.reusable and is_fixed
        draft.reply.is_written = reply.is_written or has_applied  # as in CoreDNS, so that the rules see bare codes too
        for response in reversed(responses):
            if isinstance(response, AliasTarget):
                await response.follow(draft, asked)
            else:
                response.respond(draft)
        if query.has_edns and not reply.options and not reply.is_upstream:
            draft.reply.options += echoed(asked, self._codes_echoed, responses)
        return draft.finished()


def parse(directives: Sequence[Directive], context: BlockContext) -> Settings:
    """`rewrite [stop|continue] FIELD …`, on one line or in braces; repeatable. Raises CorefileErrors."""
    return rewrite_parse.read(directives, Settings(context.listener.addresses, context.port))


def build(settings: Settings, context: BlockContext) -> Part:
    """The handler."""
    return Part("rewrite", handling=Handling(wrap=Rewriter(settings).wrap, reuse=Reuse.PER_REPLY))


PLUGIN = Plugin(
    "rewrite",
    parse,
    build,
    doc=Doc(
        usage=("rewrite [stop|continue] FIELD ARGUMENTS…", "rewrite [stop|continue] { FIELD ARGUMENTS… }"),
        about="Asks something else than the client did, and puts the reply back into the client's terms. Rules run in "
        "the order of the file, each on what the ones before have made; after a rule that applied the others are left "
        "out, unless it says `continue`. The question in the reply is always the client's.",
        options=rewrite_parse.OPTIONS,
        example="rewrite name suffix .old.example .svc.cluster.local answer auto\n"
        "rewrite stop {\n"
        "    name regex (.*)\\.api\\.example {1}.default.svc.cluster.local\n"
        "    answer name (.*)\\.default\\.svc\\.cluster\\.local {1}.api.example\n"
        "}",
        better="Answers are mapped back whatever their letter case; a rewritten alias has the code of its new target; "
        "names that would be too long give SERVFAIL and a line in the log, never silence; clients without EDNS get "
        "none.",
    ),
)
