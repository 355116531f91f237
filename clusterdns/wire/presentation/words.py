"""The words of a master file as names, strings and durations.

Names and strings have no encoding: their bytes are as written, in whatever letters (RFC 6763 §4.1.1), after the escapes
`\\DDD` and `\\X` (RFC 1035 §5.1). `entries` splits the text into words, `fields` puts RDATA together.
"""

import re

from clusterdns.wire.name import MAX_LABEL_BYTES, MAX_NAME_BYTES, ROOT

MAX_SECONDS = 0xFFFFFFFF

_DURATION = re.compile(r"(?:\d+[smhdw]?)+", re.IGNORECASE | re.ASCII)
_DURATION_PART = re.compile(r"(\d+)([smhdw]?)", re.ASCII)
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_ESCAPE = re.compile(rb"\\(?:(\d\d\d)|(.))", re.DOTALL)
_LABEL = re.compile(rb"((?:\\.|[^\\.])*+)(\.|\Z)", re.DOTALL)


def is_quoted(word: str) -> bool:
    """Return whether a word of an entry is in quotes."""
    return word[0] == '"'


def text_bytes(word: str) -> bytes:
    """Return the bytes of a word without its quotes; its escapes stay as they are."""
    return (word[1:-1] if is_quoted(word) else word).encode(errors="surrogateescape")


def unescaped(raw: bytes) -> bytes:
    """Return the bytes that escapes stand for. Raises ValueError."""
    return _ESCAPE.sub(_unescape, raw) if b"\\" in raw else raw


def _unescape(found: re.Match[bytes]) -> bytes:
    if found[1] is None:
        return found[2]
    if int(found[1]) > 255:
        raise ValueError(f"escape {found[0].decode()} is more than a byte")
    return bytes((int(found[1]),))


def name_from_word(word: str, origin: bytes) -> bytes:
    """Return the absolute name of a word in its case: `@` is the origin, a relative name is below it.

    Raises ValueError.
    """
    if word == "@":
        return origin
    if word == ".":
        return ROOT
    if is_quoted(word):
        raise ValueError(f"{word} is quoted; write a name without quotes, and a space in it as \\032")
    labels = _labels(text_bytes(word))
    is_absolute = not labels[-1]
    if is_absolute:
        labels.pop()
    for label in labels:
        if not 0 < len(label) <= MAX_LABEL_BYTES:
            raise ValueError(f"label of {len(label)} bytes, must be 1 to {MAX_LABEL_BYTES}")
    name = b"".join([bytes((len(label),)) + label for label in labels]) + (ROOT if is_absolute else origin)
    if len(name) > MAX_NAME_BYTES:
        raise ValueError(f"the name has {len(name)} bytes with its origin; at most {MAX_NAME_BYTES} are allowed")
    return name


def _labels(raw: bytes) -> list[bytes]:
    """Return the labels between dots that are not escaped; the last is empty after a final dot."""
    if b"\\" not in raw:
        return raw.split(b".")
    labels = []
    for found in _LABEL.finditer(raw):
        labels.append(unescaped(found[1]))
        if not found[2]:
            break
    return labels


def seconds_from_word(word: str) -> int:
    """Return seconds, from a number or a duration such as 1h30m. Raises ValueError."""
    if _DURATION.fullmatch(word) and len(word) <= 40:
        seconds = sum(int(number) * _UNIT_SECONDS[unit] for number, unit in _DURATION_PART.findall(word.lower()))
        if seconds <= MAX_SECONDS:
            return seconds
    raise ValueError(f"{word!r} is not a duration such as 1h30m or a number of seconds up to {MAX_SECONDS}")
