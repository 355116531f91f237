"""Zone-file text to records (RFC 1035 §5.1): one record as `template` writes it, or a whole master file.

Lines, owner names, TTLs, classes and directives are read here; dnspython reads the RDATA of all types but
addresses. It is imported only where such a record occurs: it costs 12 MiB that most clusters need not spend.
What a zone must have (an SOA, its names) is for those who serve it. The other direction is `text`.
"""

import os
import re
import struct
from collections.abc import Iterator
from socket import AF_INET, AF_INET6, inet_pton

from clusterdns.wire import codes
from clusterdns.wire.name import MAX_NAME_BYTES, ROOT
from clusterdns.wire.name import from_text as name_from_text
from clusterdns.wire.record import Record, record

MAX_ZONE_BYTES = 100 * 2**20  # with all that is included
MAX_INCLUDE_DEPTH = 7  # as CoreDNS
MAX_GENERATED = 2**18  # records from all $GENERATE lines of a zone: every host of a /14

_MAX_TTL = 0x7FFFFFFF
_MAX_RDATA_BYTES = 0xFFFF
_SPECIAL = frozenset('();"\\')
_PIECE = re.compile(r'\\.|"(?:\\.|[^"\\])*"|[();]|[^\\"();]+', re.DOTALL)
_WORD = re.compile(r"\s*((?:\\.|[^\s\\])+)", re.DOTALL | re.ASCII)
_TTL = re.compile(r"(?:\d+[smhdw]?)+", re.IGNORECASE | re.ASCII)
_TTL_PART = re.compile(r"(\d+)([smhdw]?)", re.ASCII)
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_CLASS = re.compile(r"IN|CS|CH|HS|CLASS\d{1,5}", re.IGNORECASE | re.ASCII)
_RANGE = re.compile(r"(\d{1,10})-(\d{1,10})(?:/(\d{1,10}))?", re.ASCII)
_COUNTER = re.compile(r"\\.|\$\$|\$(?:\{([+-]?\d{1,10})(?:,(\d{1,3})(?:,([doxX]))?)?\})?", re.ASCII)
_FAMILIES = {codes.A: AF_INET, codes.AAAA: AF_INET6}


class ZoneTextError(ValueError):
    """Text that is no record: where, what is wrong, and a hint."""

    def __init__(self, problem: str, line: int, file: str = "") -> None:
        super().__init__(f"{file}:{line}: {problem}" if file else f"line {line}: {problem}")
        self.problem = problem
        self.line = line
        self.file = file


def record_from_text(text: str, origin: bytes = ROOT, default_ttl: int = 3600) -> Record:
    """The first record in the text, after which CoreDNS reads no further either. Raises ZoneTextError.

    A TTL and a class may be missing; directives are refused.
    """
    reader = _Reader(origin, default_ttl)
    for line, content in _logical_lines(text.strip(), ""):
        if content[0] == "$":
            raise ZoneTextError("a directive where a record is expected; only zone files have them", line)
        try:
            return reader.record(content)
        except ValueError as error:
            raise ZoneTextError(str(error), line) from None
    raise ZoneTextError("no record where one is expected", 1)


def zone_from_text(text: str, origin: bytes, folder: str, file: str = "") -> list[Record]:
    """The records of a master file, in its order; `$INCLUDE` looks in `folder`, `file` stands in errors.

    Raises ZoneTextError, also where the text and what it includes are more than 100 MiB.
    """
    reader = _Reader(origin, None)
    reader.read(text, folder, file, 0)
    return reader.records


class _Reader:
    """What each line leaves behind for the next."""

    def __init__(self, origin: bytes, default_ttl: int | None) -> None:
        self.origin = origin
        self.default_ttl = default_ttl  # of $TTL
        self.last_ttl: int | None = None
        self.owner: bytes | None = None
        self.records: list[Record] = []
        self.read_bytes = 0
        self.generated = 0

    def read(self, text: str, folder: str, file: str, depth: int) -> None:
        self.read_bytes += len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
        if self.read_bytes > MAX_ZONE_BYTES:
            raise ZoneTextError(f"a zone of more than {MAX_ZONE_BYTES >> 20} MiB; split it into several", 1, file)
        for line, content in _logical_lines(text, file):
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
        """One record from `owner ttl class type rdata`. Raises ValueError."""
        position = 0
        if content[0] not in " \t":
            word, position = _word(content, 0)
            self.owner = self._name(word).lower()
        if self.owner is None:
            raise ValueError("the first record has no owner; begin its line with a name or @")
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
            raise ValueError("no TTL: write one, or a $TTL line before")
        return record(self.owner, rtype, ttl, rdata, rclass)

    def _rdata(self, rclass: int, rtype: int, text: str) -> bytes:
        family = _FAMILIES.get(rtype)
        if family is not None and rclass == codes.IN and "\\" not in text:
            try:
                return inet_pton(family, text.strip())
            except (OSError, ValueError):
                raise ValueError(f"{text.strip()!r} is no address of type {codes.type_text(rtype)}") from None
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
            raise ValueError(f"content of more than {_MAX_RDATA_BYTES} bytes; split the record")
        return wire

    def _name(self, text: str) -> bytes:
        if text == "@":
            return self.origin
        name = name_from_text(text)
        if text.endswith(".") and not _ends_escaped(text):
            return name
        name = name[:-1] + self.origin
        if len(name) > MAX_NAME_BYTES:
            raise ValueError(f"name of {len(name)} bytes with its origin, must be at most {MAX_NAME_BYTES}")
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
            raise ValueError(f"$INCLUDE more than {MAX_INCLUDE_DEPTH} deep; does a file include itself?")
        path = os.path.join(folder, arguments[0].strip('"'))
        if not os.path.isfile(path):
            raise ValueError(f"$INCLUDE of {path}, which is no file")
        try:
            with open(path, "rb") as file:
                raw = file.read(MAX_ZONE_BYTES + 1)  # one more, to be found too large
            text = raw.decode()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot include {path}: {error}") from None
        kept = self.origin, self.owner, self.default_ttl, self.last_ttl
        if len(arguments) > 1:
            self.origin = self._name(arguments[1])
        self.read(text, os.path.dirname(path), path, depth + 1)
        self.origin, self.owner, self.default_ttl, self.last_ttl = kept

    def _generate(self, content: str) -> None:
        word, position = _word(content, 0)
        bounds = _RANGE.fullmatch(word)
        if bounds is None:
            raise ValueError(f"$GENERATE of {word!r}; write a range like 1-10 or 0-100/5")
        first, last, step = int(bounds[1]), int(bounds[2]), int(bounds[3] or 1)
        if not step or last < first:
            raise ValueError(f"$GENERATE of {word!r}: the range goes upwards, by a step of at least 1")
        counters = range(first, last + 1, step)
        self.generated += len(counters)
        if self.generated > MAX_GENERATED:
            raise ValueError(f"$GENERATE of more than {MAX_GENERATED} records in one zone")
        template = content[position:].strip()
        _word(template, 0)
        for counter in counters:
            self.records.append(self.record(_substituted(template, counter)))


