"""Where our answers are meant to differ from CoreDNS's, each as a rewriting of what CoreDNS said into what we say.

A difference is a name (which docs/differences.md explains) and a correction: given the question and CoreDNS's reply,
the reply that would be right, or None where it does not apply. Corrections look at what CoreDNS says to other questions
and at the objects, not at our reply, so that none can excuse a wrong answer of ours. The two exceptions decide whether
an answer of ours is a proper part of a whole one: a shortened reply, and a stretch of a ring of aliases.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from differential.case import NODATA, Case
from differential.questions import NOTIFY, RD
from differential.replies import Line, Seen

from testing.ports import LOOPBACK

Correction = Callable[[Case, Seen], Seen | None]

OWN_UDP_BYTES = 1232
NOTIMP, BADVERS = 4, 16
DO = 0x8000
NOT_LOOKED_UP = (NOTIMP, BADVERS)  # whatever the name
CUT_EARLIER, RING = "udp-at-1232", "externalname-ring"  # decided in `compare`, which sees both replies


class Difference(NamedTuple):
    """A named difference."""

    name: str
    correct: Correction


@dataclass(frozen=True)
class Explained:
    """What a reply ought to be, and the differences that it took to get there."""

    reply: Seen
    names: tuple[str, ...]


def explain(case: Case, theirs: Seen) -> Explained:
    """CoreDNS's reply after every correction that applies."""
    names = []
    reply = theirs
    for difference in DIFFERENCES:
        corrected = difference.correct(case, reply)
        if corrected is not None and not corrected.same_as(reply):
            reply = corrected
            names.append(difference.name)
        if reply.rcode in NOT_LOOKED_UP:
            break
    return Explained(reply, tuple(names))


def is_cut_of(case: Case, ours: Seen) -> bool:
    """Whether our shortened reply is a part of what we would say at full length."""
    whole = explain(case.plain(), case.theirs(case.asked.qtype)).reply
    sections = ((ours.answer, whole.answer), (ours.authority, whole.authority), (ours.additional, whole.additional))
    return ours.is_cut and ours.rcode == whole.rcode and all(set(part) <= set(full) for part, full in sections)


def is_part_of_ring(case: Case, ours: Seen) -> bool:
    """Whether the name's aliases lead in a ring, and our answer is a stretch of it that begins at the name."""
    met, step, chain = set(), case.plain(), []
    owner: str = "@"
    while (target := step.alias()) is not None and step.asked.name not in met:
        met.add(step.asked.name)
        chain.append(Line(owner, "CNAME", case.block_ttl, target))
        step, owner = case.plain(name=target), target
    is_ring = step.asked.name in met
    own = [line._replace(owner=case.asked.name) for line in chain[:1]]  # a stretch may come by the name once more
    return is_ring and ours.rcode == NODATA and set(chain[:1]) <= set(ours.answer) <= {*chain, *own}


# How a question is put


def _notify(case: Case, seen: Seen) -> Seen | None:
    if not case.asked.shape.flags & NOTIFY:
        return None
    flags = {"QR", f"opcode{NOTIFY >> 11}"} | ({"RD"} if case.asked.shape.flags & RD else set())
    return Seen(rcode=NOTIMP, flags=frozenset(flags))


def _reserved_edns_flags(case: Case, seen: Seen) -> Seen | None:
    return replace(seen, edns=(seen.edns[0], seen.edns[1] & DO, seen.edns[2])) if seen.edns else None


def _badvers_do(case: Case, seen: Seen) -> Seen | None:
    is_asked = seen.rcode == BADVERS and case.asked.shape.edns is not None and case.asked.shape.edns.do
    return replace(seen, edns=(seen.edns[0], DO, seen.edns[2])) if is_asked and seen.edns else None


# Names that exist, or do not


def _pod_extra_labels(case: Case, seen: Seen) -> Seen | None:
    is_below = case.tree == "pod" and len(case.labels) > 3
    return case.absent(seen) if is_below and seen.rcode == NODATA else None


def _alias_without_labels(case: Case, seen: Seen) -> Seen | None:
    is_odd = len(case.labels) == 5 and case.tree == "svc" and seen.rcode == NODATA
    if not is_odd:
        return None
    return case.absent(seen) if case.plain(name=case.asked.name.split(".", 2)[2]).alias() else None


def _endpoints_by_name(case: Case, seen: Seen) -> Seen | None:
    return case.absent(seen) if case.is_fqdn_endpoint() and seen.rcode == NODATA else None


def _port_ancestor(case: Case, seen: Seen) -> Seen | None:
    return case.denied(seen, NODATA) if case.is_missing(seen) and case.is_port_ancestor() else None


def _fixed_names(case: Case, seen: Seen) -> Seen | None:
    is_fixed = case.labels in (("dns",), ("ns", "dns"), ("dns-version",))
    return case.denied(seen, NODATA) if is_fixed and case.is_missing(seen) else None


def _txt_of_existing(case: Case, seen: Seen) -> Seen | None:
    if case.asked.qtype != "TXT" or not case.is_missing(seen):
        return None
    return case.denied(seen, NODATA) if _exists(case) else None


def _reverse_ancestor(case: Case, seen: Seen) -> Seen | None:
    return case.denied(seen, NODATA) if case.is_missing(seen) and case.is_reverse_ancestor() else None


def _reverse_other_types(case: Case, seen: Seen) -> Seen | None:
    if case.asked.qtype == "PTR" or not case.is_missing(seen) or not case.is_full_address():
        return None
    return case.denied(seen, NODATA) if explain(case.plain("PTR"), case.theirs("PTR")).reply.answer else None


