"""The bytes of a snapshot: a line with the version, the header, groups of objects, and a checksum of all of it.

`encode` and `decode` take their work in parts, each of which holds the event loop for less than a millisecond. A file
that was not written to its end, or of which a bit has changed, does not match its checksum (BLAKE2, 128 bits). Header
and objects are MessagePack; each part of the file begins with its length, 4 bytes.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from sys import intern
from typing import Any, TypeVar

import msgspec
from msgspec.structs import fields, force_setattr

from clusterdns.cluster.objects import KINDS, Endpoint, EndpointSlice, Object, Port
from clusterdns.cluster.snapshot.contents import CollectionState, SnapshotHeader

VERSION = 1
DIGEST_BYTES = 16
MAX_WEIGHT = 256  # of a group: its objects and their endpoints, which take a millisecond to decode and index

_NAME = b"clusterdns snapshot "
_FIRST_LINE = b"%b%d\n" % (_NAME, VERSION)
_LENGTH_BYTES = 4
_GROUPS: dict[str, Any] = {one.__name__: list[one] for one in KINDS}  # type: ignore[valid-type]  # types as values

_encoder = msgspec.msgpack.Encoder()
_header_decoder = msgspec.msgpack.Decoder(SnapshotHeader)

T = TypeVar("T")


class SnapshotError(ValueError):
    """A snapshot that cannot be used; the text says why."""


@cache
def layout() -> str:
    """Return a digest of the fields of all objects: they are stored in their order, without names."""
    structs = (*KINDS, Endpoint, Port)
    shown = [(one.__name__, [(field.name, str(field.type)) for field in fields(one)]) for one in structs]
    return hashlib.blake2b(repr(shown).encode(), digest_size=8).hexdigest()


def encode(header: SnapshotHeader, states: Sequence[CollectionState]) -> Iterator[bytes]:
    """Yield the parts of a snapshot, all but the checksum."""
    yield _FIRST_LINE + _part(header)
    for state in states:
        group: list[Object] = []
        weight = 0
        for one in state.objects:
            group.append(one)
            weight += 1 + len(one.endpoints) if isinstance(one, EndpointSlice) else 1
            if weight >= MAX_WEIGHT:
                yield _part(group)
                group, weight = [], 0
        if group:
            yield _part(group)


def _part(content: object) -> bytes:
    encoded = _encoder.encode(content)
    return len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded


def verify(content: bytes) -> SnapshotHeader:
    """Check version and checksum, and return the header. Raises SnapshotError."""
    first_line, line_end, _ = content[:64].partition(b"\n")
    version = first_line.removeprefix(_NAME)
    if not line_end or version == first_line:
        raise SnapshotError("it is not a snapshot")
    if version != b"%d" % VERSION:
        raise SnapshotError(f"it has format {version.decode(errors='replace')}, and this version reads {VERSION}")
    end = len(content) - DIGEST_BYTES
    if end < 0 or hashlib.blake2b(memoryview(content)[:end], digest_size=DIGEST_BYTES).digest() != content[end:]:
        raise SnapshotError("it is incomplete or damaged; its checksum does not match")
    return _read_header(next(_parts(content), b""))


def decode(content: bytes) -> Iterator[tuple[str, list[Object]]]:
    """Yield the objects of a verified snapshot in groups, each with the label of its collection.

    Raises SnapshotError where the content is not what the header says, by which time groups may have been yielded.
    """
    parts = _parts(content)
    header = _read_header(next(parts, b""))
    for collection in header.collections:
        if collection.kind not in _GROUPS:
            raise SnapshotError(f"it has objects of the unknown kind {collection.kind}")
        decoder = msgspec.msgpack.Decoder(_GROUPS[collection.kind])
        left = collection.count
        while left > 0:
            group = _decoded(decoder.decode, next(parts, b""))
            left -= len(group) or left + 1  # an empty group is never written
            _share_texts(group)
            yield collection.label, group
        if left < 0:
            raise SnapshotError(f"it has other {collection.label} than its header says")
    if next(parts, b""):
        raise SnapshotError("it has more objects than its header says")


def _parts(content: bytes) -> Iterator[memoryview]:
    """Split a snapshot into its parts; one that ends too early has no more of them."""
    view = memoryview(content)
    start, end = len(_FIRST_LINE), len(content) - DIGEST_BYTES
    while start < end:
        size = int.from_bytes(view[start : start + _LENGTH_BYTES], "big")
        start += _LENGTH_BYTES
        yield view[start : min(start + size, end)]
        start += size


def _read_header(part: bytes | memoryview) -> SnapshotHeader:
    return _decoded(_header_decoder.decode, part)


def _decoded(decode_part: Callable[[bytes | memoryview], T], part: bytes | memoryview) -> T:
    try:
        return decode_part(part)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise SnapshotError(f"it cannot be decoded: {error}") from error


def _share_texts(group: list[Object]) -> None:
    """Make one object of equal texts, as `cluster.reduction` does."""
    for one in group:
        if isinstance(one, EndpointSlice):
            force_setattr(one, "address_type", intern(one.address_type))
            for endpoint in one.endpoints:
                if endpoint.zone:
                    force_setattr(endpoint, "zone", intern(endpoint.zone))
