"""Records from the text of a master file (RFC 1035 §5.1): a whole zone, or a single record for `template`.

`entries` splits the text into entries. Owner names, TTLs, classes and directives are read here; dnspython reads the
RDATA of all types but addresses, and is imported only for a record that needs it, because it costs 12 MiB. `file`
checks what a zone must have (an SOA, names below its origin). `text` writes records as text.
"""

import os
import re
import struct
from socket import AF_INET, AF_INET6, inet_pton

from clusterdns.wire import codes
from clusterdns.wire.name import MAX_NAME_BYTES, ROOT
from clusterdns.wire.name import from_text as name_from_text
from clusterdns.wire.presentation.entries import ZoneTextError, entries
from clusterdns.wire.record import Record, record

MAX_ZONE_BYTES = 100 * 2**20  # of the file and of all files that it includes
MAX_INCLUDE_DEPTH = 7  # as CoreDNS
MAX_GENERATED = 2**18  # records of all $GENERATE entries of a zone: every host of a /14

_MAX_TTL = 0x7FFFFFFF
_MAX_RDATA_BYTES = 0xFFFF
_WORD = re.compile(r"\s*((?:\\.|[^\s\\])+)", re.DOTALL | re.ASCII)
_TTL = re.compile(r"(?:\d+[smhdw]?)+", re.IGNORECASE | re.ASCII)
_TTL_PART = re.compile(r"(\d+)([smhdw]?)", re.ASCII)
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_CLASS = re.compile(r"IN|CS|CH|HS|CLASS\d{1,5}", re.IGNORECASE | re.ASCII)
_RANGE = re.compile(r"(\d{1,10})-(\d{1,10})(?:/(\d{1,10}))?", re.ASCII)
_COUNTER = re.compile(r"\\.|\$\$|\$(?:\{([+-]?\d{1,10})(?:,(\d{1,3})(?:,([doxX]))?)?\})?", re.ASCII)
_FAMILIES = {codes.A: AF_INET, codes.AAAA: AF_INET6}


def record_from_text(text: str, origin: bytes = ROOT, default_ttl: int = 3600) -> Record:
    """Return the first record of the text; the rest is ignored, as by CoreDNS. Raises ZoneTextError.

    The TTL and the class are optional; a directive is an error.
    """
    reader = _Reader(origin, default_ttl)
    for line, content in entries(text.strip(), ""):
        if content[0] == "$":
            raise ZoneTextError("expected a record, found a directive; only zone files have directives", line)
        try:
            return reader.record(content)
        except ValueError as error:
            raise ZoneTextError(str(error), line) from None
    raise ZoneTextError("expected a record, found none", 1)


def zone_from_text(text: str, origin: bytes, folder: str, file: str = "") -> list[Record]:
    """Return the records of a master file in file order. Raises ZoneTextError.

    Paths of `$INCLUDE` are relative to `folder`; errors name `file`. The text and all that it includes may have up to
    100 MiB.
    """
    reader = _Reader(origin, None)
    reader.read(text, folder, file, 0)
    return reader.records


