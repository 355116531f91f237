"""The handler of the `file` directive: it answers from the zones in memory, and follows CNAME records.

Inside a zone a CNAME is followed while the zone has its target as a name of its own. Any other target, in another zone
or under a wildcard of this one, is looked up from zone selection on, as in CoreDNS, because another block may have it.
"""

from collections.abc import Mapping, Sequence

from clusterdns.chain import Handler, Query, Reply, failure
from clusterdns.chain.fallthrough import Fallthrough, ask_next
from clusterdns.plugins.file.tree import ZoneOutcome, ZoneResult, ZoneTree
from clusterdns.plugins.file.zone import ZoneFile
from clusterdns.wire import codes
from clusterdns.wire.name import ROOT, is_under, longest_suffix, to_text
from clusterdns.wire.record import Record
from clusterdns.wire.runs import joined, split_run

MAX_CNAMES = 16  # in a chain inside a zone; the client follows the rest
MAX_DEPTH = 15  # of nested look-ups for CNAME targets; one less than the server allows, so that no chain fails

_MISSING = (ZoneOutcome.NXDOMAIN, ZoneOutcome.EMPTY_NON_TERMINAL)
_RCODES = {ZoneOutcome.NXDOMAIN: codes.NXDOMAIN, ZoneOutcome.NAME_TOO_LONG: codes.YXDOMAIN}


class FileHandler:
    """Answers for the zones of one block; other names go to `following`, or are refused if `is_last`."""

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
        self._following = following
        self._is_last = is_last

    async def __call__(self, query: Query) -> Reply:
        """Answer the query, or ask the next plugin."""
        file = self._zone_of(query)
        if file is None:
            return _not_here() if self._is_last else await self._following(query)
        if query.qtype in codes.TRANSFER_TYPES:
            return failure(codes.REFUSED, "zone transfers are not allowed", codes.EDE_PROHIBITED)
        tree = file.tree
        if tree is None:
            return failure(codes.SERVFAIL, f"zone {to_text(file.origin)} is not loaded", codes.EDE_NOT_READY)
        result = resolve(tree, query.name, query.qtype, do=query.do)
        if result.outcome is ZoneOutcome.CNAME:
            return await self._follow_out(query, file, tree, result)
        if result.outcome in _MISSING and not result.answer and self._fallthrough.includes(query.name):
            return await ask_next(self._following, query, (file,))
        return Reply(
            _RCODES.get(result.outcome, codes.NOERROR), result.answer, result.authority, result.additional,
            is_authoritative=result.outcome is not ZoneOutcome.REFERRAL,
            dependencies=(file,),
            reusable=True,
        )  # fmt: skip

    def _zone_of(self, query: Query) -> ZoneFile | None:
        """Return the longest zone of the name; for a DS at its apex the parent, if it is here (RFC 4035 §3.1.4.1)."""
        name = query.name
        zone = longest_suffix(name, self._zones)
        if zone == name != ROOT and query.qtype == codes.DS:
            zone = longest_suffix(name[1 + name[0] :], self._zones) or zone
        return None if zone is None else self._zones[zone]

    async def _follow_out(self, query: Query, file: ZoneFile, tree: ZoneTree, result: ZoneResult) -> Reply:
        """Look up the target of a CNAME chain; return the chain with the target's records and rcode (RFC 6604 §2).

        A chain that has taken `MAX_DEPTH` look-ups is returned as it is: the client follows the rest.
        """
        own_servers = tree.nameservers(do=query.do)
        reply = Reply(codes.NOERROR, result.answer, own_servers, dependencies=(file,), reusable=True)
        if query.depth >= MAX_DEPTH:
            return reply
        target = await query.lookup(query, result.target, query.qtype)
        if target.is_unhandled and target.rcode == codes.REFUSED:
            return reply  # the target is in no zone of this server: the client follows it
        reply.dependencies = (file, *target.dependencies)
        reply.reusable = target.reusable
        reply.rcode = target.rcode
        reply.answer = _without_repeats(result.answer, target.answer)
        reply.is_truncated = target.is_truncated
        reply.serial = target.serial
        reply.counted = target.counted
        reply.take_cause(target)
        reply.rotates = target.rotates
        is_negative = any(one.rtype == codes.SOA for one in target.authority)
        is_referral = target.authority and not target.answer
        if is_negative or is_referral:
            reply.authority = target.authority
        reply.additional = target.additional
        return reply


def _not_here() -> Reply:
    cause = "no zone file of this server has this name"
    return failure(codes.REFUSED, cause, codes.EDE_NOT_AUTHORITATIVE, is_unhandled=True)


def _without_repeats(chain: Sequence[Record], target: Sequence[Record]) -> Sequence[Record]:
    """Join the records of a chain with those of its end, each once."""
    large = split_run(target)
    before, run = large or (target, ())
    return joined(tuple(dict.fromkeys((*chain, *before))), run)


def resolve(tree: ZoneTree, name: bytes, qtype: int, *, do: bool) -> ZoneResult:
    """Look up a name in a zone, and follow CNAME records while the zone has their targets as names of its own.

    A result with the outcome CNAME ends in a record whose target has to be looked up elsewhere.
    """
    result = tree.find(name, qtype, do=do)
    if result.outcome is not ZoneOutcome.CNAME:
        return result
    chain = result.answer
    seen = {name}
    for _ in range(MAX_CNAMES):
        target = result.target
        if target in seen:
            break  # a loop: its records are sent once, and the client detects it
        if not is_under(target, tree.origin):
            return ZoneResult(ZoneOutcome.CNAME, chain, target=target)
        seen.add(target)
        step = tree.find(target, qtype, do=do)
        if step.is_synthesized or step.outcome in (
            ZoneOutcome.NXDOMAIN,
            ZoneOutcome.REFERRAL,
            ZoneOutcome.NAME_TOO_LONG,
        ):
            return ZoneResult(ZoneOutcome.CNAME, chain, target=target)
        if step.outcome is not ZoneOutcome.CNAME:
            return step._replace(answer=joined(chain, step.answer))
        if len(seen) > MAX_CNAMES:
            break
        chain = joined(chain, step.answer)
        result = step
    return ZoneResult(ZoneOutcome.ANSWER, chain, tree.nameservers(do=do))
