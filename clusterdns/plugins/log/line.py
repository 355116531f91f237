"""The lines of the query log: a format with placeholders, compiled once into text and functions.

Log pipelines parse these lines, so formats and placeholders are an interface and equal CoreDNS's. A metadata
placeholder (`{/label}`) shows `-` if the label is not set, hence always without the `metadata` directive.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from clusterdns.chain import Query, Reply
from clusterdns.chain.reply_type import reply_class, reply_type
from clusterdns.telemetry.logs import bracketed, seconds_text
from clusterdns.wire import codes
from clusterdns.wire.encode import encode, uncompressed_size
from clusterdns.wire.header import CD, CLASSIC_UDP_BYTES, HEADER_BYTES, MAX_STREAM_BYTES, OPT_BYTES, RD
from clusterdns.wire.name import to_text

COMMON_FORMAT = (
    '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} '
    "{duration}"
)
COMBINED_FORMAT = COMMON_FORMAT + ' "{>opcode}"'

_UNSET = "-"
_PLACEHOLDER = re.compile(r"(\{[^{}]*\})")


class LogEntry(NamedTuple):
    """One query with its reply, and the time from one to the other."""

    query: Query
    reply: Reply
    nanoseconds: int


class JsonFormat:
    """A format of one JSON object per query: the fields of the common format, and the time of the reply."""

    def __call__(self, entry: LogEntry) -> str:
        """Return the object on one line."""
        query, reply = entry.query, entry.reply
        shown = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "client": bracketed(query.client_text),
            "port": query.client[1],
            "id": int.from_bytes(query.id, "big"),
            "type": codes.type_text(query.effective.qtype),
            "class": codes.class_text(query.effective.qclass),
            "name": to_text(query.name),
            "proto": query.transport,
            "size": query_bytes(entry),
            "do": query.do,
            "bufsize": buffer_bytes(entry),
            "rcode": None if reply.is_dropped else _rcode(reply),
            "rflags": [] if reply.is_dropped else reply_flags(entry),
            "rsize": reply_bytes(entry),
            "duration_seconds": entry.nanoseconds / 1e9,
        }
        return json.dumps(shown, separators=(",", ":"))


class QueryLine:
    """The log message of one query: a line in the rule's format, or the fields of CoreDNS's JSON log."""

    def __init__(self, entry: LogEntry, line_format: Callable[[LogEntry], str]) -> None:
        self._entry = entry
        self._format = line_format

    def __str__(self) -> str:
        """Format the line."""
        return self._format(self._entry)

    def fields(self) -> dict[str, object]:
        """Return the fields for `-log-format json`; `msg` is in the common format where the rule has `json`."""
        query, reply = self._entry.query, self._entry.reply
        text_format = LineFormat(COMMON_FORMAT) if isinstance(self._format, JsonFormat) else self._format
        return {
            "msg": text_format(self._entry),
            "plugin": "log",
            "client_ip": query.client_text,
            "client_port": query.client[1],
            "qname": to_text(query.name),
            "qtype": codes.type_text(query.effective.qtype),
            "qclass": codes.class_text(query.effective.qclass),
            "protocol": query.transport,
            "id": int.from_bytes(query.id, "big"),
            "opcode": query.flags >> 11 & 0xF,
            "request_size": query_bytes(self._entry),
            "dnssec_ok": query.do,
            "bufsize": buffer_bytes(self._entry),
            "rcode": None if reply.is_dropped else _rcode(reply),
            "response_size": reply_bytes(self._entry),
            "duration_seconds": self._entry.nanoseconds / 1e9,
        }


class LineFormat:
    """A format with placeholders, compiled."""

    def __init__(self, text: str) -> None:
        """Compile a format. `{common}` and `{combined}` stand for those formats; unknown words are literal text."""
        text = text.replace("{common}", COMMON_FORMAT).replace("{combined}", COMBINED_FORMAT)
        self._pieces: list[str | Callable[[LogEntry], str]] = [
            _piece(word) for word in _PLACEHOLDER.split(text) if word
        ]

    def __call__(self, entry: LogEntry) -> str:
        """Return the line for an entry."""
        return "".join([piece if isinstance(piece, str) else piece(entry) for piece in self._pieces])


def _piece(word: str) -> str | Callable[[LogEntry], str]:
    if word.startswith("{/"):
        label = word[2:-1]
        return lambda entry: label_value(entry, label)
    return _FIELDS.get(word, word)


def label_value(entry: LogEntry, label: str) -> str:
    """Return a label of the query's metadata, or `-`; `log/type` and `log/class` follow from the reply."""
    known = entry.query.labels
    if known is None:
        return _UNSET
    if label == "log/type":
        return reply_type(entry.query, entry.reply).value
    if label == "log/class":
        return reply_class(entry.query, entry.reply)
    return known.get(label, _UNSET)


