"""The rules of `rewrite` that change the question: its name, type or class."""

from collections.abc import Callable

import msgspec

from clusterdns.chain import Query
from clusterdns.corefile.values import Pattern
from clusterdns.plugins.rewrite.names import NameChange, ReplacementPart, restore_name
from clusterdns.plugins.rewrite.reply_rules import OwnerNamesChange, RdataNamesChange
from clusterdns.plugins.rewrite.rule import ReplyChange, RuleEffect, WaitingChange
from clusterdns.wire.name import from_text


class NameRule(msgspec.Struct, frozen=True):
    """`name`: changes the name of the question."""

    change: NameChange
    restores_name: bool  # names in the reply are changed back (`answer auto`)
    reply_changes: tuple[ReplyChange | WaitingChange, ...]
    is_reusable: bool = True

    def apply(self, query: Query, name_text: str) -> RuleEffect | None:
        """Apply the rule (see RewriteRule)."""
        changed = self.change(name_text)
        return None if changed is None else _with_name(query, name_text, changed, self)


class MetadataNameRule(msgspec.Struct, frozen=True):
    """`name regex … metadata`: changes the name to one that contains metadata of the query."""

    pattern: Pattern
    replacement: tuple[ReplacementPart, ...]
    restores_name: bool
    reply_changes: tuple[ReplyChange | WaitingChange, ...]
    is_reusable: bool = False

    def apply(self, query: Query, name_text: str) -> RuleEffect | None:
        """Apply the rule (see RewriteRule); it does not match where a label has no value."""
        found = self.pattern.search(name_text)
        if found is None:
            return None
        labels = query.labels or {}
        texts = []
        for part in self.replacement:
            if part.label:
                text = labels.get(part.label, "").lower()
                if not text:
                    return None
            else:
                text = part.text if part.group < 0 else found.group(part.group) or ""
            texts.append(text)
        return _with_name(query, name_text, "".join(texts), self)


def _with_name(query: Query, before: str, after: str, rule: NameRule | MetadataNameRule) -> RuleEffect:
    """Return the effect of a changed name. Raises ValueError where it is invalid."""
    try:
        name = from_text(after)
    except ValueError as problem:
        raise ValueError(f"invalid name after rewrite: {after[:300]} ({problem})") from None
    changes: tuple[ReplyChange | WaitingChange, ...] = rule.reply_changes
    if rule.restores_name:
        change: Callable[[str], str] = restore_name(before, after)
        changes = (OwnerNamesChange(change), RdataNamesChange(change), *changes)
    return RuleEffect(query.asking(name, query.qtype, query.qclass), after, changes)


class TypeRule(msgspec.Struct, frozen=True):
    """`type`: changes the type of the question."""

    before: int
    after: int
    is_reusable: bool = True

    def apply(self, query: Query, name_text: str) -> RuleEffect | None:
        """Apply the rule (see RewriteRule)."""
        if query.qtype != self.before:
            return None
        return RuleEffect(query.asking(query.name, self.after, query.qclass), name_text)


class ClassRule(msgspec.Struct, frozen=True):
    """`class`: changes the class of the question."""

    before: int
    after: int
    is_reusable: bool = True

    def apply(self, query: Query, name_text: str) -> RuleEffect | None:
        """Apply the rule (see RewriteRule)."""
        if query.qclass != self.before:
            return None
        return RuleEffect(query.asking(query.name, query.qtype, self.after), name_text)
