"""The intended differences from CoreDNS's answers about the cluster, each a function that corrects CoreDNS's reply.

A difference is a name, which docs/differences.md explains, and a correction, which takes the question and CoreDNS's
reply and returns the expected reply, or None where the difference does not apply. Corrections read CoreDNS's replies to
other questions and the objects, never our reply, so that none can excuse a wrong answer of ours. There are two
exceptions, which decide whether our answer is a part of the expected one: truncated replies, and rings of CNAMEs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import dns.rdataclass
from differential.case import NODATA, Case
from differential.questions import NOTIFY, RD
from differential.replies import ComparedReply, Line

from testing.ports import LOOPBACK

Correction = Callable[[Case, ComparedReply], ComparedReply | None]

OWN_UDP_BYTES = 1232
SERVFAIL, NOTIMP, REFUSED, BADVERS = 2, 4, 5, 16
IN = 1
CAUSES = {
    SERVFAIL: "EDE 0 (Other): plugin/kubernetes: no next plugin found",
    REFUSED: "EDE 20 (Not Authoritative): no server block answers for this name",
}
CLASS_CAUSE = "EDE 21 (Not Supported): this server does not serve class {}"
DO = 0x8000
NOT_LOOKED_UP = (NOTIMP, BADVERS)  # RCODEs that do not depend on the name
UDP_LIMIT, RING = "udp-at-1232", "externalname-ring"  # decided in `compare`, which has both replies


class Difference(NamedTuple):
    """A name and its correction of CoreDNS's reply."""

    name: str
    correct: Correction


@dataclass(frozen=True)
class Explained:
    """An expected reply, and the differences that lead to it from CoreDNS's."""

    reply: ComparedReply
    names: tuple[str, ...]


def explain(case: Case, theirs: ComparedReply) -> Explained:
    """Apply every correction to CoreDNS's reply."""
    names = []
    reply = theirs
    is_looked_up = case.question.shape.qclass == IN
    for difference in DIFFERENCES if is_looked_up else (*OF_HEADERS, *OF_CODES):
        corrected = difference.correct(case, reply)
        if corrected is not None and not corrected.same_as(reply):
            reply = corrected
            names.append(difference.name)
        if reply.rcode in NOT_LOOKED_UP:
            break
    return Explained(reply, tuple(names))


def is_truncation_of(case: Case, ours: ComparedReply) -> bool:
    """Return whether our truncated reply is a part of the expected whole one."""
    whole = explain(case.plain(), case.theirs(case.question.qtype)).reply
    sections = ((ours.answer, whole.answer), (ours.authority, whole.authority), (ours.additional, whole.additional))
    return ours.is_truncated and ours.rcode == whole.rcode and all(set(part) <= set(full) for part, full in sections)


def is_part_of_ring(case: Case, ours: ComparedReply) -> bool:
    """Return whether the name's CNAMEs form a ring, and our answer is a part of it that begins at the name."""
    met, step, chain = set(), case.plain(), []
    owner: str = "@"
    while (target := step.externalname()) is not None and step.question.name not in met:
        met.add(step.question.name)
        chain.append(Line(owner, "CNAME", case.block_ttl, target))
        step, owner = case.plain(name=target), target
    is_ring = step.question.name in met
    own = [line._replace(owner=case.question.name) for line in chain[:1]]  # may end at the first name
    return is_ring and ours.rcode == NODATA and set(chain[:1]) <= set(ours.answer) <= {*chain, *own}


# Transport, header and EDNS


def _notify(case: Case, seen: ComparedReply) -> ComparedReply | None:
    if not case.question.shape.flags & NOTIFY:
        return None
    flags = {"QR", f"opcode{NOTIFY >> 11}"} | ({"RD"} if case.question.shape.flags & RD else set())
    asked = case.question.shape.edns
    return ComparedReply(
        rcode=NOTIMP, flags=frozenset(flags), edns=None if asked is None else (0, DO if asked.do else 0, ())
    )


def _reserved_edns_flags(case: Case, seen: ComparedReply) -> ComparedReply | None:
    return replace(seen, edns=(seen.edns[0], seen.edns[1] & DO, seen.edns[2])) if seen.edns else None


def _badvers_do(case: Case, seen: ComparedReply) -> ComparedReply | None:
    is_asked = seen.rcode == BADVERS and case.question.shape.edns is not None and case.question.shape.edns.do
    return replace(seen, edns=(seen.edns[0], DO, seen.edns[2])) if is_asked and seen.edns else None


