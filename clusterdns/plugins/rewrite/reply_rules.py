"""The rules of `rewrite` that change the reply: TTLs, response code, the target of a CNAME, names in records."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from clusterdns.chain import Query, failure
from clusterdns.plugins.rewrite.names import NameChange
from clusterdns.plugins.rewrite.rule import ReplyChange, ReplyDraft, RuleEffect, WaitingChange
from clusterdns.wire import codes
from clusterdns.wire.encode import MIN_RECORD_BYTES
from clusterdns.wire.name import from_text, to_text
from clusterdns.wire.rdata import names_in, with_names
from clusterdns.wire.record import Record
from clusterdns.wire.runs import RecordRun, as_run, joined, pieces_of

STEP_RECORDS = 64  # are changed in 1 to 2 ms
MAX_CNAME_DEPTH = 8  # look-ups of targets that are CNAMEs themselves


@dataclass(frozen=True)
class ReplyRule:
    """`ttl`, `rcode`: changes replies to names that match."""

    matches: Callable[[str], bool]
    reply_change: ReplyChange | WaitingChange
    is_reusable: bool = True

    def apply(self, query: Query, name_text: str) -> RuleEffect | None:
        """Apply the rule (see RewriteRule)."""
        return RuleEffect(query, name_text, (self.reply_change,)) if self.matches(name_text) else None


@dataclass(frozen=True)
class TtlRange:
    """Puts TTLs between two bounds, in seconds."""

    minimum: int
    maximum: int

    def change(self, draft: ReplyDraft) -> None:
        """Change the draft (see ReplyChange)."""
        draft.change_records(
            lambda one: one.with_ttl(self._within(one.ttl)), lambda run: run.with_ttl(self._within(run.ttl))
        )

    def _within(self, ttl: int) -> int:
        return min(max(ttl, self.minimum), self.maximum)


@dataclass(frozen=True)
class RcodeChange:
    """Replaces one response code by another."""

    before: int
    after: int

    def change(self, draft: ReplyDraft) -> None:
        """Change the draft (see ReplyChange)."""
        if draft.reply.rcode == self.before:
            draft.reply.rcode = self.after
            if self.after in (codes.SERVFAIL, codes.REFUSED):
                before, after = codes.rcode_text(self.before), codes.rcode_text(self.after)
                draft.reply.take_cause(failure(self.after, f"rewrite made {after} of {before}"))


@dataclass(frozen=True)
class OwnerNamesChange:
    """`answer name`: changes the owner names of records."""

    change_text: Callable[[str], str]

    def change(self, draft: ReplyDraft) -> None:
        """Change the draft (see ReplyChange)."""
        changed: dict[bytes, bytes] = {}  # most records of a reply have the same owner name

        def change_name(name: bytes) -> bytes:
            if name not in changed:
                changed[name] = _changed_name(name, self.change_text)
            return changed[name]

        def change_record(one: Record) -> Record:
            name = change_name(one.name)
            return one if name is one.name else one.with_name(name)

        draft.change_records(change_record, lambda run: run.with_name(change_name(run.name)))


@dataclass(frozen=True)
class RdataNamesChange(WaitingChange):
    """`answer value`: changes the names in the RDATA of records, of no more of a section than its message holds."""

    change_text: Callable[[str], str]

    async def follow(self, draft: ReplyDraft, query: Query) -> None:
        """Change the draft (see WaitingChange)."""
        reply = draft.reply
        most = query.size_limit // MIN_RECORD_BYTES + 1
        reply.authority = await self._changed(reply.authority, most)
        reply.answer = await self._changed(reply.answer, most)
        reply.additional = await self._changed(reply.additional, most)

    async def _changed(self, records: Sequence[Record], most: int) -> Sequence[Record]:
        pieces: list[Sequence[Record]] = []
        for piece in pieces_of(records):
            if isinstance(piece, RecordRun) and piece.rtype in codes.ADDRESS_TYPES:
                pieces.append(piece)
                continue
            steps: list[Sequence[Record]] = []
            for start in range(0, min(len(piece), most), STEP_RECORDS):
                if start:
                    await asyncio.sleep(0)
                several = piece[start : min(start + STEP_RECORDS, most)]
                steps.append(as_run(tuple(map(self._change_record, several))))
            pieces += _with_one_run(steps)
        return joined(*pieces)

    def _change_record(self, one: Record) -> Record:
        return with_names(one, lambda name: _changed_name(name, self.change_text))


def _with_one_run(steps: Sequence[Sequence[Record]]) -> Sequence[Sequence[Record]]:
    """Join runs that are one, with others behind them."""
    runs: list[RecordRun] = []
    for one in steps:
        if not isinstance(one, RecordRun):
            break
        runs.append(one)
    if len(runs) < 2 or len({(run.name, run.rtype, run.ttl, run.end) for run in runs}) > 1:
        return steps
    starts = [start for run in runs for start in run.starts]
    return [RecordRun(runs[0].name, runs[0].rtype, runs[0].ttl, starts, runs[0].end), *steps[len(runs) :]]


def _cnames_of(answer: Sequence[Record]) -> Sequence[Record]:
    """Return the CNAME records of an answer; a run of other records is not read."""
    pieces = [one for one in pieces_of(answer) if not isinstance(one, RecordRun) or one.rtype == codes.CNAME]
    return [one for one in chain.from_iterable(pieces) if one.rtype == codes.CNAME]


def _changed_name(name: bytes, change_text: Callable[[str], str]) -> bytes:
    """Return the changed name, or the same object. Raises ValueError where the changed name is invalid."""
    text = to_text(name)
    changed = change_text(text)
    return name if changed == text else from_text(changed)


@dataclass(frozen=True)
class CnameTargetRule(WaitingChange):
    """`cname`: changes the target of a CNAME, and looks the new target up. It applies to every query."""

    change_target: NameChange
    is_reusable: bool = True

    def apply(self, query: Query, name_text: str) -> RuleEffect | None:
        """Apply the rule (see RewriteRule)."""
        return RuleEffect(query, name_text, (self,))

    async def follow(self, draft: ReplyDraft, query: Query) -> None:
        """Change the first CNAME whose target matches, and replace the records after it by those of the new target."""
        if query.depth > MAX_CNAME_DEPTH or draft.looked_up:
            return
        cnames = _cnames_of(draft.reply.answer)
        for position, one in enumerate(cnames):
            changed = self.change_target(to_text(names_in(one)[0]).lower())
            if changed is None:
                continue
            target = from_text(changed)
            found = await query.lookup(query, target, query.qtype)
            reply = draft.reply
            reply.answer = (*cnames[:position], with_names(one, lambda _: target))  # noqa: B023  # called here and now
            draft.looked_up = found.answer
            reply.rcode = found.rcode  # the code of the last name in the chain (RFC 6604 §2.1)
            reply.is_truncated = found.is_truncated
            reply.dependencies = (*reply.dependencies, *found.dependencies)
            reply.reusable = reply.reusable and found.reusable
            reply.is_upstream = reply.is_upstream or found.is_upstream
            reply.take_cause(found)
            return
