"""Domain names: lower-case wire bytes, the root label included. The server has names in no other form.

`from_text` and `to_text` convert from and to presentation format, `from_address` and `to_address` from and to the
reverse tree (RFC 1035 §3.5, RFC 3596 §2.5). All functions trust their bytes: `query` and `decode` check the names of
received messages.
"""

import ipaddress
from collections.abc import Container

ROOT = b"\0"
MAX_NAME_BYTES = 255  # RFC 1035 §2.3.4
MAX_LABEL_BYTES = 63
LENGTH_BYTES = tuple(bytes((size,)) for size in range(MAX_LABEL_BYTES + 1))  # before a label, by its length
IN_ADDR_ARPA = b"\x07in-addr\x04arpa\0"
IP6_ARPA = b"\x03ip6\x04arpa\0"

_PLAIN = frozenset(range(0x21, 0x7F)) - frozenset(b'."();@$\\')
_HEX = "0123456789abcdef"


def from_labels(*labels: bytes) -> bytes:
    """Return the absolute name of these labels in lower case. Raises ValueError where a length is out of bounds."""
    for label in labels:
        if not 0 < len(label) <= MAX_LABEL_BYTES:
            raise ValueError(f"label of {len(label)} bytes, must be 1 to {MAX_LABEL_BYTES}")
    name = b"".join([bytes((len(label),)) + label.lower() for label in labels]) + ROOT
    if len(name) > MAX_NAME_BYTES:
        raise ValueError(f"name of {len(name)} bytes, must be at most {MAX_NAME_BYTES}")
    return name


def from_text(text: str) -> bytes:
    """Return the name of a text, absolute with or without a final dot; `\\.` and `\\DDD` escape (RFC 1035 §5.1).

    Raises ValueError.
    """
    if text in ("", "."):
        return ROOT
    raw = text.encode(errors="surrogateescape")
    if b"\\" not in raw:  # as nearly always
        return from_labels(*raw.removesuffix(b".").split(b"."))
    labels = [bytearray()]
    position = 0
    while position < len(raw):
        byte = raw[position]
        position += 1
        if byte == 0x5C:
            digits = raw[position : position + 3]
            if len(digits) == 3 and digits.isdigit():
                if int(digits) > 255:
                    raise ValueError(f"escape \\{digits.decode()} is more than a byte")
                labels[-1].append(int(digits))
                position += 3
            elif position < len(raw):
                labels[-1].append(raw[position])
                position += 1
            else:
                raise ValueError("name ends in a backslash")
        elif byte == 0x2E:
            labels.append(bytearray())
        else:
            labels[-1].append(byte)
    if not labels[-1]:
        labels.pop()
    return from_labels(*map(bytes, labels))


def to_text(name: bytes) -> str:
    """Return the text of a name with a final dot; special bytes are escaped."""
    return "".join(label_text(label) + "." for label in labels(name)) or "."


def label_text(label: bytes) -> str:
    """Return one label as text; special bytes are escaped (RFC 1035 §5.1)."""
    if _PLAIN.issuperset(label):
        return label.decode("ascii")
    return "".join(chr(b) if b in _PLAIN else f"\\{chr(b)}" if 0x21 <= b < 0x7F else f"\\{b:03}" for b in label)


def labels(name: bytes) -> list[bytes]:
    """Return the labels of a name, leftmost first, without the root."""
    found = []
    start = 0
    while size := name[start]:
        end = start + 1 + size
        found.append(name[start + 1 : end])
        start = end
    return found


def suffixes(name: bytes) -> list[bytes]:
    """Return the name and its ancestors, the root last."""
    found = [name]
    start = 0
    while size := name[start]:
        start += 1 + size
        found.append(name[start:])
    return found


def longest_suffix(name: bytes, among: Container[bytes]) -> bytes | None:
    """Return the first of the name's `suffixes` that `among` contains: the longest zone, the closest encloser.

    It makes no list of them, because routes and zones are looked up for each query that is not in the answer table.
    """
    start = 0
    while (suffix := name[start:]) not in among:
        size = name[start]
        if not size:
            return None
        start += 1 + size
    return suffix


def end_of(wire: bytes, start: int = 0) -> int:
    """Return where the name ends that begins at `start`, in bytes known to hold a whole uncompressed name."""
    while size := wire[start]:
        start += 1 + size
    return start + 1


def is_under(name: bytes, zone: bytes) -> bool:
    """Return whether the name is the zone or below it, compared label by label."""
    if not name.endswith(zone):
        return False
    start = 0
    stop = len(name) - len(zone)
    while start < stop:
        start += 1 + name[start]
    return start == stop


def is_reverse(zone: bytes) -> bool:
    """Return whether the zone is in a reverse tree."""
    return is_under(zone, IN_ADDR_ARPA) or is_under(zone, IP6_ARPA)


def from_address(address: bytes) -> bytes:
    """Return the reverse name of a packed IPv4 or IPv6 address."""
    if len(address) == 4:
        return b"".join([b"%c%d" % (len(str(b)), b) for b in reversed(address)]) + IN_ADDR_ARPA
    nibbles = address.hex()[::-1]
    return "".join(["\x01" + nibble for nibble in nibbles]).encode() + IP6_ARPA


def to_address(name: bytes) -> bytes | None:
    """Return the packed address of a full reverse name; None for every other name."""
    parts = labels(name)
    if name.endswith(IN_ADDR_ARPA) and len(parts) == 6 and is_under(name, IN_ADDR_ARPA):
        return _packed(b".".join(parts[3::-1]))
    if name.endswith(IP6_ARPA) and len(parts) == 34 and is_under(name, IP6_ARPA):
        nibbles = b"".join(parts[31::-1])
        if len(nibbles) == 32 and all(chr(b) in _HEX for b in nibbles):
            return bytes.fromhex(nibbles.decode())
    return None


def _packed(text: bytes) -> bytes | None:
    try:
        return ipaddress.IPv4Address(text.decode("ascii")).packed
    except ValueError:
        return None