def _extended_error(case: Case, seen: ComparedReply) -> ComparedReply | None:
    if seen.rcode not in CAUSES or seen.edns is None:
        return None
    qclass = case.question.shape.qclass
    cause = CAUSES[seen.rcode] if qclass == IN else CLASS_CAUSE.format(dns.rdataclass.to_text(qclass))  # type: ignore[arg-type]
    return replace(seen, edns=(*seen.edns[:2], (cause,)))


# Existence of names


def _pod_extra_labels(case: Case, seen: ComparedReply) -> ComparedReply | None:
    is_below = case.tree == "pod" and len(case.labels) > 3
    return case.absent(seen) if is_below and seen.rcode == NODATA else None


def _externalname_empty_labels(case: Case, seen: ComparedReply) -> ComparedReply | None:
    is_odd = len(case.labels) == 5 and case.tree == "svc" and seen.rcode == NODATA
    if not is_odd:
        return None
    return case.absent(seen) if case.plain(name=case.question.name.split(".", 2)[2]).externalname() else None


def _fqdn_endpoints(case: Case, seen: ComparedReply) -> ComparedReply | None:
    return case.absent(seen) if case.is_fqdn_endpoint() and seen.rcode == NODATA else None


def _port_ancestor(case: Case, seen: ComparedReply) -> ComparedReply | None:
    return case.negative(seen, NODATA) if case.is_missing(seen) and case.is_port_ancestor() else None


def _fixed_names(case: Case, seen: ComparedReply) -> ComparedReply | None:
    is_fixed = case.labels in (("dns",), ("ns", "dns"), ("dns-version",))
    return case.negative(seen, NODATA) if is_fixed and case.is_missing(seen) else None


def _txt_of_existing(case: Case, seen: ComparedReply) -> ComparedReply | None:
    if case.question.qtype != "TXT" or not case.is_missing(seen):
        return None
    return case.negative(seen, NODATA) if _exists(case) else None


def _reverse_ancestor(case: Case, seen: ComparedReply) -> ComparedReply | None:
    return case.negative(seen, NODATA) if case.is_missing(seen) and case.is_reverse_ancestor() else None


def _reverse_other_types(case: Case, seen: ComparedReply) -> ComparedReply | None:
    if case.question.qtype == "PTR" or not case.is_missing(seen) or not case.is_full_address():
        return None
    return case.negative(seen, NODATA) if explain(case.plain("PTR"), case.theirs("PTR")).reply.answer else None


def _reverse_extra_labels(case: Case, seen: ComparedReply) -> ComparedReply | None:
    return case.absent(seen) if case.has_extra_nibbles() and seen.answer else None


def _slice_without_service(case: Case, seen: ComparedReply) -> ComparedReply | None:
    if not (seen.silent or seen.broken):
        return None
    like = case.theirs_alike("A")
    return replace(like, question=case.question.section())


def _pointer_target(case: Case, seen: ComparedReply) -> ComparedReply | None:
    """Leave out PTR records whose target CoreDNS itself has no address for."""
    if case.question.qtype != "PTR" or not seen.answer:
        return None
    kept = tuple(line for line in seen.answer if line.rtype != "PTR" or _has_addresses(case.plain(name=line.rdata)))
    return replace(seen, answer=kept) if kept else case.absent(seen)


def _has_addresses(case: Case) -> bool:
    return not case.zone or any(explain(case.plain(one), case.theirs(one)).reply.answer for one in ("A", "AAAA"))


def _pod_other_addresses(case: Case, seen: ComparedReply) -> ComparedReply | None:
    address = case.verified_pod()
    if address is None or not case.is_missing(seen):
        return None
    return case.addresses(seen, (address,))


def _soa_of_absent(case: Case, seen: ComparedReply) -> ComparedReply | None:
    if case.question.qtype != "SOA" or seen.answer or seen.rcode != NODATA or not case.zone:
        return None
    return None if _exists(case) else case.absent(seen)


def _exists(case: Case) -> bool:
    return explain(case.plain("A"), case.theirs("A")).reply.rcode == NODATA


# Records of names


def _externalname_all_types(case: Case, seen: ComparedReply) -> ComparedReply | None:
    return _followed(case, seen) if case.question.qtype not in ("A", "AAAA", "CNAME") else None


