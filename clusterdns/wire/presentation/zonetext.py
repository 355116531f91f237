"""Records from the text of a master file (RFC 1035 §5.1): a whole zone, or a single record for `template`.

`entries` splits the text into entries and words. Owner names, TTLs, classes and directives are read here, RDATA in
`fields`, `$GENERATE` in `generate`. `file` checks what a zone must have (an SOA, names below its origin). `text` writes
records as text.
"""

import os
import re
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter

from clusterdns.wire import codes
from clusterdns.wire.name import ROOT
from clusterdns.wire.presentation import generate
from clusterdns.wire.presentation.entries import Entry, ZoneTextError, entries
from clusterdns.wire.presentation.fields import rdata_from_words
from clusterdns.wire.presentation.words import name_from_word, seconds_from_word
from clusterdns.wire.record import Record, record

MAX_ZONE_BYTES = 100 * 2**20  # of the file and of all files that it includes
MAX_INCLUDE_DEPTH = 7  # as CoreDNS
MAX_GENERATED = 2**18  # records of all $GENERATE entries of a zone: every host of a /14
GENERATED_TTL = 3600  # of $GENERATE records that state none, whatever $TTL says, as in CoreDNS

_KNOWN = "$ORIGIN, $TTL, $INCLUDE and $GENERATE"
_DIRECTIVES = frozenset(("$ORIGIN", "$TTL", "$INCLUDE", "$GENERATE"))
_DIGITS = frozenset("0123456789")
_BYTE_ORDER_MARK = "\ufeff"
_CLASS = re.compile(r"IN|CS|CH|HS|CLASS\d{1,5}", re.IGNORECASE | re.ASCII)