def _logical_lines(text: str, file: str) -> Iterator[tuple[int, str]]:
    """Each entry with the number of its first line, comments and parentheses taken out; none is empty."""
    begun: list[str] = []
    first = depth = 0
    for number, line in enumerate(_lines(text), 1):
        if not depth and _SPECIAL.isdisjoint(line):
            if line and not line.isspace():
                yield number, line
            continue
        if not depth:
            first = number
        end = 0
        for piece in _PIECE.finditer(line):
            if piece.start() != end:
                break
            token = piece[0]
            if token == ";":
                end = len(line)
                break
            end = piece.end()
            if token == "(":
                depth += 1
            elif token == ")":
                depth -= 1
            begun.append(" " if token in "()" else token)
            if depth < 0:
                raise ZoneTextError("a parenthesis is closed that was not opened", number, file)
        if end != len(line):
            raise ZoneTextError("a quote that is not closed, or a backslash at the end of the line", number, file)
        if depth:
            begun.append(" ")
            continue
        content = "".join(begun)
        begun.clear()
        if content and not content.isspace():
            yield first, content
    if depth:
        raise ZoneTextError("a parenthesis is not closed; the entry begins here", first, file)


def _lines(text: str) -> Iterator[str]:
    """The lines one by one, without their ends: a list of them would double what a large zone needs."""
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield text[start:end].removesuffix("\r")
        start = end + 1


def _word(content: str, position: int) -> tuple[str, int]:
    found = _WORD.match(content, position)
    if found is None:
        raise ValueError("the entry ends too early; it must have owner, type and content")
    return found[1], found.end()


def _type(word: str) -> int:
    try:
        rtype = codes.type_from_text(word)
    except ValueError:
        rtype = _rare_type(word)
    if word[0].isdigit() or word == "*" or rtype in (0, codes.OPT) or 249 <= rtype <= 255:  # RFC 6895 §3.1
        raise ValueError(f"{word} is no type of record")
    return rtype


def _rare_type(word: str) -> int:
    import dns.exception
    import dns.rdatatype

    try:
        return int(dns.rdatatype.from_text(word))
    except (dns.exception.DNSException, ValueError):
        raise ValueError(f"unknown record type {word!r}; a type without a name is written TYPE<n>") from None


def _ttl(word: str) -> int:
    """Seconds, from a number or units as in 1h30m."""
    if _TTL.fullmatch(word) and len(word) <= 40:
        seconds = sum(int(number) * _UNIT_SECONDS[unit] for number, unit in _TTL_PART.findall(word.lower()))
        if seconds <= _MAX_TTL:
            return seconds
    raise ValueError(f"TTL {word!r} is no number of seconds up to {_MAX_TTL} (RFC 2181 §8), nor like 1h30m")


def _ends_escaped(text: str) -> bool:
    """Whether the last character is escaped: an odd number of backslashes stands before it."""
    before = text[:-1]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def _substituted(template: str, counter: int) -> str:
    """A `$GENERATE` template with its `$` and `${offset,width,base}` replaced; `$$` is a dollar sign."""

    def replace(found: re.Match[str]) -> str:
        if found[0][0] == "\\":
            return found[0]
        if found[0] == "$$":
            return "$"
        value = counter + int(found[1] or 0)
        width = int(found[2] or 0)
        if value < 0 or width > 255 or (found[1] is None and template.startswith("{", found.end())):
            raise ValueError(f"$GENERATE cannot write {template[found.start() :]!r}; write it like ${{0,3,d}}")
        return format(value, found[3] or "d").zfill(width)

    return _COUNTER.sub(replace, template)
