"""What `loadbalance` does with replies: an observer marks those that rotate, a handler reorders the others.

Round robin is done by the compiled answer, which rotates its addresses at each use; here a reply is only marked. With
preferred networks or weights, the order is drawn at random for each reply, unless only one order is possible.
"""

import random
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING

from clusterdns.chain import Handler, Query, Reply
from clusterdns.corefile.values import IPNetwork
from clusterdns.wire import codes
from clusterdns.wire.record import Record
from clusterdns.wire.runs import split_run

if TYPE_CHECKING:
    from clusterdns.plugins.loadbalance.weights import WeightsFile

Arrange = Callable[[Sequence[Record]], tuple[Sequence[Record], bool]]  # addresses → in order, whether it is random


def mark_rotating(query: Query, reply: Reply, seconds: float) -> None:
    """Mark a NOERROR reply whose answer section ends in several addresses of one name and type.

    The encoder rotates all records from the first address on, so no other record, such as the RRSIG in an upstream's
    answer, may stand among them.
    """
    if reply.rcode != codes.NOERROR or len(reply.answer) < 2:
        return
    large = split_run(reply.answer)
    if large is not None:
        reply.rotates = large[1].rtype in codes.ADDRESS_TYPES
        return
    name, rtype, _ = reply.answer[-1]
    if rtype not in codes.ADDRESS_TYPES:
        return
    first = next(number for number, one in enumerate(reply.answer) if one.rtype in codes.ADDRESS_TYPES)
    ring = reply.answer[first:]
    reply.rotates = len(ring) > 1 and all(one.rtype == rtype and one.name == name for one in ring)


def by_preference(preferred: Sequence[IPNetwork]) -> Arrange:
    """Order addresses by the first preferred network they are in, the rest last; at random within each group."""
    networks = [(one.version, one.max_prefixlen - one.prefixlen, int(one.network_address)) for one in preferred]

    def rank(record: Record) -> int:
        address = ip_address(record.rdata)
        number = int(address)
        for position, (version, host_bits, prefix) in enumerate(networks):
            if version == address.version and number >> host_bits == prefix >> host_bits:
                return position
        return len(networks)

    def arrange(records: Sequence[Record]) -> tuple[Sequence[Record], bool]:
        ranked = [(rank(one), one) for one in random.sample(records, len(records))]
        ranked.sort(key=lambda pair: pair[0])
        return [one for _, one in ranked], len({number for number, _ in ranked}) < len(ranked)

    return arrange


def by_weight(file: "WeightsFile") -> Arrange:
    """Swap the first address with one that is drawn by its weight."""

    def arrange(records: Sequence[Record]) -> tuple[Sequence[Record], bool]:
        table = file.table
        weights = [table.get(one.name, {}).get(one.rdata, 1) for one in records]
        drawn = random.choices(range(len(records)), weights)[0]
        arranged = list(records)
        arranged[0], arranged[drawn] = arranged[drawn], arranged[0]
        return arranged, len(records) > 1

    return arrange


class ReorderingHandler:
    """Reorders the addresses in NOERROR replies of the next plugin; `qtypes` limits it to queries of these types."""

    def __init__(self, arrange: Arrange, following: Handler, qtypes: Sequence[int] = ()) -> None:
        self._arrange = arrange
        self._following = following
        self._qtypes = qtypes

    async def __call__(self, query: Query) -> Reply:
        """Answer with the next plugin's reply, reordered; a reply whose order is random is not reusable."""
        reply = await self._following(query)
        if reply.rcode != codes.NOERROR or reply.is_transfer or (self._qtypes and query.qtype not in self._qtypes):
            return reply
        answer, is_answer_random = _reordered(reply.answer, self._arrange)
        additional, is_additional_random = _reordered(reply.additional, self._arrange)
        if answer is reply.answer and additional is reply.additional:
            return reply
        reordered = reply.duplicate()
        reordered.answer, reordered.additional = answer, additional
        reordered.reusable = reply.reusable and not is_answer_random and not is_additional_random
        return reordered


def _reordered(records: Sequence[Record], arrange: Arrange) -> tuple[Sequence[Record], bool]:
    """Return a section as CNAME records, arranged addresses, other records; and whether the order is random."""
    addresses = [one for one in records if one.rtype in codes.ADDRESS_TYPES]
    if len(addresses) < 2:
        return records, False
    arranged, is_random = arrange(addresses)
    cnames = [one for one in records if one.rtype == codes.CNAME]
    others = [one for one in records if one.rtype != codes.CNAME and one.rtype not in codes.ADDRESS_TYPES]
    return (*cnames, *arranged, *others), is_random
