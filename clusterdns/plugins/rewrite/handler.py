"""The handler of `rewrite`: applies the rules to a query and, in reverse, their changes to the reply.

Each rule sees the query as the rules before it have changed it. The reply has the question of the client, because it is
encoded for the query that came in.
"""

from collections.abc import Sequence

from clusterdns.chain import Handler, Query, Reply, failure
from clusterdns.plugins.rewrite.edns_rules import echoed_options
from clusterdns.plugins.rewrite.rule import ReplyChange, ReplyDraft, WaitingChange
from clusterdns.plugins.rewrite.settings import RewriteSettings
from clusterdns.wire import codes
from clusterdns.wire.name import to_text

ReplyChanges = Sequence[ReplyChange | WaitingChange]


class RewriteHandler:
    """Runs the rules of one block."""

    def __init__(self, settings: RewriteSettings, following: Handler) -> None:
        self._steps = settings.steps
        self._echoed_codes = settings.echoed_codes
        self._next = following

    async def __call__(self, query: Query) -> Reply:
        """Pass the rewritten query on, and return the reply with the changes of the rules that applied."""
        rewritten, name_text, is_reusable, has_applied = query, to_text(query.name), True, False
        changes: list[ReplyChange | WaitingChange] = []
        for step in self._steps:
            is_reusable = is_reusable and step.rule.is_reusable
            try:
                effect = step.rule.apply(rewritten, name_text)
            except ValueError as problem:
                return failure(codes.SERVFAIL, str(problem))
            if effect is None:
                continue
            has_applied = True
            rewritten, name_text = effect.query, effect.name_text
            changes += effect.reply_changes
            if step.stops:
                break
        if rewritten is not query:
            query.rewritten_as = rewritten
        reply = await self._next(rewritten)
        if reply.is_dropped or not (has_applied or self._echoed_codes or not is_reusable):
            return reply
        try:
            draft = await _changed(reply, rewritten, changes)
        except ValueError as problem:
            return failure(codes.SERVFAIL, f"invalid name in a rewritten reply: {problem}")
        draft.reply.reusable = draft.reply.reusable and is_reusable
        # as in CoreDNS, the reply is a message even where the next plugin gave a bare response code
        draft.reply.is_written = reply.is_written or has_applied
        if query.has_edns and not reply.options and not reply.is_upstream:
            draft.reply.options += echoed_options(rewritten, self._echoed_codes, changes)
        return draft.finished()


async def _changed(reply: Reply, rewritten: Query, changes: ReplyChanges) -> ReplyDraft:
    """Apply the changes to a draft of the reply, the last rule's first. Raises ValueError for an invalid name."""
    draft = ReplyDraft(reply)
    for one in reversed(changes):
        if isinstance(one, WaitingChange):
            await one.follow(draft, rewritten)
        else:
            one.change(draft)
    return draft
