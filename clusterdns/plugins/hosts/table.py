"""The lines of a hosts file as look-up tables: name → addresses, address → names.

Names are lower-case wire names. The addresses of one name and family are packed into one bytes object, which names with
equal addresses share: a block list of 100,000 names on 0.0.0.0 stores one address. Names are added in slices, so that
the event loop runs in between. This module knows neither files nor queries.
"""

import socket
from collections.abc import Iterator, Sequence
from io import BytesIO
from ipaddress import ip_address

from clusterdns.wire import codes
from clusterdns.wire.name import LENGTH_BYTES, MAX_LABEL_BYTES, MAX_NAME_BYTES, ROOT, from_text, is_under
from clusterdns.wire.runs import MAX_ADDRESSES

NAMES_PER_SLICE = 250  # take about half a millisecond; as many lines without names take less
INTERNED_BYTES = 256  # names with more bytes of addresses share none: each address that is added would make another
WILDCARD = b"\x01*"
_V4_MAPPED = bytes(10) + b"\xff\xff"


class HostsTable:
    """Names and addresses of one source; complete and constant after `load`."""

    __slots__ = ("_interned", "_reverse", "_v4", "_v6", "_zones", "entry_count", "skipped_count")

    def __init__(self, zones: Sequence[bytes] = (ROOT,), *, has_reverse: bool = True) -> None:
        """Accept names in the zones only; without `has_reverse`, do not store the names of addresses."""
        self._zones = () if ROOT in zones else tuple(zones)
        self._v4: dict[bytes, bytes] = {}
        self._v6: dict[bytes, bytes] = {}
        self._reverse: dict[bytes, bytes | list[bytes]] | None = {} if has_reverse else None
        self._interned: dict[bytes, bytes] = {}
        self.entry_count = 0  # addresses of names plus names of addresses
        self.skipped_count = 0  # lines and names that could not be used

    def v4(self, name: bytes) -> bytes:
        """Return the IPv4 addresses of a name, concatenated: its own, or those of the wildcard for it."""
        return _find(self._v4, name)

    def v6(self, name: bytes) -> bytes:
        """Return the IPv6 addresses of a name, like `v4`."""
        return _find(self._v6, name)

    def names(self, address: bytes) -> Sequence[bytes]:
        """Return the names of a packed address, in the order of the lines."""
        found = (self._reverse or {}).get(without_mapping(address), ())
        return (found,) if isinstance(found, bytes) else found

    def questions(self) -> Iterator[tuple[bytes, int]]:
        """Yield each name with its types, wildcards too, and the reverse name of each address."""
        yield from ((name, codes.A) for name in self._v4)
        yield from ((name, codes.AAAA) for name in self._v6)
        yield from ((from_text(ip_address(address).reverse_pointer), codes.PTR) for address in self._reverse or ())

    def load(self, content: bytes) -> Iterator[None]:
        """Add the lines of `content`; yield after each slice of them."""
        known: dict[bytes, bytes | None] = {}
        done = 0  # since the last slice
        for line in BytesIO(content):
            if done >= NAMES_PER_SLICE:
                yield
                done = 0
            words = line.partition(b"#")[0].split()
            address = self._read_address(words, known)
            done += 1
            if address is None:
                continue
            for first in range(1, len(words), NAMES_PER_SLICE):
                if done >= NAMES_PER_SLICE:
                    yield
                    done = 0
                names = words[first : first + NAMES_PER_SLICE]
                self._add_names(names, address)
                done += len(names)
        self._interned = {}

    def _read_address(self, words: Sequence[bytes], known: dict[bytes, bytes | None]) -> bytes | None:
        """Return the address of a line; None where the line has no use."""
        if not words:
            return None
        text = words[0]
        if text in known:
            address = known[text]
        else:
            address = known[text] = address_from_text(text)
        if address is None or len(words) == 1:
            self.skipped_count += 1
            return None
        return address

    def _add_names(self, words: Sequence[bytes], address: bytes) -> None:
        for word in words:
            name = name_from_text(word)
            if name is None:
                self.skipped_count += 1
            elif not self._zones or any(is_under(name, zone) for zone in self._zones):
                self._add(name, address)

    def _add(self, name: bytes, address: bytes) -> None:
        table = self._v4 if len(address) == 4 else self._v6
        before = table.get(name)
        if before is None:
            table[name] = address
        elif len(before) < INTERNED_BYTES:
            table[name] = self._intern(before + address)
        elif len(before) <= MAX_ADDRESSES * len(address):
            table[name] = before + address
        self.entry_count += 1
        if self._reverse is not None and not name.startswith(WILDCARD):
            self._add_reverse(self._reverse, address, name)
            self.entry_count += 1

    @staticmethod
    def _add_reverse(reverse: dict[bytes, bytes | list[bytes]], address: bytes, name: bytes) -> None:
        known = reverse.setdefault(address, name)
        if known is name:
            return
        if isinstance(known, list):
            known.append(name)
        else:
            reverse[address] = [known, name]  # most addresses have one name, and a list takes 100 bytes

    def _intern(self, addresses: bytes) -> bytes:
        return self._interned.setdefault(addresses, addresses)


def _find(table: dict[bytes, bytes], name: bytes) -> bytes:
    found = table.get(name)
    if found is None and name != ROOT:
        found = table.get(WILDCARD + name[1 + name[0] :])
    return found or b""


def without_mapping(address: bytes) -> bytes:
    """Return a packed address; an IPv4-mapped IPv6 address (::ffff:0:0/96) becomes IPv4."""
    return address[12:] if len(address) == 16 and address.startswith(_V4_MAPPED) else address


def address_from_text(text: bytes) -> bytes | None:
    """Read an address and return it packed, without its IPv6 zone; None if the text is not an address."""
    bare = text.partition(b"%")[0]
    if not bare.isascii() or b"\0" in bare:
        return None
    try:
        if b":" in bare:
            return without_mapping(socket.inet_pton(socket.AF_INET6, bare.decode()))
        return socket.inet_pton(socket.AF_INET, bare.decode())
    except OSError:
        return None


def name_from_text(text: bytes) -> bytes | None:
    """Read a name, absolute with or without its last dot; None if it is not valid, or the wildcard of the root."""
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
        parts += (LENGTH_BYTES[size], label)
    name = b"".join((*parts, ROOT))
    return None if len(name) > MAX_NAME_BYTES or name == WILDCARD + ROOT else name
