"""Both servers' replies side by side: alike, different by name, or different without one."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from differential.blocks import Block
from differential.case import Case, Facts
from differential.differences import CUT_EARLIER, OWN_UDP_BYTES, RING, explain, is_cut_of, is_part_of_ring
from differential.questions import Asked
from differential.replies import Seen, read

Ask = Callable[[Block, list[Asked]], dict[Asked, bytes | None]]


@dataclass
class Comparison:
    """What came of a block's questions."""

    asked: int = 0
    named: Counter[str] = field(default_factory=Counter)
    unnamed: list[str] = field(default_factory=list)


def compare(block: Block, questions: list[Asked], theirs: Ask, ours: Ask, facts: Facts) -> Comparison:
    """Ask both, explain what differs; what seems unexplained is asked again, for it may have changed meanwhile."""
    found = Comparison(asked=len(questions))
    remembered: dict[Asked, bytes | None] = {}

    def ask_theirs(block: Block, wanted: list[Asked]) -> dict[Asked, bytes | None]:
        missing = [one for one in wanted if one not in remembered]
        if missing:
            remembered.update(theirs(block, missing))
        return {one: remembered[one] for one in wanted}

    unnamed = questions
    for attempt in range(2):
        if attempt:
            remembered.clear()
        from_them, from_us = ask_theirs(block, unnamed), ours(block, unnamed)
        suspects = [one for one in unnamed if not _alike_bytes(from_them[one], from_us[one])]
        ask_theirs(block, list(dict.fromkeys(one.plain(qtype) for one in suspects for qtype in ("A", "CNAME", "PTR"))))
        unnamed = []
        for one in suspects:
            case = Case(one, block, facts, ask_theirs)
            names = _names(case, read(from_them[one]), read(from_us[one]))
            if names is None:
                unnamed.append(one)
            else:
                found.named.update(names)
        if not unnamed:
            break
    found.unnamed = [_told(Case(one, block, facts, ask_theirs), from_them[one], from_us[one]) for one in unnamed]
    return found


def _alike_bytes(theirs: bytes | None, ours: bytes | None) -> bool:
    return theirs is not None and theirs == ours


def _names(case: Case, theirs: Seen, ours: Seen) -> tuple[str, ...] | None:
    """The differences between the two; none when they are alike; None when there is one without a name."""
    if theirs.same_as(ours):
        return ()
    explained = explain(case, theirs)
    if explained.reply.same_as(ours):
        return explained.names
    if is_part_of_ring(case, ours):
        return (RING,)
    if not ours.is_cut or not is_cut_of(case, ours):
        return None
    if theirs.is_cut:
        return explained.names  # which records a shortened reply holds is chance
    return (*explained.names, CUT_EARLIER) if theirs.size > OWN_UDP_BYTES else None


def _told(case: Case, theirs: bytes | None, ours: bytes | None) -> str:
    explained = explain(case, read(theirs))
    return (
        f"{case.block.name}: {case.asked}\n    CoreDNS: {read(theirs).text()}\n"
        f"    expected, after {explained.names}: {explained.reply.text()}\n    clusterdns: {read(ours).text()}"
    )
