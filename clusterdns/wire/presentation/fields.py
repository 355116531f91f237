"""RDATA from the words of an entry in a master file: names are the bytes as written, strings are split at 255 bytes.

The table has the types with a simple layout. dnspython reads the others (LOC, APL, SVCB, NSEC, RRSIG …), and is
imported only for them, because it costs 12 MiB. `zonetext` reads what precedes the RDATA.
"""

import base64
import binascii
import re
import struct
from collections.abc import Callable, Sequence
from functools import partial
from socket import AF_INET, AF_INET6, inet_pton

from clusterdns.wire import codes
from clusterdns.wire.name import MAX_LABEL_BYTES, MAX_NAME_BYTES
from clusterdns.wire.presentation.words import name_from_word, seconds_from_word, text_bytes, unescaped
from clusterdns.wire.rdata import LAYOUTS, NAME, STRING, STRINGS
from clusterdns.wire.record import MAX_STRING_BYTES

MAX_RDATA_BYTES = 0xFFFF

_NODE_ID = re.compile(r"[0-9a-f]{4}(?::[0-9a-f]{4}){3}", re.IGNORECASE | re.ASCII)
_EUI = re.compile(r"[0-9a-f]{2}(?:-[0-9a-f]{2})+", re.IGNORECASE | re.ASCII)
_MNEMONICS = {  # DNSSEC algorithms (IANA)
    "RSAMD5": 1, "DH": 2, "DSA": 3, "RSASHA1": 5, "DSA-NSEC3-SHA1": 6, "RSASHA1-NSEC3-SHA1": 7, "RSASHA256": 8,
    "RSASHA512": 10, "ECC-GOST": 12, "ECDSAP256SHA256": 13, "ECDSAP384SHA384": 14, "ED25519": 15, "ED448": 16,
    "INDIRECT": 252, "PRIVATEDNS": 253, "PRIVATEOID": 254,
}  # fmt: skip
_ADDRESS_FORMS = ("i", "I")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")

# one character per field (`_READERS`), the last of which may take all words that are left (`_LAST_READERS`)
_FORMS = {
    1: "i", 2: "n", 3: "n", 4: "n", 5: "n", 6: "nn4tttt", 7: "n", 8: "n", 9: "n", 12: "n", 13: "P", 14: "nn", 15: "2n",
    16: "S", 17: "nn", 18: "2n", 19: "s", 20: "P", 21: "2n", 23: "n", 25: "21ab", 26: "2nn", 27: "sss", 28: "I",
    31: "h", 32: "h", 33: "222n", 35: "22sssn", 36: "2n", 39: "n", 43: "2a1h", 44: "11h", 48: "21ab", 49: "b",
    52: "111h", 53: "111h", 56: "S", 57: "21ab", 58: "nn", 59: "2a1h", 60: "21ab", 61: "b", 63: "411h", 99: "S",
    100: "u", 101: "4", 102: "4", 104: "2d", 105: "2i", 106: "2d", 107: "2n", 108: "6", 109: "8", 256: "22o",
    257: "1so", 258: "S", 261: "S", 32768: "2a1h", 32769: "2a1h",
}  # fmt: skip


def rdata_from_words(rtype: int, words: Sequence[str], origin: bytes) -> bytes:
    """Return the RDATA of a type. Raises ValueError."""
    form = _FORMS.get(rtype)
    is_generic = bool(words) and words[0] == "\\#"
    if form in _ADDRESS_FORMS and not is_generic:
        return _READERS[form](" ".join(words))
    try:
        if is_generic:
            wire = _generic(rtype, words[1:])
        elif form is not None:
            wire = _by_form(form, words, origin)
        else:
            wire = _by_dnspython(rtype, words, origin)
    except ValueError as error:
        raise ValueError(f"cannot read the fields of this {codes.type_text(rtype)} record: {error}") from None
    if len(wire) > MAX_RDATA_BYTES:
        raise ValueError(f"the RDATA is larger than {MAX_RDATA_BYTES} bytes; split the record")
    return wire


def _by_form(form: str, words: Sequence[str], origin: bytes) -> bytes:
    parts = []
    for position, kind in enumerate(form):
        if kind in _LAST_READERS:
            parts.append(_LAST_READERS[kind](words[position:]))
            break
        if position == len(words):
            raise ValueError(f"{len(words)} of {len(form)} fields")
        parts.append(name_from_word(words[position], origin) if kind == "n" else _READERS[kind](words[position]))
    else:
        if len(words) > len(form):
            raise ValueError(f"unexpected {words[len(form)]!r} after the last field")
    return b"".join(parts)


def _number(size: int, word: str) -> bytes:
    if not (word.isascii() and word.isdigit() and len(word) <= 12 and int(word) < 1 << 8 * size):
        raise ValueError(f"{word!r} is not a number from 0 to {(1 << 8 * size) - 1}")
    return int(word).to_bytes(size, "big")


def _algorithm(word: str) -> bytes:
    number = _MNEMONICS.get(word.upper())
    return _number(1, word) if number is None else bytes((number,))


def _timer(word: str) -> bytes:
    return seconds_from_word(word).to_bytes(4, "big")


def _address(family: int, word: str) -> bytes:
    try:
        return inet_pton(family, word)
    except (OSError, ValueError):
        kind = "A" if family == AF_INET else "AAAA"
        raise ValueError(f"{word!r} is not an address of type {kind}") from None


def _node_id(word: str) -> bytes:
    if not _NODE_ID.fullmatch(word):
        raise ValueError(f"{word!r} is not four groups of four hexadecimal digits with colons between them")
    return bytes.fromhex(word.replace(":", ""))


