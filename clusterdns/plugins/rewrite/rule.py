"""What all rules of `rewrite` have in common: a rule changes a query, and asks for changes of the reply to it.

`handler` applies the rules in the order of the file and the changes of the reply in reverse, on a `ReplyDraft`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, Protocol

from clusterdns.chain import Query, Reply
from clusterdns.wire.record import Record


class ReplyDraft:
    """A reply while it is changed: sections as lists, and the records of a look-up, which no rule changes."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply.duplicate()
        self.answer = list(reply.answer)
        self.authority = list(reply.authority)
        self.additional = list(reply.additional)
        self.looked_up: tuple[Record, ...] = ()

    def change_records(self, change: Callable[[Record], Record]) -> None:
        """Replace each record by its changed form."""
        for section in (self.authority, self.answer, self.additional):
            section[:] = map(change, section)

    def finished(self) -> Reply:
        """Return the reply with its changed sections."""
        self.reply.answer = (*self.answer, *self.looked_up)
        self.reply.authority = tuple(self.authority)
        self.reply.additional = tuple(self.additional)
        return self.reply


class ReplyChange(Protocol):
    """A change of the reply, because a rule applied to its query."""

    def change(self, draft: ReplyDraft) -> None:
        """Change the draft. Raises ValueError where a changed name is invalid."""


class ReplyLookup(ABC):
    """A change of the reply that takes a look-up."""

    @abstractmethod
    async def follow(self, draft: ReplyDraft, query: Query) -> None:
        """Change the draft; `query` is the rewritten query. Raises ValueError where a changed name is invalid."""


class RuleEffect(NamedTuple):
    """The query after a rule, and the changes of its reply."""

    query: Query
    name_text: str
    reply_changes: tuple[ReplyChange | ReplyLookup, ...] = ()


class RewriteRule(Protocol):
    """One rule, without its `stop` or `continue`."""

    @property
    def is_reusable(self) -> bool:
        """Whether the rule depends on the question alone, so that a reply may be compiled."""

    def apply(self, query: Query, name_text: str) -> RuleEffect | None:
        """Return the effect on a query; None where the rule does not match.

        `name_text` is the name of the query, absolute and in lower case. Raises ValueError for an invalid new name.
        """
