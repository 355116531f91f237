"""The handler of the `file` directive: zones held in memory, and aliases that lead out of them.

An alias is followed inside the zone while its target stands there itself; whatever else it leads to, another zone or a
wildcard of this one, is looked up from zone selection on, as CoreDNS does: another block may hold it. What a name
holds is `file_tree`'s to say, where zones come from `file_zone`'s.
"""

from collections.abc import Mapping

from clusterdns.chain import Handler, Query, Reply, failure
from clusterdns.chain.fallthrough import Fallthrough, ask_next
from clusterdns.plugins.file.tree import Found, Outcome, Records, ZoneTree
from clusterdns.plugins.file.zone import ZoneFile
from clusterdns.wire import codes
from clusterdns.wire.name import ROOT, is_under, longest_suffix

MAX_ALIASES = 10  # in a row inside a zone; what follows is left to the client, as by CoreDNS
MAX_DEPTH = 8  # of lookups that come back here

_RCODES = {Outcome.NXDOMAIN: codes.NXDOMAIN, Outcome.TOO_LONG: codes.YXDOMAIN}


class FileHandler:
    """Answers the zones of one block's files; other names go to `following`, or are refused where that is nobody."""

    def __init__(
        self,
        zones: Mapping[bytes, ZoneFile],
        fallthrough: Fallthrough,
        following: Handler,
        *,
        is_last: bool,
    ) -> None:
        self._zones = zones
        self._fallthrough = fallthrough
        self._next = following
        self._is_last = is_last

    async def __call__(self, query: Query) -> Reply:
        """The reply, or what the next plugin says (see plugins.handler.Handler)."""
        file = self._zone_of(query)
        if file is None:
            return failure(codes.REFUSED, is_unhandled=True) if self._is_last else await self._next(query)
        if query.qtype in codes.TRANSFER_TYPES:
            return failure(codes.REFUSED)
        tree = file.tree
        if tree is None:
            return failure(codes.SERVFAIL)
        if query.depth > MAX_DEPTH:
            return failure(codes.SERVFAIL, f"aliases came back more than {MAX_DEPTH} times")
        found = chase(tree, query.name, query.qtype, do=query.do)
        if found.outcome is Outcome.ALIAS:
            return await self._follow(query, file, tree, found)
        if (
            found.outcome in (Outcome.NXDOMAIN, Outcome.EMPTY)
            and not found.answer
            and self._fallthrough.includes(query.name)
        ):
            return await ask_next(self._next, query, (file,))
        return Reply(
            _RCODES.get(found.outcome, codes.NOERROR), found.answer, found.authority, found.additional,
            is_authoritative=found.outcome is not Outcome.REFERRAL,
            dependencies=(file,),
            reusable=True,
        )  # fmt: skip

    def _zone_of(self, query: Query) -> ZoneFile | None:
        """The longest zone with the name; for a DS at its top the parent's, where that is here (RFC 4035 §3.1.4.1)."""
        name = query.name
        zone = longest_suffix(name, self._zones)
        if zone == name != ROOT and query.qtype == codes.DS:
            zone = longest_suffix(name[1 + name[0] :], self._zones) or zone
        return None if zone is None else self._zones[zone]

    async def _follow(self, query: Query, file: ZoneFile, tree: ZoneTree, found: Found) -> Reply:
        """What the end of a chain says, with the chain before it and the code of its end (RFC 6604 §2)."""
        own_servers = tree.nameservers(do=query.do)
        reply = Reply(codes.NOERROR, found.answer, own_servers, dependencies=(file,), reusable=True)
        target = await query.lookup(query, found.target, query.qtype)
        if target.is_unhandled and target.rcode == codes.REFUSED:
            return reply  # out of all zones: the client's to follow
        reply.dependencies = (file, *target.dependencies)
        reply.reusable = target.reusable
        reply.rcode = target.rcode
        reply.answer = tuple(dict.fromkeys((*found.answer, *target.answer)))
        reply.is_truncated = target.is_truncated
        reply.serial = target.serial
        reply.counted = target.counted
        reply.error = target.error
        reply.rotates = target.rotates
        is_denied = any(one.rtype == codes.SOA for one in target.authority)
        if is_denied or (target.authority and not target.answer):  # a denial, or a referral
            reply.authority = target.authority
        reply.additional = target.additional
        return reply


def chase(tree: ZoneTree, name: bytes, qtype: int, *, do: bool) -> Found:
    """What a zone holds for a name, aliases followed as far as their targets stand in the zone themselves."""
    found = tree.find(name, qtype, do=do)
    if found.outcome is not Outcome.ALIAS:
        return found
    chain: Records = found.answer
    seen = {name}
    for _ in range(MAX_ALIASES):
        target = found.target
        if target in seen:
            break  # the ring is shown once; where it leads, nowhere, is for the client to see
        if not is_under(target, tree.origin):
            return Found(Outcome.ALIAS, chain, target=target)
        seen.add(target)
        following = tree.find(target, qtype, do=do)
        if following.is_made or following.outcome in (Outcome.NXDOMAIN, Outcome.REFERRAL, Outcome.TOO_LONG):
            return Found(Outcome.ALIAS, chain, target=target)
        if following.outcome is not Outcome.ALIAS:
            return following._replace(answer=(*chain, *following.answer))
        if len(seen) > MAX_ALIASES:
            break
        chain = (*chain, *following.answer)
        found = following
    return Found(Outcome.ANSWER, chain, tree.nameservers(do=do))
