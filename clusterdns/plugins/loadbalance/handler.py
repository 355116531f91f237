"""What `loadbalance` does with replies: an observer marks those that rotate, a handler reorders the others.

Round robin is done by the compiled answer, which rotates its addresses at each use; here a reply is only marked. With
preferred networks or weights, the order is drawn at random for each reply, unless only one order is possible.
"""

import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, count, filterfalse, islice, repeat
from typing import TYPE_CHECKING

from clusterdns.chain import Handler, Query, Reply
from clusterdns.corefile.values import IPNetwork
from clusterdns.wire import codes
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.record import Record, name_of, type_of
from clusterdns.wire.runs import RecordRun, joined, split_run

if TYPE_CHECKING:
    from clusterdns.plugins.loadbalance.weights import WeightsFile

_MIN_BYTES = 16  # of a record that has an address
MAX_ORDERED = MAX_STREAM_BYTES // _MIN_BYTES + 1
MAX_DRAWN = 256  # one by one: to draw all that a message of 64 KiB holds takes 1.3 ms

# owner names, packed addresses and how many of them the message has space for → the positions of those that any message
# may show, and whether this order is random
Arrange = Callable[[Sequence[bytes], Sequence[bytes], int], tuple[Sequence[int], bool]]


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
    reply.rotates = len(ring) > 1 and set(map(type_of, ring)) == {rtype} and set(map(name_of, ring)) == {name}


def by_preference(preferred: Sequence[IPNetwork]) -> Arrange:
    """Order addresses by the first preferred network they are in, the rest last; at random within each group.

    Of a group of more than MAX_DRAWN addresses, or than the message holds, as many are drawn one by one; the others
    follow from a random place on.
    """
    tables = {size: _ranges(preferred, size) for size in (4, 16)}
    no_address = [b""], [len(preferred)]  # what an upstream sends in another class than IN may have any size

    def arrange(names: Sequence[bytes], packed: Sequence[bytes], shown: int) -> tuple[Sequence[int], bool]:
        groups: list[list[int]] = [[] for _ in range(len(preferred) + 1)]
        sizes = set(map(len, packed))
        for size in sizes:
            starts, ranks = tables.get(size, no_address)
            add_to = [groups[rank].append for rank in ranks]
            positions = [at for at, one in enumerate(packed) if len(one) == size] if len(sizes) > 1 else None
            several = packed if positions is None else [packed[at] for at in positions]
            for at, number in zip(positions or count(), map(partial(bisect_right, starts), several), strict=False):
                add_to[number - 1](at)
        order: list[int] = []
        for group in filter(None, groups):
            drawn = random.sample(group, max(0, min(len(group), MAX_DRAWN, shown - len(order))))
            order += drawn
            if len(drawn) < len(group):
                start = random.randrange(len(group))
                others = filterfalse(set(drawn).__contains__, chain(group[start:], group[:start]))
                order += islice(others, max(0, MAX_ORDERED - len(order)))
        return order, any(len(group) > 1 for group in groups)

    return arrange


def _ranges(networks: Sequence[IPNetwork], size: int) -> tuple[Sequence[bytes], Sequence[int]]:
    """Split all addresses of a size into ranges: the first address of each, and the place of the network it is in.

    One that is in several networks is in the first of them; one that is in none comes after all. A look-up takes as
    long for hundreds of networks as for one.
    """
    bounds = [
        (int(one.network_address), int(one.broadcast_address), rank)
        for rank, one in enumerate(networks)
        if one.max_prefixlen == 8 * size
    ]
    starts = sorted({0, *(first for first, _, _ in bounds), *(last + 1 for _, last, _ in bounds)} - {1 << 8 * size})
    ranks = [
        min((rank for first, last, rank in bounds if first <= start <= last), default=len(networks)) for start in starts
    ]
    return [start.to_bytes(size, "big") for start in starts], ranks


def by_weight(file: "WeightsFile") -> Arrange:
    """Swap the first address with one that is drawn by its weight."""

    def arrange(names: Sequence[bytes], packed: Sequence[bytes], shown: int) -> tuple[Sequence[int], bool]:
        table = file.table
        if names.count(names[0]) == len(names):  # as nearly always
            weights = list(map(table.get(names[0], {}).get, packed, repeat(1)))
        else:
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
        shown = query.size_limit // _MIN_BYTES + 1
        answer, is_answer_random = _reordered(reply.answer, self._arrange, shown)
        additional, is_additional_random = _reordered(reply.additional, self._arrange, shown)
        if answer is reply.answer and additional is reply.additional:
            return reply
        reordered = reply.duplicate()
        reordered.answer, reordered.additional = answer, additional
        reordered.reusable = reply.reusable and not is_answer_random and not is_additional_random
        return reordered


def _reordered(records: Sequence[Record], arrange: Arrange, shown: int) -> tuple[Sequence[Record], bool]:
    """Return a section as CNAME records, arranged addresses, other records; and whether the order is random."""
    large = split_run(records)
    if large is not None and large[1].rtype in codes.ADDRESS_TYPES:
        before, run = large
        if all(one.rtype == codes.CNAME for one in before):
            order, is_random = arrange([run.name] * len(run), run.starts, shown)
            starts = [run.starts[at] for at in order]
            return joined(before, RecordRun(run.name, run.rtype, run.ttl, starts)), is_random
    addresses = [one for one in records if one.rtype in codes.ADDRESS_TYPES]
    if len(addresses) < 2:
        return records, False
    order, is_random = arrange([one.name for one in addresses], [one.rdata for one in addresses], shown)
    cnames = [one for one in records if one.rtype == codes.CNAME]
    others = [one for one in records if one.rtype != codes.CNAME and one.rtype not in codes.ADDRESS_TYPES]
    return (*cnames, *[addresses[at] for at in order], *others), is_random