class _Reader:
    """The state that one entry leaves for the next: origin, default TTL, last TTL, last owner name."""

    def __init__(self, origin: bytes, default_ttl: int | None) -> None:
        self.origin = origin
        self.default_ttl = default_ttl  # set by $TTL
        self.last_ttl: int | None = None
        self.owner: bytes | None = None
        self.records: list[Record] = []
        self.read_bytes = 0
        self.generated = 0

    def read(self, text: str, folder: str, file: str, depth: int) -> None:
        self.read_bytes += len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
        if self.read_bytes > MAX_ZONE_BYTES:
            raise ZoneTextError(
                f"the zone is larger than {MAX_ZONE_BYTES >> 20} MiB; split it into several zones", 1, file
            )
        for line, content in entries(text, file):
            try:
                if content[0] == "$":
                    self._directive(content, folder, depth)
                else:
                    self.records.append(self.record(content))
            except ZoneTextError:
                raise
            except ValueError as error:
                raise ZoneTextError(str(error), line, file) from None

    def record(self, content: str) -> Record:
        """Read an entry `owner ttl class type rdata`. Raises ValueError."""
        position = 0
        if content[0] not in " \t":
            word, position = _word(content, 0)
            self.owner = self._name(word).lower()
        if self.owner is None:
            raise ValueError("the first record has no owner name; begin its line with a name or @")
        ttl: int | None = None
        rclass: int | None = None
        while True:
            word, position = _word(content, position)
            if ttl is None and word[0].isdigit():
                ttl = _ttl(word)
            elif rclass is None and _CLASS.fullmatch(word):
                rclass = codes.class_from_text(word)
            else:
                break
        rtype = _type(word)
        rclass = codes.IN if rclass is None else rclass
        rdata = self._rdata(rclass, rtype, content[position:])
        if ttl is not None:
            self.last_ttl = ttl
        else:
            ttl = self.last_ttl if self.default_ttl is None else self.default_ttl
        if ttl is None and rtype == codes.SOA:
            self.last_ttl = ttl = min(int.from_bytes(rdata[-4:], "big"), _MAX_TTL)  # RFC 1035 §3.3.13, MINIMUM
        if ttl is None:
            raise ValueError("no TTL; add one to the record, or a $TTL line before it")
        return record(self.owner, rtype, ttl, rdata, rclass)

    def _rdata(self, rclass: int, rtype: int, text: str) -> bytes:
        family = _FAMILIES.get(rtype)
        if family is not None and rclass == codes.IN and "\\" not in text:
            try:
                return inet_pton(family, text.strip())
            except (OSError, ValueError):
                raise ValueError(f"{text.strip()!r} is not an address of type {codes.type_text(rtype)}") from None
        import dns.exception
        import dns.name
        import dns.rdata

        origin, _ = dns.name.from_wire(self.origin, 0)
        try:
            rdata = dns.rdata.from_text(rclass, rtype, text, origin, relativize=False)  # type: ignore[arg-type]
            wire = rdata.to_wire()
        except (dns.exception.DNSException, ValueError, struct.error) as error:
            raise ValueError(f"cannot read the fields of this {codes.type_text(rtype)} record: {error}") from None
        if wire is None or len(wire) > _MAX_RDATA_BYTES:
            raise ValueError(f"the RDATA is larger than {_MAX_RDATA_BYTES} bytes; split the record")
        return wire

    def _name(self, text: str) -> bytes:
        if text == "@":
            return self.origin
        name = name_from_text(text)
        if text.endswith(".") and not _ends_escaped(text):
            return name
        name = name[:-1] + self.origin
        if len(name) > MAX_NAME_BYTES:
            raise ValueError(f"the name has {len(name)} bytes with its origin; at most {MAX_NAME_BYTES} are allowed")
        return name

    def _directive(self, content: str, folder: str, depth: int) -> None:
        word, position = _word(content, 0)
        rest = content[position:]
        directive = word.upper()
        if directive == "$GENERATE":
            self._generate(rest)
            return
        arguments = rest.split()
        if not 0 < len(arguments) <= (2 if directive == "$INCLUDE" else 1):
            raise ValueError(f"{word} with {len(arguments)} arguments")
        if directive == "$ORIGIN":
            self.origin = self._name(arguments[0])
        elif directive == "$TTL":
            self.default_ttl = _ttl(arguments[0])
        elif directive == "$INCLUDE":
            self._include(arguments, folder, depth)
        else:
            raise ValueError(f"unknown directive {word}; known are $ORIGIN, $TTL, $INCLUDE and $GENERATE")

    def _include(self, arguments: list[str], folder: str, depth: int) -> None:
        if depth >= MAX_INCLUDE_DEPTH:
            raise ValueError(
                f"$INCLUDE is nested more than {MAX_INCLUDE_DEPTH} deep; check whether a file includes itself"
            )
        path = os.path.join(folder, arguments[0].strip('"'))
        if not os.path.isfile(path):
            raise ValueError(f"$INCLUDE {path}: not a regular file")
        try:
            with open(path, "rb") as file:
                raw = file.read(MAX_ZONE_BYTES + 1)  # one byte more than allowed, so that `read` refuses it
            text = raw.decode()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot include {path}: {error}") from None
        outer = self.origin, self.owner, self.default_ttl, self.last_ttl
        if len(arguments) > 1:
            self.origin = self._name(arguments[1])
        self.read(text, os.path.dirname(path), path, depth + 1)
        self.origin, self.owner, self.default_ttl, self.last_ttl = outer

    def _generate(self, content: str) -> None:
        word, position = _word(content, 0)
        bounds = _RANGE.fullmatch(word)
        if bounds is None:
            raise ValueError(f"$GENERATE: {word!r} is not a range; write it as 1-10 or 0-100/5")
        first, last, step = int(bounds[1]), int(bounds[2]), int(bounds[3] or 1)
        if not step or last < first:
            raise ValueError(f"$GENERATE: the range {word!r} must ascend, with a step of at least 1")
        counters = range(first, last + 1, step)
        self.generated += len(counters)
        if self.generated > MAX_GENERATED:
            raise ValueError(f"$GENERATE makes more than {MAX_GENERATED} records in one zone")
        template = content[position:].strip()
        _word(template, 0)
        for counter in counters:
            self.records.append(self.record(_substituted(template, counter)))


