"""Full name compression, for messages that do not fit without it, and for zone transfers (RFC 1035 §4.1.4).

`encode` makes most messages with pointers to the question alone. Names are compared without case, so a name may come
out in the case of an earlier one (RFC 4343 §4.1).
"""

from collections.abc import Sequence

from clusterdns.wire import codes
from clusterdns.wire.header import HEADER_BYTES
from clusterdns.wire.name import longest_suffix, suffixes
from clusterdns.wire.rdata import COMPRESSED_TYPES, name_spans
from clusterdns.wire.record import SOA_SERIAL_FROM_END, Record
from clusterdns.wire.response import Serial

_MAX_POINTER = 0x3FFF
MAX_CHAIN = 8  # of pointers that lead to pointers: readers bound it, dnspython to 16
_FIXED_BYTES = 10  # of a record's body: type, class, TTL and RDLENGTH


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

    def encode(self, records: Sequence[Record]) -> list[bytes]:
        """Return the records one by one: as many as fit, and the first that does not."""
        encoded = []
        for record in records:
            if self.position > self.limit:
                break
            owner = self._place(record.name, self.position)
            one = owner + self._body(record, self.position + len(owner))
            self.position += len(one)
            encoded.append(one)
        return encoded

    def encode_rotating(self, records: Sequence[Record]) -> list[bytes]:
        """Return address records whose order changes: they may point back, but nothing may point at them."""
        owners = {name: self._find(name)[0] for name in {record.name for record in records}}
        encoded = [owners[record.name] + record.body for record in records]
        self.position += sum(map(len, encoded))
        return encoded

    def _body(self, record: Record, position: int) -> bytes:
        body = record.body
        if record.rtype == codes.SRV:  # the target stays whole (RFC 2782), but pointers may lead to it
            for start, end in name_spans(record):
                self._learn(body[start:end], position + start, 0)
        if record.rtype not in COMPRESSED_TYPES:
            return body
        if record.rtype == codes.SOA and self.serial is not None:
            body = body[:-SOA_SERIAL_FROM_END] + self.serial.wire + body[4 - SOA_SERIAL_FROM_END :]
        rdata = b""
        done = _FIXED_BYTES
        for start, end in name_spans(record):
            rdata += body[done:start]
            rdata += self._place(body[start:end], position + _FIXED_BYTES + len(rdata))
            done = end
        rdata += body[done:]
        return body[:8] + len(rdata).to_bytes(2, "big") + rdata

    def _place(self, name: bytes, position: int) -> bytes:
        """Return the name as written at this position, and remember it."""
        written, pointers = self._find(name)
        if pointers < MAX_CHAIN and len(written) > 2:  # not a pointer alone
            self._learn(name, position, pointers)
        return written

    def _find(self, name: bytes) -> tuple[bytes, int]:
        """Return the name with its longest known suffix as a pointer, and how many pointers a reader has to follow."""
        lower = name.lower()
        suffix = longest_suffix(lower, self.offsets)
        if suffix is None:
            return name, 0
        offset, pointers = self.offsets[suffix]
        return name[: len(name) - len(suffix)] + (0xC000 | offset).to_bytes(2, "big"), pointers + 1

    def _learn(self, name: bytes, position: int, pointers: int) -> None:
        end = position + len(name)
        for suffix in suffixes(name.lower())[:-1]:
            offset = end - len(suffix)
            if offset > _MAX_POINTER or suffix in self.offsets:  # a known name has known ancestors
                return
            self.offsets[suffix] = offset, pointers