def _eui(size: int, word: str) -> bytes:
    if not _EUI.fullmatch(word) or len(word) != 3 * size - 1:
        raise ValueError(f"{word!r} is not {size} pairs of hexadecimal digits with hyphens between them")
    return bytes.fromhex(word.replace("-", ""))


def _string(word: str) -> bytes:
    raw = unescaped(text_bytes(word))
    if len(raw) > MAX_STRING_BYTES:
        raise ValueError(f"a string of {len(raw)} bytes; at most {MAX_STRING_BYTES} are allowed (RFC 1035 §3.3)")
    return bytes((len(raw),)) + raw


def _split_string(raw: bytes) -> bytes:
    """Return the strings of at most 255 bytes that together hold the text."""
    parts = [raw[start : start + MAX_STRING_BYTES] for start in range(0, len(raw), MAX_STRING_BYTES)] or [b""]
    return b"".join(bytes((len(part),)) + part for part in parts)


def _strings(words: Sequence[str]) -> bytes:
    return b"".join(_split_string(unescaped(text_bytes(word))) for word in words) or b"\0"


def _pair(words: Sequence[str]) -> bytes:
    """Return two strings: the first word and the others, or one quoted word divided at its blanks, as CoreDNS does."""
    texts = [text_bytes(word) for word in words]
    if len(texts) == 1 and len(divided := texts[0].split()) > 1:
        texts = divided
    first, second = (texts[0] if texts else b"", b" ".join(texts[1:]))
    if max(len(unescaped(first)), len(unescaped(second))) > MAX_STRING_BYTES:
        raise ValueError(f"a string of more than {MAX_STRING_BYTES} bytes (RFC 1035 §3.3)")
    return _split_string(unescaped(first)) + _split_string(unescaped(second))


def _first_string(words: Sequence[str]) -> bytes:
    return _string(words[0]) if words else b"\0"


def _hex(words: Sequence[str]) -> bytes:
    try:
        return bytes.fromhex("".join(words))
    except ValueError:
        raise ValueError(f"{' '.join(words)!r} is not a sequence of pairs of hexadecimal digits") from None


def _base64(words: Sequence[str]) -> bytes:
    try:
        return base64.b64decode("".join(words), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{' '.join(words)!r} is not base64") from None


def _bytes(words: Sequence[str]) -> bytes:
    if len(words) != 1:
        raise ValueError(f"{len(words)} texts at the end of the record, where one is expected")
    return unescaped(text_bytes(words[0]))


_READERS: dict[str, Callable[[str], bytes]] = {
    "1": partial(_number, 1),
    "2": partial(_number, 2),
    "4": partial(_number, 4),
    "6": partial(_eui, 6),
    "8": partial(_eui, 8),
    "a": _algorithm,
    "d": _node_id,
    "i": partial(_address, AF_INET),
    "I": partial(_address, AF_INET6),
    "s": _string,
    "t": _timer,
}
_LAST_READERS: dict[str, Callable[[Sequence[str]], bytes]] = {
    "S": _strings, "P": _pair, "u": _first_string, "h": _hex, "b": _base64, "o": _bytes,
}  # fmt: skip


def _generic(rtype: int, words: Sequence[str]) -> bytes:
    """Read RDATA that is written as bytes (RFC 3597 §5), and check its names and strings."""
    if not words:
        raise ValueError("the number of bytes is missing after \\#")
    wire = _hex(words[1:])
    if int.from_bytes(_number(2, words[0]), "big") != len(wire):
        raise ValueError(f"{len(wire)} bytes, where \\# says {words[0]}")
    if len(wire) != {codes.A: 4, codes.AAAA: 16}.get(rtype, len(wire)):
        raise ValueError(f"{len(wire)} bytes are not an address of this type")
    if rtype in LAYOUTS and wire and not _fits(wire, LAYOUTS[rtype]):
        raise ValueError("the bytes are malformed for this type")
    return wire


def _fits(wire: bytes, layout: Sequence[int]) -> bool:
    """Return whether the bytes have the names and strings of a layout and end with it."""
    position = 0
    try:
        for part in layout:
            if part == NAME:
                position = _end_of_name(wire, position)
            elif part == STRING:
                position += 1 + wire[position]
            elif part == STRINGS:
                while position < len(wire):
                    position += 1 + wire[position]
            elif part > 0:
                position += part
            else:
                return position <= len(wire)
    except (IndexError, ValueError):
        return False
    return position == len(wire)


def _end_of_name(wire: bytes, start: int) -> int:
    """Return where an uncompressed name ends. Raises ValueError, or IndexError where it goes beyond the bytes."""
    position = start
    while size := wire[position]:
        if size > MAX_LABEL_BYTES:
            raise ValueError("a label is too long, or compressed")
        position += 1 + size
    if position + 1 - start > MAX_NAME_BYTES:
        raise ValueError("a name is too long")
    return position + 1


def _by_dnspython(rtype: int, words: Sequence[str], origin: bytes) -> bytes:
    import dns.exception
    import dns.name
    import dns.rdata

    # names and strings stay bytes: dnspython would turn letters beyond ASCII into punycode
    text = _NOT_ASCII.sub(_escaped, " ".join(words).replace('=" "', '=""').replace('= "', '="'))
    as_type = codes.NSEC if rtype == codes.NXT else rtype  # the obsolete NXT is written as NSEC
    origin_name, _ = dns.name.from_wire(origin, 0)
    try:
        rdata = dns.rdata.from_text(codes.IN, as_type, text, origin_name, relativize=False)  # type: ignore[arg-type]
        wire = rdata.to_wire()
    except (dns.exception.DNSException, ValueError, struct.error) as error:
        raise ValueError(str(error)) from None
    assert wire is not None
    return wire


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"\\{byte:03}" for byte in found[0].encode(errors="surrogateescape"))
