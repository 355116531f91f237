"""What `loadbalance` does with replies: an observer marks those that rotate, a handler reorders the others.

Round robin is done by the compiled answer, which rotates its addresses at each use; here a reply is only marked. With
preferred networks or weights, the order is drawn at random for each reply, unless only one order is possible.
"""

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from clusterdns.chain import Handler, Query, Reply
from clusterdns.corefile.values import IPNetwork
from clusterdns.wire import codes
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.record import Record
from clusterdns.wire.runs import RecordRun, joined, split_run

if TYPE_CHECKING:
    from clusterdns.plugins.loadbalance.weights import WeightsFile

MAX_ORDERED = MAX_STREAM_BYTES // 16 + 1  # the smallest record that has an address takes 16 bytes

# owner names and packed addresses → the positions of those that a message may show, and whether this order is random
Arrange = Callable[[Sequence[bytes], Sequence[bytes]], tuple[Sequence[int], bool]]


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
    """Order addresses by the first preferred network they are in, the rest last; at random within each group.

    Of more addresses than a message holds, only as many are put in order.
    """
    networks = [(one.max_prefixlen // 8, int(one.network_address), int(one.broadcast_address)) for one in preferred]

    def arrange(names: Sequence[bytes], packed: Sequence[bytes]) -> tuple[Sequence[int], bool]:
        numbers = [int.from_bytes(one, "big") for one in packed]
        sizes = set(map(len, packed))
        left: Sequence[int] = range(len(packed))
        order: list[int] = []
        is_random = False
        for size, first, last in networks:
            if size not in sizes:
                continue
            inside = [at for at in left if first <= numbers[at] <= last]
            if len(sizes) > 1:
                inside = [at for at in inside if len(packed[at]) == size]
            if inside:
                is_random = is_random or len(inside) > 1
                order += random.sample(inside, min(len(inside), MAX_ORDERED - len(order)))
                chosen = set(inside)
                left = [at for at in left if at not in chosen]
        is_random = is_random or len(left) > 1
        order += random.sample(left, min(len(left), MAX_ORDERED - len(order)))
        return order, is_random

    return arrange


def by_weight(file: "WeightsFile") -> Arrange:
    """Swap the first address with one that is drawn by its weight."""

    def arrange(names: Sequence[bytes], packed: Sequence[bytes]) -> tuple[Sequence[int], bool]:
        table = file.table
        weights = [table.get(name, {}).get(one, 1) for name, one in zip(names, packed, strict=True)]
        (drawn,) = random.choices(range(len(packed)), weights)
        order = list(range(len(packed)))
        order[0], order[drawn] = drawn, 0
        return order, len(order) > 1

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
    large = split_run(records)
    if large is not None and large[1].rtype in codes.ADDRESS_TYPES:
        before, run = large
        if all(one.rtype == codes.CNAME for one in before):
            order, is_random = arrange([run.name] * len(run), run.starts)
            starts = [run.starts[at] for at in order]
            return joined(before, RecordRun(run.name, run.rtype, run.ttl, starts)), is_random
    addresses = [one for one in records if one.rtype in codes.ADDRESS_TYPES]
    if len(addresses) < 2:
        return records, False
    order, is_random = arrange([one.name for one in addresses], [one.rdata for one in addresses])
    cnames = [one for one in records if one.rtype == codes.CNAME]
    others = [one for one in records if one.rtype != codes.CNAME and one.rtype not in codes.ADDRESS_TYPES]
    return (*cnames, *[addresses[at] for at in order], *others), is_random