def _reverse_extra_labels(case: Case, seen: Seen) -> Seen | None:
    return case.absent(seen) if case.has_extra_nibbles() and seen.answer else None


def _slice_without_service(case: Case, seen: Seen) -> Seen | None:
    if not (seen.silent or seen.broken):
        return None
    like = case.theirs_alike("A")
    return replace(like, question=case.asked.question())


def _pod_other_addresses(case: Case, seen: Seen) -> Seen | None:
    address = case.verified_pod()
    if address is None or not case.is_missing(seen):
        return None
    return case.addresses(seen, (address,))


def _soa_of_absent(case: Case, seen: Seen) -> Seen | None:
    if case.asked.qtype != "SOA" or seen.answer or seen.rcode != NODATA or not case.zone:
        return None
    return None if _exists(case) else case.absent(seen)


def _exists(case: Case) -> bool:
    return explain(case.plain("A"), case.theirs("A")).reply.rcode == NODATA


# What they hold


def _alias_for_all_types(case: Case, seen: Seen) -> Seen | None:
    return _followed(case, seen) if case.asked.qtype not in ("A", "AAAA", "CNAME") else None


def _alias_dangling(case: Case, seen: Seen) -> Seen | None:
    return _followed(case, seen) if case.asked.qtype in ("A", "AAAA") else None


def _followed(case: Case, seen: Seen) -> Seen | None:
    """The alias at this name, and what its target says, down the chain; a ring of aliases once around."""
    target = case.alias()
    chain: list[Line] = []
    owner, met, step = "@", {case.asked.name}, case
    while target is not None:
        chain.append(Line(owner, "CNAME", case.block_ttl, target))
        if case.asked.qtype == "ANY" or target in met:
            return replace(seen, rcode=NODATA, answer=tuple(sorted(chain)), authority=(), additional=())
        met.add(target)
        step, owner = case.plain(name=target), target
        target = step.alias()
    if not chain:
        return None
    end = explain(step, step.theirs(case.asked.qtype)).reply if step.zone else Seen()
    if step.is_missing(end) and step.falls_through:
        end = Seen()  # not ours, and nobody else is there to ask
    answer = [line._replace(owner=owner) if line.owner == "@" else line for line in end.answer]
    return replace(
        seen, rcode=end.rcode, answer=tuple(sorted([*chain, *answer])), authority=end.authority, additional=()
    )


def _pod_srv(case: Case, seen: Seen) -> Seen | None:
    is_pod = case.tree == "pod" and case.asked.qtype == "SRV" and bool(seen.answer)
    return case.denied(seen, NODATA) if is_pod else None


def _own_addresses(case: Case, seen: Seen) -> Seen | None:
    if seen.answer or seen.rcode != NODATA or not case.zone:
        return None
    if case.labels == ("ns", "dns"):
        return case.addresses(seen, (LOOPBACK,)) if case.asked.qtype == "A" else None
    if case.asked.qtype != "NS" or case.asked.name != f"{case.zone}.":
        return None
    server = f"ns.dns.{case.zone}."
    answer, glue = Line("@", "NS", case.block_ttl, server), Line(server, "A", case.block_ttl, LOOPBACK)
    return replace(seen, answer=(answer,), authority=(), additional=(glue,))


def _any_hinfo(case: Case, seen: Seen) -> Seen | None:
    if case.asked.qtype != "ANY" or seen.answer or seen.rcode != NODATA or not seen.authority:
        return None
    answer = (Line("@", "HINFO", case.block_ttl, '"rfc8482" ""'),)
    return replace(seen, answer=answer, authority=(), additional=())


def _srv_weights(case: Case, seen: Seen) -> Seen | None:
    if case.asked.qtype != "SRV" or not seen.answer or seen.is_cut:
        return None
    services = [line for line in seen.answer if line.rtype == "SRV"]
    weight = str(max(1, 100 // len(services))) if services else ""
    answer = tuple(sorted(_weighted(line, weight) for line in seen.answer))
    return replace(seen, answer=answer)


def _weighted(line: Line, weight: str) -> Line:
    if line.rtype != "SRV":
        return line
    priority, _, port, target = line.rdata.split(" ")
    return line._replace(rdata=" ".join((priority, weight, port, target)))


DIFFERENCES = (
    Difference("badvers-do", _badvers_do),
    Difference("notify", _notify),
    Difference("reserved-edns-flags", _reserved_edns_flags),
    Difference("pod-extra-labels", _pod_extra_labels),
    Difference("externalname-empty-labels", _alias_without_labels),
    Difference("fqdn-endpoints", _endpoints_by_name),
    Difference("port-ancestor", _port_ancestor),
    Difference("fixed-names", _fixed_names),
    Difference("txt-of-existing", _txt_of_existing),
    Difference("reverse-extra-labels", _reverse_extra_labels),
    Difference("slice-without-service", _slice_without_service),
    Difference("reverse-ancestor", _reverse_ancestor),
    Difference("reverse-other-types", _reverse_other_types),
    Difference("pod-other-addresses", _pod_other_addresses),
    Difference("soa-of-absent", _soa_of_absent),
    Difference("externalname-all-types", _alias_for_all_types),
    Difference("externalname-dangling", _alias_dangling),
    Difference("pod-srv", _pod_srv),
    Difference("own-addresses-when-bound", _own_addresses),
    Difference("any-hinfo", _any_hinfo),
    Difference("srv-weights", _srv_weights),
)

NAMES = (*(difference.name for difference in DIFFERENCES), CUT_EARLIER, RING)
