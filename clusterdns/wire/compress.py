"""Full name compression, for messages that do not fit without it, and for zone transfers (RFC 1035 §4.1.4).

`encode` makes most messages with pointers to the question alone. Names are compared without case, so a name may come
out in the case of an earlier one (RFC 4343 §4.1).
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from clusterdns.wire import codes
from clusterdns.wire.header import HEADER_BYTES
from clusterdns.wire.name import longest_suffix
from clusterdns.wire.rdata import COMPRESSED_TYPES, NAME_TYPES, name_spans
from clusterdns.wire.record import FIXED_BYTES, SOA_SERIAL_FROM_END, Record, fields_of
from clusterdns.wire.response import Serial
from clusterdns.wire.runs import MIN_RUN, NO_ROTATION, RecordRun, RotatingRecords, as_run, pieces_of

_MAX_POINTER = 0x3FFF
_TYPES_WITH_NAMES = COMPRESSED_TYPES | {codes.SRV}
MAX_CHAIN = 8  # of pointers that lead to pointers: readers bound it, dnspython to 16


class Compressor:
    """The names of a message under construction by their offsets, and the offset of its next record."""

    __slots__ = ("limit", "offsets", "position", "serial")

    def __init__(self, question: bytes, limit: int, serial: Serial | None) -> None:
        self.offsets: dict[
            bytes, tuple[int, int]
        ] = {}  # of names and their ancestors, with the number of pointers to follow from there
        self.position = HEADER_BYTES + len(question)
        self.limit = limit
        self.serial = serial
        self._place(question[:-4], HEADER_BYTES)

    def encode(self, records: Sequence[Record], *, is_last: bool = False) -> list[bytes]:
        """Return the records one by one: as many as fit, and the first that does not.

        `is_last` says that no record follows them.
        """
        encoded = []
        pieces = pieces_of(records)
        for number, piece in enumerate(pieces, 1):
            if len(piece) >= MIN_RUN and type(piece) is not RecordRun:
                piece = as_run(piece[: max(0, self.limit - self.position) // FIXED_BYTES + 1])
            if type(piece) is RecordRun:
                encoded += self._encode(piece[:1])
                encoded += self._encode_run(piece, 1, learns=not is_last or number < len(pieces))
            else:
                encoded += self._encode(piece)
        return encoded

    def encode_rotating(self, records: Sequence[Record]) -> RotatingRecords:
        """Return address records whose order changes: they may point back, but nothing may point at them."""
        if not records:
            return NO_ROTATION
        owner = self._find(records[0].name)
        if type(records) is RecordRun:
            rotating = records.rotating(owner)
        else:
            encoded = [owner + record.body for record in records]
            rotating = RotatingRecords(b"".join(encoded), len(encoded[0]), len(encoded))
        self.position += rotating.shown_bytes
        return rotating

    def _encode(self, records: Sequence[Record]) -> list[bytes]:
        encoded: list[bytes] = []
        last = owner = b""
        position = self.position
        for name, rtype, body in fields_of(records):
            if position > _MAX_POINTER:
                self.position = position
                return encoded + self._encode_last(records[len(encoded) :])
            if position > self.limit:
                break
            if name != last or len(owner) > 2:  # the records of an RRset share their owner
                last = name
                owner = self._place(name, position)
            if rtype in _TYPES_WITH_NAMES:
                body = self._body(rtype, body, position + len(owner))
            encoded.append(owner + body)
            position += len(owner) + len(body)
        self.position = position
        return encoded

    def _encode_last(self, records: Iterable[Record]) -> list[bytes]:
        """Encode records to whose names no pointer can lead: what is known of names stays the same."""
        encoded: list[bytes] = []
        known = self.offsets
        ends: dict[bytes, bytes] = {}  # what follows the first label of a name → as it is written
        last = owner = b""
        position = self.position
        for name, rtype, body in fields_of(records):
            if position > self.limit:
                break
            if name != last:
                last = name
                owner = self._find(name)
            if rtype not in COMPRESSED_TYPES:
                one = owner + body
            elif rtype not in NAME_TYPES or body[(at := FIXED_BYTES + NAME_TYPES[rtype]) :].lower() in known:
                one = owner + self._body(rtype, body, position + len(owner))
            else:
                start = at + 1 + body[at]
                end = ends.get(body[start:])
                if end is None:
                    end = ends[body[start:]] = self._find(body[start:]) if start < len(body) else b""
                size = start - FIXED_BYTES + len(end)
                one = owner + body[:8] + size.to_bytes(2, "big") + body[FIXED_BYTES:start] + end
            encoded.append(one)
            position += len(one)
        self.position = position
        return encoded

    def _encode_run(self, run: RecordRun, start: int, *, learns: bool) -> list[bytes]:
        """Return the records of a run from `start` on, whose first record is encoded already.

        With `learns` pointers of later records may lead to the names in them.
        """
        owner = self._find(run.name)
        end = self._find(run.end) if run.rtype in COMPRESSED_TYPES else run.end
        each = len(owner) + FIXED_BYTES + len(end)
        most = max(0, self.limit + 1 - self.position) // each + 1
        starts = run.starts[start : start + most]
        ends = list(accumulate(map(each.__add__, map(len, starts)), initial=self.position))
        count = min(bisect_right(ends, self.limit), len(starts))  # the first ends beyond the limit
        if run.rtype == codes.SRV and learns:
            last = bisect_right(ends, _MAX_POINTER, 0, count)
            for one, position in zip(run[start : start + last].encoded(owner, end), ends, strict=False):
                self._learn_names(run.rtype, one[len(owner) :], position + len(owner))
        self.position = ends[count]
        return run[start : start + count].encoded(owner, end)

    def _body(self, rtype: int, body: bytes, position: int) -> bytes:
        """Return the body of a record, at this position, with the names in it as they are to be written."""
        if rtype in NAME_TYPES:  # most of the names in RDATA, a third faster
            at = FIXED_BYTES + NAME_TYPES[rtype]
            rdata = body[FIXED_BYTES:at] + self._place(body[at:], position + at)
            return body[:8] + len(rdata).to_bytes(2, "big") + rdata
        if rtype == codes.SRV:
            self._learn_names(rtype, body, position)
        if rtype not in COMPRESSED_TYPES:
            return body
        if rtype == codes.SOA and self.serial is not None:
            body = body[:-SOA_SERIAL_FROM_END] + self.serial.wire + body[4 - SOA_SERIAL_FROM_END :]
        rdata = b""
        done = FIXED_BYTES
        for start, end in name_spans(rtype, body):
            rdata += body[done:start]
            rdata += self._place(body[start:end], position + FIXED_BYTES + len(rdata))
            done = end
        rdata += body[done:]
        return body[:8] + len(rdata).to_bytes(2, "big") + rdata

    def _learn_names(self, rtype: int, body: bytes, position: int) -> None:
        """Remember the target of an SRV record: it stays whole (RFC 2782), but pointers may lead to it."""
        for start, end in name_spans(rtype, body):
            self._learn(body[start:end], position + start)

    def _place(self, name: bytes, position: int) -> bytes:
        """Return the name as written at this position, and remember it."""
        lower = name.lower()
        offsets = self.offsets
        start = pointers = 0
        written = name
        while (known := offsets.get(lower[start:])) is None:
            size = lower[start]
            if not size:
                break
            start += 1 + size
        else:
            written = name[:start] + (0xC000 | known[0]).to_bytes(2, "big")
            pointers = known[1] + 1
        if pointers < MAX_CHAIN:
            at = 0
            while at < start and position + at <= _MAX_POINTER:
                offsets[lower[at:]] = position + at, pointers
                at += 1 + lower[at]
        return written

    def _find(self, name: bytes) -> bytes:
        """Return the name with its longest known suffix as a pointer."""
        suffix = longest_suffix(name.lower(), self.offsets)
        if suffix is None:
            return name
        offset, _ = self.offsets[suffix]
        return name[: len(name) - len(suffix)] + (0xC000 | offset).to_bytes(2, "big")

    def _learn(self, name: bytes, position: int) -> None:
        lower = name.lower()
        start = 0
        while size := lower[start]:
            suffix = lower[start:]
            if position + start > _MAX_POINTER or suffix in self.offsets:  # a known name has known ancestors
                return
            self.offsets[suffix] = position + start, 0
            start += 1 + size
