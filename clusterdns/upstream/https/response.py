"""An HTTP response of an upstream: whether it holds a DNS message, and how old that is."""

from collections.abc import Iterable
from typing import NamedTuple

from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.wire import codes
from clusterdns.wire.decode import Message
from clusterdns.wire.record import Record

MEDIA_TYPE = "application/dns-message"
_MAX_AGE_DIGITS = 10  # a TTL has no more
_OK = 200


class HttpResponse(NamedTuple):
    """A whole response, with the header fields that matter here; empty where the response lacks one."""

    status: int
    content_type: str
    age: str
    body: bytes

    def message(self, where: str) -> bytes:
        """Return the DNS message. Raises ExchangeFailed where the response has none."""
        if self.status != _OK or self.content_type.partition(";")[0].strip().lower() != MEDIA_TYPE:
            raise ExchangeFailed(f"{where}: status {self.status}, {self.content_type or 'no content type'}")
        return self.body

    @property
    def age_seconds(self) -> int:
        """Return how long HTTP caches have kept the response; 0 where the field is missing or invalid."""
        text = self.age.strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_AGE_DIGITS else 0


def aged(message: Message, seconds: int) -> Message:
    """Return the message with its TTLs lowered by the age of the HTTP response (RFC 8484 §5.1)."""
    if not seconds:
        return message
    return message._replace(
        answer=_aged(message.answer, seconds),
        authority=_aged(message.authority, seconds),
        additional=_aged(message.additional, seconds),
    )


def _aged(records: Iterable[Record], seconds: int) -> tuple[Record, ...]:
    return tuple([one.with_ttl(max(0, _lifetime(one) - seconds)) for one in records])


def _lifetime(one: Record) -> int:
    """Return the TTL of a record; of a SOA that of the negative answers that it limits (RFC 2308 §5)."""
    return min(one.ttl, int.from_bytes(one.body[-4:], "big")) if one.rtype == codes.SOA else one.ttl
