"""Where we mean to resolve differently from CoreDNS: each name, and the reply that it leads to from CoreDNS's.

The names are those of docs/differences.md. A predicate sees both replies, and gives CoreDNS's as it would be with the
difference, or None where it does not apply.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from differential.replies import Seen
from differential.resolving import Step, alike


class Difference(NamedTuple):
    """A name, and what becomes of CoreDNS's reply."""

    name: str
    apply: Callable[[str, Step, Seen, Seen], Seen | None]


DIFFERENCES: tuple[Difference, ...] = ()
NAMES = tuple(difference.name for difference in DIFFERENCES)
seen_names: Counter[str] = Counter()


def compare(text: str, step: Step, theirs: Seen, ours: Seen) -> list[str]:
    """What differs under this configuration without a name, for a message; nothing where all is explained."""
    expected, used = theirs, []
    for difference in DIFFERENCES:
        if alike(expected, ours):
            break
        changed = difference.apply(text, step, expected, ours)
        if changed is not None:
            expected = changed
            used.append(difference.name)
    if alike(expected, ours):
        seen_names.update(used)
        return []
    return [f"{step}\n  CoreDNS:\n      {theirs.text()}\n  clusterdns:\n      {ours.text()}"]


def compare_upstream(theirs: Counter[str], ours: Counter[str]) -> list[str]:
    """Questions that the upstreams were asked more or less often."""
    return [
        f"{question}: asked {theirs[question]} times by CoreDNS, {ours[question]} times by us"
        for question in sorted({*theirs, *ours})
        if theirs[question] != ours[question]
    ]