def _externalname_dangling(case: Case, seen: ComparedReply) -> ComparedReply | None:
    return _followed(case, seen) if case.question.qtype in ("A", "AAAA") else None


def _followed(case: Case, seen: ComparedReply) -> ComparedReply | None:
    """Return the CNAMEs from this name on with the answer at their end; of a ring each CNAME once."""
    target = case.externalname()
    chain: list[Line] = []
    owner, met, step = "@", {case.question.name}, case
    while target is not None:
        chain.append(Line(owner, "CNAME", case.block_ttl, target))
        if case.question.qtype == "ANY" or target in met:
            return replace(seen, rcode=NODATA, answer=tuple(sorted(chain)), authority=(), additional=())
        met.add(target)
        step, owner = case.plain(name=target), target
        target = step.externalname()
    if not chain:
        return None
    end = explain(step, step.theirs(case.question.qtype)).reply if step.zone else ComparedReply()
    if step.is_missing(end) and step.falls_through:
        end = ComparedReply()  # outside the zone, and no plugin follows that could resolve it
    answer = [line._replace(owner=owner) if line.owner == "@" else line for line in end.answer]
    return replace(
        seen, rcode=end.rcode, answer=tuple(sorted([*chain, *answer])), authority=end.authority, additional=()
    )


def _pod_srv(case: Case, seen: ComparedReply) -> ComparedReply | None:
    is_pod = case.tree == "pod" and case.question.qtype == "SRV" and bool(seen.answer)
    return case.negative(seen, NODATA) if is_pod else None


def _own_addresses_when_bound(case: Case, seen: ComparedReply) -> ComparedReply | None:
    if seen.answer or seen.rcode != NODATA or not case.zone:
        return None
    if case.labels == ("ns", "dns"):
        return case.addresses(seen, (LOOPBACK,)) if case.question.qtype == "A" else None
    if case.question.qtype != "NS" or case.question.name != f"{case.zone}.":
        return None
    server = f"ns.dns.{case.zone}."
    answer, glue = Line("@", "NS", case.block_ttl, server), Line(server, "A", case.block_ttl, LOOPBACK)
    return replace(seen, answer=(answer,), authority=(), additional=(glue,))


def _any_hinfo(case: Case, seen: ComparedReply) -> ComparedReply | None:
    if case.question.qtype != "ANY" or seen.answer or seen.rcode != NODATA or not seen.authority:
        return None
    answer = (Line("@", "HINFO", case.block_ttl, '"rfc8482" ""'),)
    return replace(seen, answer=answer, authority=(), additional=())


def _srv_weights(case: Case, seen: ComparedReply) -> ComparedReply | None:
    if case.question.qtype != "SRV" or not seen.answer or seen.is_truncated:
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


OF_HEADERS = (
    Difference("badvers-do", _badvers_do),
    Difference("notify", _notify),
    Difference("reserved-edns-flags", _reserved_edns_flags),
)
OF_NAMES = (
    Difference("pod-extra-labels", _pod_extra_labels),
    Difference("externalname-empty-labels", _externalname_empty_labels),
    Difference("fqdn-endpoints", _fqdn_endpoints),
    Difference("port-ancestor", _port_ancestor),
    Difference("fixed-names", _fixed_names),
    Difference("txt-of-existing", _txt_of_existing),
    Difference("reverse-extra-labels", _reverse_extra_labels),
    Difference("slice-without-service", _slice_without_service),
    Difference("reverse-ancestor", _reverse_ancestor),
    Difference("reverse-other-types", _reverse_other_types),
    Difference("pointer-target", _pointer_target),
    Difference("pod-other-addresses", _pod_other_addresses),
    Difference("soa-of-absent", _soa_of_absent),
    Difference("externalname-all-types", _externalname_all_types),
    Difference("externalname-dangling", _externalname_dangling),
    Difference("pod-srv", _pod_srv),
    Difference("own-addresses-when-bound", _own_addresses_when_bound),
    Difference("any-hinfo", _any_hinfo),
    Difference("srv-weights", _srv_weights),
)
OF_CODES = (Difference("extended-error", _extended_error),)
DIFFERENCES = (*OF_HEADERS, *OF_NAMES, *OF_CODES)

NAMES = (*(difference.name for difference in DIFFERENCES), UDP_LIMIT, RING)
