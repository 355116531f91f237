"""Mistakes of a zone that show only between names: data hidden by delegations and DNAMEs, and targets of records.

`content` checks each name by itself. Names below a DNAME are removed, because they have no answer (RFC 6672 §2.4); all
other records stay in the zone and its transfers.
"""

from clusterdns.plugins.file.content import Records, ZoneContent
from clusterdns.wire import codes
from clusterdns.wire.name import is_under, suffixes, to_text
from clusterdns.wire.rdata import names_in

_AT_DELEGATION = frozenset((codes.NS, codes.DS, codes.RRSIG, codes.NSEC))  # RFC 4035 §2.5
_NO_CNAME_TARGETS = {codes.NS: "RFC 2181 §10.3", codes.MX: "RFC 2181 §10.3", codes.SRV: "RFC 2782"}


def check(origin: bytes, content: ZoneContent) -> None:
    """Warn of names that have no answer and of targets without addresses; remove the names below DNAMEs."""
    hiding = {
        owner: rtype
        for owner, node in content.nodes.items()
        for rtype in (_hides(owner == origin, node),)
        if rtype is not None
    }
    if hiding:
        _check_hidden(origin, content, hiding)
    for owner, node in content.nodes.items():
        _check_targets(origin, owner, node, content)


def _hides(is_apex: bool, node: Records) -> int | None:
    """Return NS or DNAME if the node hides the names below it."""
    types = {one.rtype for one in node}
    if codes.NS in types and not is_apex:
        return codes.NS
    return codes.DNAME if codes.DNAME in types else None


def _check_hidden(origin: bytes, content: ZoneContent, hiding: dict[bytes, int]) -> None:
    glue = {
        one.rdata.lower() for owner, rtype in hiding.items() if rtype == codes.NS for one in content.nodes[owner]
        if one.rtype == codes.NS
    } | {one.rdata.lower() for one in content.nodes[origin] if one.rtype == codes.NS}  # fmt: skip
    for owner in tuple(content.nodes):
        types = {one.rtype for one in content.nodes[owner]}
        if owner in glue:
            types -= {codes.A, codes.AAAA}
        ancestors = [one for one in suffixes(owner)[1:] if len(one) >= len(origin)]
        above = next((one for one in reversed(ancestors) if one in hiding), None)
        if above is None:
            if hiding.get(owner) == codes.NS and (types := types - _AT_DELEGATION):
                text = f"{to_text(owner)} has {_listed(types)} beside a delegation, which are not answered"
                content.warn(owner, text)
        elif hiding[above] == codes.DNAME:
            del content.nodes[owner]
            text = f"{to_text(owner)} is below the DNAME of {to_text(above)}; its records are ignored (RFC 6672 §2.4)"
            content.warn(owner, text)
        elif types:
            text = (
                f"{to_text(owner)} is below the delegation of {to_text(above)}, and its {_listed(types)} are not glue"
            )
            content.warn(owner, f"{text}; they are not answered")


def _listed(types: set[int]) -> str:
    return ", ".join(map(codes.type_text, sorted(types))) + " records"


def _check_targets(origin: bytes, owner: bytes, node: Records, content: ZoneContent) -> None:
    for one in node:
        if one.rtype not in _NO_CNAME_TARGETS:
            continue
        target = names_in(one)[0].lower()
        types = {other.rtype for other in content.nodes.get(target, ())}
        text = ""
        if codes.CNAME in types:
            source = _NO_CNAME_TARGETS[one.rtype]
            text = f"points to {to_text(target)}, which is a CNAME; name its target ({source})"
        elif one.rtype == codes.NS and _lacks_address(target, types, owner, origin, content):
            text = f"points to {to_text(target)}, which has no address in this zone; add an A or AAAA record"
        if text:
            text = f"the {codes.type_text(one.rtype)} record of {to_text(owner)} {text}"
            content.warn(owner, text, one.rtype, one.rdata)


def _lacks_address(target: bytes, types: set[int], owner: bytes, origin: bytes, content: ZoneContent) -> bool:
    """Return whether only this zone can have addresses of a name server, as glue or as data, and has none."""
    if types & {codes.A, codes.AAAA} or not is_under(target, owner):
        return False
    if owner != origin:
        return True
    within = [one for one in suffixes(target) if len(one) >= len(origin)]
    has_wildcard = any(b"\x01*" + one in content.nodes for one in within)
    is_below_cut = any(one.rtype == codes.NS for above in within[:-1] for one in content.nodes.get(above, ()))
    return not has_wildcard and not is_below_cut
