"""Compares both servers' replies: equal, different in a way that has a name, or different without one."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from differential.blocks import Block
from differential.case import Case, Facts
from differential.differences import OWN_UDP_BYTES, RING, UDP_LIMIT, explain, is_part_of_ring, is_truncation_of
from differential.questions import Question
from differential.replies import ComparedReply, read

Ask = Callable[[Block, list[Question]], dict[Question, bytes | None]]


@dataclass
class Comparison:
    """The result for one block: how often each named difference occurs, and a report of each unnamed one."""

    question_count: int = 0
    named: Counter[str] = field(default_factory=Counter)
    unnamed: list[str] = field(default_factory=list)


def compare(block: Block, questions: list[Question], theirs: Ask, ours: Ask, facts: Facts) -> Comparison:
    """Ask both servers and explain the differences; ask again where one has no name, since objects may have changed."""
    found = Comparison(question_count=len(questions))
    remembered: dict[Question, bytes | None] = {}

    def ask_theirs(block: Block, wanted: list[Question]) -> dict[Question, bytes | None]:
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
    found.unnamed = [_report(Case(one, block, facts, ask_theirs), from_them[one], from_us[one]) for one in unnamed]
    return found


def _alike_bytes(theirs: bytes | None, ours: bytes | None) -> bool:
    return theirs is not None and theirs == ours


def _names(case: Case, theirs: ComparedReply, ours: ComparedReply) -> tuple[str, ...] | None:
    """Return the names of the differences between two replies, None if one has no name."""
    if theirs.same_as(ours):
        return ()
    explained = explain(case, theirs)
    if explained.reply.same_as(ours):
        return explained.names
    if is_part_of_ring(case, ours):
        return (RING,)
    if not ours.is_truncated or not is_truncation_of(case, ours):
        return None
    if theirs.is_truncated:
        return explained.names  # which records a truncated reply holds is chance
    return (*explained.names, UDP_LIMIT) if theirs.size > OWN_UDP_BYTES else None


def _report(case: Case, theirs: bytes | None, ours: bytes | None) -> str:
    explained = explain(case, read(theirs))
    return (
        f"{case.block.name}: {case.question}\n    CoreDNS: {read(theirs).text()}\n"
        f"    expected, after {explained.names}: {explained.reply.text()}\n    clusterdns: {read(ours).text()}"
    )
