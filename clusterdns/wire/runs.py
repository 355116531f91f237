"""Runs of similar records: the ten thousand addresses of a Service, the names of an address that many endpoints share.

A run keeps the parts of RDATA that differ, and makes a `Record` only for a reader that asks for it. `encode`,
`compress` and `truncate` write a run without making its records, and no more of it than a message has space for.
"""

from collections.abc import Collection, Sequence
from itertools import chain
from typing import NamedTuple, overload

from clusterdns.wire import codes, record
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.rdata import COMPRESSED_TYPES, NAME_TYPES
from clusterdns.wire.record import FIXED_BYTES, Record, body_of, fixed_part, name_of

MIN_RUN = 32  # so many records and more are a run
MAX_ADDRESSES = MAX_STREAM_BYTES // 16  # records of one family that fill a message
POINTER_BYTES = 2  # the shortest way to write an owner name


class RecordRun(Sequence[Record]):
    """Records of one owner name, type and TTL, whose RDATA begin with one of `starts` and end alike."""

    __slots__ = ("end", "name", "rtype", "starts", "ttl")

    def __init__(self, name: bytes, rtype: int, ttl: int, starts: Sequence[bytes], end: bytes = b"") -> None:
        """`end` is a name, or empty. All addresses are of one size."""
        self.name = name
        self.rtype = rtype
        self.ttl = ttl
        self.starts = starts
        self.end = end

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> "RecordRun": ...

    def __getitem__(self, index: int | slice) -> "Record | RecordRun":
        if isinstance(index, slice):
            return RecordRun(self.name, self.rtype, self.ttl, self.starts[index], self.end)
        rdata = self.starts[index] + self.end
        return Record(self.name, self.rtype, fixed_part(self.rtype, self.ttl, len(rdata)) + rdata)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(Record.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]  # as of a list

    @property
    def wire_bytes(self) -> int:
        """The bytes of all records without compression."""
        each = len(self.name) + FIXED_BYTES + len(self.end)
        return len(self.starts) * each + self.start_bytes

    @property
    def start_bytes(self) -> int:
        """The bytes of all `starts`."""
        if self.rtype in codes.ADDRESS_TYPES:
            return len(self.starts) * len(self.starts[0])
        return len(b"".join(self.starts))

    def with_name(self, name: bytes) -> "RecordRun":
        """Return the same records with another owner name."""
        return RecordRun(name, self.rtype, self.ttl, self.starts, self.end)

    def with_ttl(self, ttl: int) -> "RecordRun":
        """Return the same records with another TTL, in seconds."""
        return RecordRun(self.name, self.rtype, ttl, self.starts, self.end)

    def encoded(self, owner: bytes, end: bytes) -> list[bytes]:
        """Return each record, with the owner name and the end of RDATA as they are to be written."""
        heads = {size: owner + fixed_part(self.rtype, self.ttl, size + len(end)) for size in set(map(len, self.starts))}
        if len(heads) == 1 and not end:
            (head,) = heads.values()
            return [head + start for start in self.starts]
        return [heads[len(start)] + start + end for start in self.starts]

    def rotating(self, owner: bytes) -> "RotatingRecords":
        """Return all records of a run of addresses, with the owner name as it is to be written."""
        head = owner + fixed_part(self.rtype, self.ttl, len(self.starts[0]))
        return RotatingRecords(head + head.join(self.starts), len(head) + len(self.starts[0]), len(self.starts))

    def neighbours(self, start: int, most: int) -> "RecordRun":
        """Return this many records from `start` on, or all of them; the first follows the last."""
        found = self.starts[start : start + most]
        before = min(start, most - len(found))
        return RecordRun(self.name, self.rtype, self.ttl, [*found, *self.starts[:before]], self.end)


class JoinedRecords(Sequence[Record]):
    """The records of several runs and tuples, one after the other."""

    __slots__ = ("pieces",)

    def __init__(self, pieces: Sequence[Sequence[Record]]) -> None:
        self.pieces = pieces

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...

    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return self._cut(start, stop) if step == 1 else tuple(self)[index]
        index = range(len(self))[index]
        for piece in self.pieces:
            if index < len(piece):
                return piece[index]
            index -= len(piece)
        raise AssertionError("the pieces have the length that they had")

    def _cut(self, start: int, stop: int) -> Sequence[Record]:
        found = []
        for piece in self.pieces:
            found.append(piece[max(0, start) : max(0, stop)])
            start -= len(piece)
            stop -= len(piece)
        return joined(*found)

    __eq__ = RecordRun.__eq__
    __hash__ = None  # type: ignore[assignment]  # as of a list


