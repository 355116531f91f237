"""What all rules of `rewrite` have in common: a rule changes a query, and asks for changes of the reply to it.

`handler` applies the rules in the order of the file and the changes of the reply in reverse, on a `ReplyDraft`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from clusterdns.chain import Query, Reply
from clusterdns.wire.record import Record
from clusterdns.wire.runs import RUNS, RecordRun, joined, pieces_of


class ReplyDraft:
    """A reply while it is changed, and the records of a look-up, which no rule changes."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply.duplicate()
        self.looked_up: Sequence[Record] = ()

    def change_records(
        self, change: Callable[[Record], Record], change_run: Callable[[RecordRun], Sequence[Record]]
    ) -> None:
        """Replace each record by its changed form; a run, such as the addresses of a large Service, as a whole."""
        reply = self.reply
        reply.authority = _changed(reply.authority, change, change_run)
        reply.answer = _changed(reply.answer, change, change_run)
        reply.additional = _changed(reply.additional, change, change_run)

    def finished(self) -> Reply:
        """Return the reply with its changed sections."""
        self.reply.answer = joined(self.reply.answer, self.looked_up)
        return self.reply


def _changed(
    records: Sequence[Record], change: Callable[[Record], Record], change_run: Callable[[RecordRun], Sequence[Record]]
) -> Sequence[Record]:
    if type(records) not in RUNS:
        return tuple(map(change, records))
    return joined(
        *[
            change_run(piece) if isinstance(piece, RecordRun) else tuple(map(change, piece))
            for piece in pieces_of(records)
        ]
    )


class ReplyChange(Protocol):
    """A change of the reply, because a rule applied to its query."""

    def change(self, draft: ReplyDraft) -> None:
        """Change the draft. Raises ValueError where a changed name is invalid."""


class WaitingChange(ABC):
    """A change of the reply that may wait: for a look-up, or for other tasks between the steps of a large reply."""

    @abstractmethod
    async def follow(self, draft: ReplyDraft, query: Query) -> None:
        """Change the draft; `query` is the rewritten query. Raises ValueError where a changed name is invalid."""


class RuleEffect(NamedTuple):
    """The query after a rule, and the changes of its reply."""

    query: Query
    name_text: str
    reply_changes: tuple[ReplyChange | WaitingChange, ...] = ()


class RewriteRule(Protocol):
    """One rule, without its `stop` or `continue`."""

    @property
    def is_reusable(self) -> bool:
        """Whether the rule depends on the question alone, so that a reply may be compiled."""

    def apply(self, query: Query, name_text: str) -> RuleEffect | None:
        """Return the effect on a query; None where the rule does not match.

        `name_text` is the name of the query, absolute and in lower case. Raises ValueError for an invalid new name.
        """