def _word(content: str, position: int) -> tuple[str, int]:
    found = _WORD.match(content, position)
    if found is None:
        raise ValueError("the entry is incomplete; it needs an owner name, a type and RDATA")
    return found[1], found.end()


def _type(word: str) -> int:
    try:
        rtype = codes.type_from_text(word)
    except ValueError:
        rtype = _rare_type(word)
    if word[0].isdigit() or word == "*" or rtype in (0, codes.OPT) or 249 <= rtype <= 255:  # RFC 6895 §3.1
        raise ValueError(f"{word} is not a record type")
    return rtype


def _rare_type(word: str) -> int:
    import dns.exception
    import dns.rdatatype

    try:
        return int(dns.rdatatype.from_text(word))
    except (dns.exception.DNSException, ValueError):
        raise ValueError(f"unknown record type {word!r}; write a type without a mnemonic as TYPE<n>") from None


def _ttl(word: str) -> int:
    """Return seconds, from a number or a duration such as 1h30m."""
    if _TTL.fullmatch(word) and len(word) <= 40:
        seconds = sum(int(number) * _UNIT_SECONDS[unit] for number, unit in _TTL_PART.findall(word.lower()))
        if seconds <= _MAX_TTL:
            return seconds
    raise ValueError(
        f"TTL {word!r} is not a duration such as 1h30m or a number of seconds up to {_MAX_TTL} (RFC 2181 §8)"
    )


def _ends_escaped(text: str) -> bool:
    """Return whether the last character is escaped: an odd number of backslashes precedes it."""
    before = text[:-1]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def _substituted(template: str, counter: int) -> str:
    """Return a `$GENERATE` template with `$` and `${offset,width,base}` replaced; `$$` is a dollar sign."""

    def replace(found: re.Match[str]) -> str:
        if found[0][0] == "\\":
            return found[0]
        if found[0] == "$$":
            return "$"
        value = counter + int(found[1] or 0)
        width = int(found[2] or 0)
        if value < 0 or width > 255 or (found[1] is None and template.startswith("{", found.end())):
            raise ValueError(
                f"$GENERATE cannot write {template[found.start() :]!r}; write ${{OFFSET,WIDTH,BASE}}, as in ${{0,3,d}}"
            )
        return format(value, found[3] or "d").zfill(width)

    return _COUNTER.sub(replace, template)
