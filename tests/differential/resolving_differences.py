"""The intended differences from CoreDNS's answers about names outside the cluster.

The names are those of docs/differences.md. A correction takes the block's text, the question and both replies, and
returns CoreDNS's reply as it would be with the difference, or None where the difference does not apply.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from differential.replies import ComparedReply, Line
from differential.resolving import Step, alike

FORMERR, SERVFAIL = 1, 2
CH = 3
UPSTREAM_NETWORK = "198.51.100."  # of the addresses that the scripted upstream answers with
DO = 0x8000
SOA_MINIMUM = 6  # index among the words of an SOA in presentation format
TRUNCATED = frozenset({"tc", "tcpart", "many", "many-20", "many-60"})  # script words that make the upstream set TC
WRONG_QUESTION = frozenset({"wrongname", "wrongtype", "wrongclass", "noquestion", "qr0", "forgedname-2"})


class Difference(NamedTuple):
    """A name and its correction of CoreDNS's reply."""

    name: str
    apply: Callable[[str, Step, ComparedReply, ComparedReply], ComparedReply | None]


def _words(step: Step) -> set[str]:
    return set(step.question.name.split("."))


def _negative_ttl(text: str, __: Step, theirs: ComparedReply, ___: ComparedReply) -> ComparedReply | None:
    minimum = [int(line.rdata.split(" ")[SOA_MINIMUM]) for line in theirs.authority if line.rtype == "SOA"]
    if not minimum or "cache" not in text:
        return None
    floor = re.search(r"denial \d+ \d+ (\d+)", text)
    cap = max(minimum[0], int(floor.group(1)) if floor else 0)

    def capped(lines: Iterable[Line]) -> tuple[Line, ...]:
        return tuple(line._replace(ttl=min(line.ttl, cap)) for line in lines)

    return replace(
        theirs,
        answer=capped(theirs.answer),
        authority=capped(theirs.authority),
        additional=capped(theirs.additional),
    )


def _case_as_asked(_: str, step: Step, theirs: ComparedReply, ours: ComparedReply) -> ComparedReply | None:
    if (
        theirs.silent
        or theirs.question.lower() != ours.question.lower()
        or step.question.wire()[12:].find(ours.question)
    ):
        return None
    mark = " (not as asked)"

    def as_asked(lines: Iterable[Line]) -> tuple[Line, ...]:
        return tuple(sorted(line._replace(owner="@") if line.owner.endswith(mark) else line for line in lines))

    return replace(theirs, question=ours.question, answer=as_asked(theirs.answer), authority=as_asked(theirs.authority))


def _wrong_question(_: str, step: Step, theirs: ComparedReply, ours: ComparedReply) -> ComparedReply | None:
    if theirs.rcode != FORMERR or not _words(step) & WRONG_QUESTION:
        return None
    is_true_reply = "forgedname-2" in _words(step) and bool(ours.answer)
    return ours if is_true_reply or (ours.rcode == SERVFAIL and not ours.answer) else None


def _truncated_upstream(_: str, step: Step, theirs: ComparedReply, ours: ComparedReply) -> ComparedReply | None:
    if not _words(step) & TRUNCATED or theirs.rcode != ours.rcode or not (theirs.is_truncated or ours.is_truncated):
        return None
    ttl = {line.ttl for line in ours.answer}
    is_whole_or_more = len(theirs.answer) <= len(ours.answer) or ours.is_truncated
    if not is_whole_or_more or len(ttl) > 1:
        return None
    return replace(ours, edns=theirs.edns)


def _extended_error(_: str, __: Step, theirs: ComparedReply, ours: ComparedReply) -> ComparedReply | None:
    if theirs.edns is None or ours.edns is None or not any(one.startswith("EDE ") for one in ours.edns[2]):
        return None
    return replace(theirs, edns=(*theirs.edns[:2], ours.edns[2]))


def _opt_unasked(_: str, step: Step, theirs: ComparedReply, __: ComparedReply) -> ComparedReply | None:
    return replace(theirs, edns=None) if step.question.shape.edns is None and theirs.edns is not None else None


