"""The lines of a hosts file as tables: name → addresses, address → names.

Names are lower-case wire names, addresses packed; those of one name and family stand one after the other in one bytes
object, which names with the same addresses share: a list of 100,000 names on 0.0.0.0 holds one address. Reading is done
a slice of lines at a time, because the event loop goes on in between. Knows neither files nor queries.
"""

import socket
from collections.abc import Iterator, Sequence
from io import BytesIO

from clusterdns.wire.name import MAX_LABEL_BYTES, MAX_NAME_BYTES, ROOT, from_text, is_under

LINES_AT_ONCE = 250  # about half a millisecond
WILDCARD = b"\x01*"
_V4_MAPPED = bytes(10) + b"\xff\xff"
_LENGTHS = [bytes((size,)) for size in range(MAX_LABEL_BYTES + 1)]


class HostsTable:
    """Hosts of one source. Written while it is read, and never after."""

    __slots__ = ("_reverse", "_shared", "_v4", "_v6", "_zones", "entry_count", "skipped_count")

    def __init__(self, zones: Sequence[bytes] = (ROOT,), *, has_reverse: bool = True) -> None:
        """Take names at or below the zones; without `has_reverse` addresses have no names."""
        self._zones = () if ROOT in zones else tuple(zones)
        self._v4: dict[bytes, bytes] = {}
        self._v6: dict[bytes, bytes] = {}
        self._reverse: dict[bytes, bytes | list[bytes]] | None = {} if has_reverse else None
        self._shared: dict[bytes, bytes] = {}
        self.entry_count = 0  # addresses of names, and names of addresses
        self.skipped_count = 0  # lines and names that mean nothing

    def v4(self, name: bytes) -> bytes:
        """The IPv4 addresses of a name, one after the other; its own, or else those of a wildcard for its parent."""
        return _find(self._v4, name)

    def v6(self, name: bytes) -> bytes:
        """The same for IPv6."""
        return _find(self._v6, name)

    def names(self, address: bytes) -> Sequence[bytes]:
        """The names of an address."""
        found = (self._reverse or {}).get(plain(address), ())
        return (found,) if isinstance(found, bytes) else found

    def read(self, content: bytes) -> Iterator[None]:
        """Take the lines in; pauses after each slice of them."""
        known: dict[bytes, bytes | None] = {}
        for number, line in enumerate(BytesIO(content), 1):
            self._read_line(line, known)
            if not number % LINES_AT_ONCE:
                yield
        self._shared = {}

    def _read_line(self, line: bytes, known: dict[bytes, bytes | None]) -> None:
        words = line.partition(b"#")[0].split()
        if not words:
            return
        text = words[0]
        if text in known:
            address = known[text]
        else:
            address = known[text] = packed(text)
        if address is None or len(words) == 1:
            self.skipped_count += 1
            return
        for word in words[1:]:
            name = wire_name(word)
            if name is None:
                self.skipped_count += 1
            elif not self._zones or any(is_under(name, zone) for zone in self._zones):
                self._add(name, address)

    def _add(self, name: bytes, address: bytes) -> None:
        table = self._v4 if len(address) == 4 else self._v6
        before = table.get(name)
        table[name] = address if before is None else self._share(before + address)
        self.entry_count += 1
        if self._reverse is not None and not name.startswith(WILDCARD):
            self._add_reverse(self._reverse, address, name)
            self.entry_count += 1

    @staticmethod
    def _add_reverse(reverse: dict[bytes, bytes | list[bytes]], address: bytes, name: bytes) -> None:
        there = reverse.setdefault(address, name)
        if there is name:
            return
        if isinstance(there, list):
            there.append(name)
        else:
            reverse[address] = [there, name]  # a list only where it is needed: it takes 100 bytes

    def _share(self, addresses: bytes) -> bytes:
        return self._shared.setdefault(addresses, addresses)


def _find(table: dict[bytes, bytes], name: bytes) -> bytes:
    found = table.get(name)
    if found is None and name != ROOT:
        found = table.get(WILDCARD + name[1 + name[0] :])
    return found or b""


def plain(address: bytes) -> bytes:
    """A packed address, IPv4 also where it is written as IPv6."""
    return address[12:] if len(address) == 16 and address.startswith(_V4_MAPPED) else address


def packed(text: bytes) -> bytes | None:
    """An address without its IPv6 zone, packed; None for any other text."""
    bare = text.partition(b"%")[0]
    if not bare.isascii() or b"\0" in bare:
        return None
    try:
        if b":" in bare:
            return plain(socket.inet_pton(socket.AF_INET6, bare.decode()))
        return socket.inet_pton(socket.AF_INET, bare.decode())
    except OSError:
        return None


def wire_name(text: bytes) -> bytes | None:
    """A name as written, absolute with or without its last dot; None where it is none, or a wildcard for all names."""
    if b"\\" in text:
        try:
            return from_text(text.decode())
        except ValueError:
            return None
    parts: list[bytes] = []
    for label in text.lower().removesuffix(b".").split(b"."):
        size = len(label)
        if not 0 < size <= MAX_LABEL_BYTES:
            return None
        parts += (_LENGTHS[size], label)
    name = b"".join((*parts, ROOT))
    return None if len(name) > MAX_NAME_BYTES or name == WILDCARD + ROOT else name