class RotatingRecords(NamedTuple):
    """Encoded address records of one size, one after the other, of which a message has `shown` neighbours."""

    wire: bytes = b""
    record_bytes: int = 1
    shown: int = 0

    @property
    def total(self) -> int:
        """The number of records."""
        return len(self.wire) // self.record_bytes

    @property
    def shown_bytes(self) -> int:
        """The bytes of the records that a message has."""
        return self.shown * self.record_bytes

    def first(self) -> bytes:
        """Return the records of a message in their first order."""
        return self.wire[: self.shown_bytes]


NO_ROTATION = RotatingRecords()
RUNS = frozenset((RecordRun, JoinedRecords))  # the types of sections that have runs


def address_records(owner: bytes, ttl_seconds: int, qtype: int, packed: Collection[bytes]) -> Sequence[Record]:
    """Make the A or AAAA records of packed addresses, each there once; none for another QTYPE."""
    if qtype not in codes.ADDRESS_TYPES:
        return ()
    if len(packed) < MIN_RUN:
        return tuple(record.addresses(owner, qtype, ttl_seconds, packed))
    several = _of_size(packed, 4 if qtype == codes.A else 16)
    return RecordRun(owner, qtype, ttl_seconds, several) if several else ()


def _of_size(packed: Collection[bytes], size: int) -> Sequence[bytes]:
    """Return the addresses of 4 or of 16 bytes; mostly these are all, or none."""
    all_bytes = len(b"".join(packed))
    if all_bytes in (4 * len(packed), 16 * len(packed)):
        several = packed if isinstance(packed, Sequence) else tuple(packed)
        return several if all_bytes == size * len(packed) else ()
    return [one for one in packed if len(one) == size]


def joined(*sections: Sequence[Record]) -> Sequence[Record]:
    """Join records: a tuple, or where there is a run among them, a sequence that keeps it."""
    pieces = [piece for section in sections for piece in pieces_of(section) if piece]
    if len(pieces) == 1:
        return pieces[0]
    if any(type(piece) is RecordRun for piece in pieces):
        return JoinedRecords(pieces)
    return tuple(chain.from_iterable(pieces))


def pieces_of(records: Sequence[Record]) -> Sequence[Sequence[Record]]:
    """Return the runs, and what stands between them."""
    return records.pieces if type(records) is JoinedRecords else (records,)


def least_bytes(*sections: Sequence[Record]) -> int:
    """Return how many bytes the runs in these sections take at least, before names in RDATA are compressed."""
    size = 0
    for piece in chain.from_iterable(map(pieces_of, sections)):
        if type(piece) is RecordRun:
            size += len(piece) * (POINTER_BYTES + FIXED_BYTES + len(piece.end))
            size += 0 if piece.end else piece.start_bytes
    return size


def split_run(records: Sequence[Record]) -> tuple[Sequence[Record], RecordRun] | None:
    """Split records that end in their only run: what stands before it, and the run."""
    if type(records) is RecordRun:
        return (), records
    if type(records) is not JoinedRecords:
        return None
    *before, last = records.pieces
    if type(last) is not RecordRun or any(type(piece) is RecordRun for piece in before):
        return None
    return joined(*before), last


def pointer_records(owner: bytes, ttl: int, targets: Sequence[bytes]) -> Sequence[Record]:
    """Make the PTR records of many names, at least one: a run where all end alike after their first labels."""
    end = targets[0][1 + targets[0][0] :]
    if end and {target[1 + target[0] :] for target in targets} == {end}:
        return RecordRun(owner, codes.PTR, ttl, [target[: -len(end)] for target in targets], end)
    return record.all_ptr(owner, ttl, targets)


def as_run(records: Sequence[Record], ttl: int | None = None) -> Sequence[Record]:
    """Return many records of an upstream as a run where they are one RRset without names, or of names that end alike.

    With `ttl` the run has this TTL, in seconds, else the records must have one. Others are returned as they are: names
    that do not end alike are compressed one by one.
    """
    if len(records) < MIN_RUN or type(records) is RecordRun:
        return records
    bodies = list(map(body_of, records))
    same_bytes = 8 if ttl is None else 4
    if len({body[:same_bytes] for body in bodies}) > 1 or len(set(map(name_of, records))) > 1:
        return records
    first = records[0]
    rtype = first.rtype
    starts: Sequence[bytes] = ()
    end = b""
    if rtype not in COMPRESSED_TYPES:
        starts = [body[FIXED_BYTES:] for body in bodies]
    elif rtype in NAME_TYPES:
        at = FIXED_BYTES + NAME_TYPES[rtype]
        ends = {body[at + 1 + body[at] :] for body in bodies}
        end = ends.pop()
        if not ends and end:
            starts = [body[FIXED_BYTES : -len(end)] for body in bodies]
    if not starts or first.rclass != codes.IN:
        return records
    return RecordRun(first.name, rtype, first.ttl if ttl is None else ttl, starts, end)