class ZoneRecords:
    """Records of a master file in file order, each with the file and line of its entry."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.without_ttl = array("L")  # the positions of records for which the file states no TTL
        self._lines = array("L")
        self._files: list[tuple[int, str]] = []  # a position, and the file of the records from there on

    def add(self, one: Record, file: str, line: int) -> None:
        """Add a record."""
        if not self._files or self._files[-1][1] != file:
            self._files.append((len(self.records), file))
        self.records.append(one)
        self._lines.append(line)

    def place(self, position: int) -> str:
        """Return `file:line` of the record at a position."""
        at = bisect_right(self._files, position, key=itemgetter(0)) - 1
        return f"{self._files[at][1]}:{self._lines[position]}"


def record_from_text(text: str, origin: bytes = ROOT, default_ttl: int = 3600) -> Record:
    """Return the first record of the text; the rest is ignored, as by CoreDNS. Raises ZoneTextError.

    The TTL and the class are optional; a directive is an error.
    """
    reader = _Reader(origin, default_ttl)
    for entry in entries(text.strip(" \t\r\n"), ""):
        if entry.words[0].upper() in _DIRECTIVES:
            raise ZoneTextError("expected a record, found a directive; only zone files have directives", entry.line)
        try:
            return reader.record(entry.words, is_indented=False)
        except ValueError as error:
            raise ZoneTextError(str(error), entry.line) from None
    raise ZoneTextError("expected a record, found none", 1)


def zone_from_text(text: str, origin: bytes, folder: str, file: str = "") -> ZoneRecords:
    """Return the records of a master file. Raises ZoneTextError.

    Paths of `$INCLUDE` are relative to `folder`; errors name `file`. The text and all that it includes may have up to
    100 MiB.
    """
    reader = _Reader(origin, None)
    reader.read(text, folder, file, 0)
    return reader.found


class _Reader:
    """The state that one entry leaves for the next: origin, default TTL, last TTL, last owner name."""

    def __init__(self, origin: bytes, default_ttl: int | None) -> None:
        self.origin = origin
        self.default_ttl = default_ttl  # set by $TTL
        self.last_ttl: int | None = None
        self.owner: bytes | None = None
        self.found = ZoneRecords()
        self.read_bytes = 0
        self.generated = 0

    def read(self, text: str, folder: str, file: str, depth: int) -> None:
        self.read_bytes += len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
        if self.read_bytes > MAX_ZONE_BYTES:
            raise ZoneTextError(
                f"the zone is larger than {MAX_ZONE_BYTES >> 20} MiB; split it into several zones", 1, file
            )
        for entry in entries(text.removeprefix(_BYTE_ORDER_MARK), file):
            directive = entry.words[0].upper()
            try:
                if directive[0] != "$" or entry.is_indented or directive not in _DIRECTIVES:
                    self._add(entry, file)
                elif directive == "$GENERATE":
                    self._generate(entry, file)
                else:
                    self._directive(directive, entry.words[1:], folder, depth)
            except ZoneTextError:
                raise
            except ValueError as error:
                is_unknown = directive[0] == "$" and directive not in _DIRECTIVES
                problem = f"unknown directive {directive}; known are {_KNOWN}" if is_unknown else str(error)
                raise ZoneTextError(problem, entry.line, file) from None

    def record(self, words: Sequence[str], *, is_indented: bool) -> Record:
        """Read the words `owner ttl class type rdata…`. Raises ValueError."""
        position = 0 if is_indented else 1
        if not is_indented:
            self.owner = name_from_word(words[0], self.origin).lower()
        if self.owner is None:
            raise ValueError("the first record has no owner name; begin its line with a name or @")
        ttl: int | None = None
        rclass: int | None = None
        for word in words[position:]:
            position += 1
            if ttl is None and word[0] in _DIGITS:
                ttl = _ttl(word)
            elif rclass is None and _CLASS.fullmatch(word):
                rclass = codes.class_from_text(word)
            else:
                break
        else:
            raise ValueError("the entry is incomplete; it needs an owner name, a type and RDATA")
        rtype = _type(word)
        rdata = rdata_from_words(rtype, words[position:], self.origin)
        if ttl is not None:
            self.last_ttl = ttl
        else:
            ttl = self.last_ttl if self.default_ttl is None else self.default_ttl
        return record(self.owner, rtype, ttl or 0, rdata, codes.IN if rclass is None else rclass)

    def _add(self, entry: Entry, file: str) -> None:
        one = self.record(entry.words, is_indented=entry.is_indented)
        if self.last_ttl is None and self.default_ttl is None:
            self.found.without_ttl.append(len(self.found.records))
        self.found.add(one, file, entry.line)

    def _directive(self, directive: str, arguments: list[str], folder: str, depth: int) -> None:
        if not 0 < len(arguments) <= (2 if directive == "$INCLUDE" else 1):
            raise ValueError(f"{directive} with {len(arguments)} arguments")
        if directive == "$ORIGIN":
            self.origin = name_from_word(arguments[0], self.origin).lower()
        elif directive == "$TTL":
            self.default_ttl = _ttl(arguments[0])
        else:
            self._include(arguments, folder, depth)

    def _include(self, arguments: list[str], folder: str, depth: int) -> None:
        if depth >= MAX_INCLUDE_DEPTH:
            raise ValueError(
                f"$INCLUDE is nested more than {MAX_INCLUDE_DEPTH} deep; check whether a file includes itself"
            )
        path = os.path.join(folder, arguments[0].strip('"'))
        if "\0" in path or not os.path.isfile(path):
            raise ValueError(f"$INCLUDE {path}: not a regular file")
        try:
            with open(path, "rb") as file:
                raw = file.read(MAX_ZONE_BYTES + 1)  # one byte more than allowed, so that `read` refuses it
        except OSError as error:
            raise ValueError(f"cannot include {path}: {error}") from None
        outer = self.origin, self.owner, self.default_ttl, self.last_ttl
        if len(arguments) > 1:
            self.origin = name_from_word(arguments[1], self.origin).lower()
        self.read(raw.decode(errors="surrogateescape"), os.path.dirname(path), path, depth + 1)
        self.origin, self.owner, self.default_ttl, self.last_ttl = outer

    def _generate(self, entry: Entry, file: str) -> None:
        counters, template = generate.counters_and_template(entry.words[1:])
        self.generated += len(counters)
        if self.generated > MAX_GENERATED:
            raise ValueError(f"$GENERATE makes more than {MAX_GENERATED} records in one zone")
        outer = self.owner, self.default_ttl, self.last_ttl
        self.default_ttl, self.last_ttl = None, GENERATED_TTL
        for counter in counters:
            words = [generate.substituted(word, counter) for word in template]
            self.found.add(self.record(words, is_indented=False), file, entry.line)
        self.owner, self.default_ttl, self.last_ttl = outer


def _ttl(word: str) -> int:
    try:
        return seconds_from_word(word)
    except ValueError as error:
        raise ValueError(f"TTL {error}") from None


def _type(word: str) -> int:
    try:
        rtype = codes.type_from_text(word)
    except ValueError:
        rtype = _rare_type(word)
    if word[0] in _DIGITS or word == "*" or rtype in (0, codes.OPT) or 249 <= rtype <= 255:  # RFC 6895 §3.1
        raise ValueError(f"{word} is not a record type")
    return rtype


def _rare_type(word: str) -> int:
    import dns.exception
    import dns.rdatatype

    try:
        return int(dns.rdatatype.from_text(word))
    except (dns.exception.DNSException, ValueError):
        raise ValueError(f"unknown record type {word!r}; write a type without a mnemonic as TYPE<n>") from None