def query_bytes(entry: LogEntry) -> int:
    """Return the size of the query as plugins changed it, which may differ from the size of the packet."""
    query = entry.query.effective
    edns_bytes = OPT_BYTES + len(query.options) if query.has_edns else 0
    return HEADER_BYTES + len(query.question) + edns_bytes


def buffer_bytes(entry: LogEntry) -> int:
    """Return the size of replies that the client accepts (RFC 6891 §6.2.3)."""
    if entry.query.transport != "udp":
        return MAX_STREAM_BYTES
    return max(entry.query.udp_bytes, CLASSIC_UDP_BYTES)


def _rcode(reply: Reply) -> str:
    return codes.RCODE_NAMES.get(reply.rcode) or str(reply.rcode)


def reply_bytes(entry: LogEntry) -> int:
    """Return the size of the reply before compression and truncation; 0 if no reply is sent."""
    return 0 if entry.reply.is_dropped else uncompressed_size(entry.query, entry.reply)


def _is_truncated(entry: LogEntry) -> bool:
    """Return whether the reply is truncated to fit the client; encodes it only if it may be too large."""
    return reply_bytes(entry) > entry.query.size_limit and encode(entry.query, entry.reply).is_truncated


def reply_flags(entry: LogEntry) -> list[str]:
    """Return the flags of the reply, in the order of the header."""
    reply, flags = entry.reply, entry.query.flags
    shown = ["qr"]
    if reply.is_authoritative:
        shown.append("aa")
    if reply.is_truncated or _is_truncated(entry):
        shown.append("tc")
    if flags & RD:
        shown.append("rd")
    if reply.recursion_available:
        shown.append("ra")
    if reply.is_authentic:
        shown.append("ad")
    if flags & CD:
        shown.append("cd")
    return shown


_FIELDS: dict[str, Callable[[LogEntry], str]] = {
    "{type}": lambda entry: codes.type_text(entry.query.effective.qtype),
    "{class}": lambda entry: codes.class_text(entry.query.effective.qclass),
    "{name}": lambda entry: to_text(entry.query.name),
    "{proto}": lambda entry: entry.query.transport,
    "{remote}": lambda entry: bracketed(entry.query.client_text),
    "{local}": lambda entry: bracketed(entry.query.server_text),
    "{port}": lambda entry: str(entry.query.client[1]),
    "{size}": lambda entry: str(query_bytes(entry)),
    "{>id}": lambda entry: str(int.from_bytes(entry.query.id, "big")),
    "{>opcode}": lambda entry: str(entry.query.flags >> 11 & 0xF),
    "{>do}": lambda entry: "true" if entry.query.do else "false",
    "{>bufsize}": lambda entry: str(buffer_bytes(entry)),
    "{rcode}": lambda entry: _UNSET if entry.reply.is_dropped else _rcode(entry.reply),
    "{>rflags}": lambda entry: _UNSET if entry.reply.is_dropped else ",".join(reply_flags(entry)),
    "{rsize}": lambda entry: str(reply_bytes(entry)),
    "{duration}": lambda entry: seconds_text(entry.nanoseconds) + "s",
}