def _do_unasked(_: str, step: Step, theirs: ComparedReply, __: ComparedReply) -> ComparedReply | None:
    edns = step.question.shape.edns
    if theirs.edns is None or (edns is not None and edns.do):
        return None
    return replace(theirs, edns=(theirs.edns[0], theirs.edns[1] & ~DO, theirs.edns[2]))


def _held_data_uncached(text: str, step: Step, theirs: ComparedReply, ours: ComparedReply) -> ComparedReply | None:
    is_held = "AA" in theirs.flags and "aa" not in _words(step)
    if "cache" not in text or not is_held:
        return None
    sections = [(theirs.answer, ours.answer), (theirs.authority, ours.authority), (theirs.additional, ours.additional)]
    for kept, held in sections:
        pairs = list(zip(_by_record(kept), _by_record(held), strict=False))
        if len(kept) != len(held) or any(one._replace(ttl=other.ttl) != other for one, other in pairs):
            return None
        if any(one.ttl > other.ttl + 1 for one, other in pairs):
            return None
    return replace(theirs, answer=ours.answer, authority=ours.authority, additional=ours.additional)


def _by_record(lines: Iterable[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: line._replace(ttl=0))


def _ttl_of_opt(text: str, __: Step, theirs: ComparedReply, ours: ComparedReply) -> ComparedReply | None:
    if "rewrite ttl" not in text.replace("continue ", "") or theirs.edns is None or ours.edns is None:
        return None
    return replace(theirs, edns=(theirs.edns[0], theirs.edns[1] & DO, theirs.edns[2]))


def _search_domain(text: str, step: Step, theirs: ComparedReply, ours: ComparedReply) -> ComparedReply | None:
    is_domain = "autopath" in text and step.question.name == "first.autopath.test."
    return ours if is_domain and theirs.rcode == SERVFAIL and _is_of_upstream(ours) else None


def _is_of_upstream(seen: ComparedReply) -> bool:
    """Return whether the reply is an ordinary answer of the scripted upstream."""
    addresses = [line.rdata for line in seen.answer]
    return seen.rcode == 0 and bool(addresses) and all(one.startswith(UPSTREAM_NETWORK) for one in addresses)


def _class_in_only(text: str, step: Step, theirs: ComparedReply, ours: ComparedReply) -> ComparedReply | None:
    is_other = "file " in text and step.question.shape.qclass == CH and "AA" in theirs.flags
    return ours if is_other and "AA" not in ours.flags and _is_of_upstream(ours) else None


def _malformed_upstream(_: str, step: Step, theirs: ComparedReply, ours: ComparedReply) -> ComparedReply | None:
    is_malformed = "cut" in _words(step) and theirs.is_truncated
    return ours if is_malformed and ours.rcode == SERVFAIL and not ours.answer else None


def _file_any_hinfo(text: str, step: Step, theirs: ComparedReply, ours: ComparedReply) -> ComparedReply | None:
    if "file " not in text or step.question.qtype != "ANY" or theirs.answer:
        return None
    hinfo = Line("@", "HINFO", ours.answer[0].ttl if ours.answer else 0, '"rfc8482" ""')
    return replace(theirs, answer=(hinfo,), authority=ours.authority)


def _file_cname_nodata(text: str, __: Step, theirs: ComparedReply, ours: ComparedReply) -> ComparedReply | None:
    is_cname = bool(theirs.answer) and all(line.rtype == "CNAME" for line in theirs.answer)
    if "file " not in text or not is_cname or [line.rtype for line in ours.authority] != ["SOA"]:
        return None
    return replace(theirs, authority=ours.authority)


def _file_cname_ring(text: str, __: Step, theirs: ComparedReply, ___: ComparedReply) -> ComparedReply | None:
    return replace(theirs, answer=tuple(dict.fromkeys(theirs.answer))) if "file " in text else None


def _file_referral_owner(text: str, step: Step, theirs: ComparedReply, ours: ComparedReply) -> ComparedReply | None:
    if "file " not in text or "AA" in theirs.flags or theirs.answer:
        return None
    owners = {line.owner for line in ours.authority}
    if len(owners) != 1 or not step.question.name.endswith("." + min(owners)):
        return None
    return replace(theirs, authority=tuple(line._replace(owner=min(owners)) for line in theirs.authority))


def _cname_twice(text: str, __: Step, theirs: ComparedReply, ___: ComparedReply) -> ComparedReply | None:
    return replace(theirs, answer=tuple(dict.fromkeys(theirs.answer))) if "autopath" in text else None


def _foreign_records(_: str, step: Step, theirs: ComparedReply, __: ComparedReply) -> ComparedReply | None:
    if "foreign" not in _words(step):
        return None
    return replace(theirs, answer=tuple(line for line in theirs.answer if not line.owner.startswith("bank.")))


def _dns64_native(text: str, step: Step, theirs: ComparedReply, ours: ComparedReply) -> ComparedReply | None:
    is_native = [line.rtype for line in ours.answer] == ["AAAA"] and ours.answer[0].rdata.startswith("2001:db8::")
    if "translate_all" not in text or "only6" not in _words(step) or theirs.answer or not is_native:
        return None
    return replace(theirs, answer=ours.answer, authority=(), flags=ours.flags)


DIFFERENCES = (
    Difference("wrong-question", _wrong_question),
    Difference("truncated-upstream", _truncated_upstream),
    Difference("opt-unasked", _opt_unasked),
    Difference("do-unasked", _do_unasked),
    Difference("case-as-asked", _case_as_asked),
    Difference("negative-ttl", _negative_ttl),
    Difference("held-data-uncached", _held_data_uncached),
    Difference("extended-error", _extended_error),
    Difference("ttl-of-opt", _ttl_of_opt),
    Difference("search-domain", _search_domain),
    Difference("cname-twice", _cname_twice),
    Difference("class-in-only", _class_in_only),
    Difference("malformed-upstream", _malformed_upstream),
    Difference("foreign-records", _foreign_records),
    Difference("dns64-native", _dns64_native),
    Difference("file-any-hinfo", _file_any_hinfo),
    Difference("file-cname-nodata", _file_cname_nodata),
    Difference("file-cname-ring", _file_cname_ring),
    Difference("file-referral-owner", _file_referral_owner),
)
NAMES = tuple(difference.name for difference in DIFFERENCES)
UNCOUNTED = TRUNCATED | WRONG_QUESTION  # script words that lead to a second query of ours
seen_names: Counter[str] = Counter()


def compare(text: str, step: Step, theirs: ComparedReply, ours: ComparedReply) -> list[str]:
    """Return the difference between the replies as a message if it has no name; count the names that explain it."""
    expected, used = theirs, []
    for difference in DIFFERENCES:
        if alike(expected, ours):
            break
        changed = difference.apply(text, step, expected, ours)
        if changed is not None and changed != expected:
            expected = changed
            used.append(difference.name)
    if alike(expected, ours):
        seen_names.update(used)
        return []
    return [f"{step}\n  CoreDNS:\n      {theirs.text()}\n  clusterdns:\n      {ours.text()}"]


def compare_upstream(theirs: Counter[str], ours: Counter[str]) -> list[str]:
    """Return the questions that upstreams received more or less often than from CoreDNS, or over other transports."""
    found = []
    often, ours_often = _over_all(theirs), _over_all(ours)
    for question in sorted({*often, *ours_often}):
        if set(question.split(" ")[1].split(".")) & UNCOUNTED:
            continue
        used, ours_used = _transports(theirs, question), _transports(ours, question)
        if often[question] != ours_often[question]:
            found.append(f"{question}: asked {often[question]} times by CoreDNS, {ours_often[question]} times by us")
        elif not used & ours_used:
            found.append(f"{question}: asked over {used} by CoreDNS, over {ours_used} by us")
    return found


def _over_all(counts: Counter[str]) -> Counter[str]:
    total: Counter[str] = Counter()
    for key, count in counts.items():
        total[key.rpartition(" ")[0]] += count
    return total


def _transports(counts: Counter[str], question: str) -> set[str]:
    return {key.rpartition(" ")[2] for key in counts if key.rpartition(" ")[0] == question}
