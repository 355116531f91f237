"""The `transfer` directive: whole zones for other name servers (RFC 5936), and NOTIFY to tell them of changes.

It holds no zone itself: the parts of its block that have one (`file`, `kubernetes`, …) are asked in plugin order. Which
messages a zone becomes is `wire.stream`'s business; what is sent to whom about changes is `transfer_notify`'s.
"""

import ipaddress
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from clusterdns.chain import BlockContext, Doc, Handler, Handling, LifeCycle, Part, Plugin, Query, Reply, failure
from clusterdns.chain.exports import ZoneSource
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.errors import ErrorList
from clusterdns.corefile.options import Option, read_block
from clusterdns.plugins.file.directive import FileZones
from clusterdns.plugins.transfer.notify import Notifier
from clusterdns.upstream.address import DNS, Address, parse_address
from clusterdns.wire import codes
from clusterdns.wire.decode import decode
from clusterdns.wire.header import Malformed
from clusterdns.wire.name import is_under, to_text
from clusterdns.wire.record import SOA_SERIAL_FROM_END, Record

ANYBODY = "*"

log = logging.getLogger("clusterdns.plugin.transfer")


@dataclass(frozen=True)
class Settings:
    """One `transfer` directive."""

    zones: tuple[bytes, ...]
    anybody: bool = False
    to: tuple[Address, ...] = ()
    source: str = ""

    def allows(self, host: str) -> bool:
        """Whether the client at this address may have the zones."""
        return self.anybody or _plain(host) in {_plain(address.host) for address in self.to}


class Transfer:
    """Answers AXFR and IXFR, and tells the listed servers of new zones."""

    def __init__(self, stanzas: Sequence[Settings], context: BlockContext) -> None:
        self._stanzas = stanzas
        self._context = context
        self._notifier = Notifier()

    def wrap(self, following: Handler) -> Handler:
        """The handler above `following`."""
        sources = self._context.exports(ZoneSource)
        for zones in self._context.exports(FileZones):
            zones.tell(self._notify)

        async def handle(query: Query) -> Reply:
            if query.qtype not in codes.TRANSFER_TYPES:
                return await following(query)
            if query.transport == "udp":
                return failure(codes.REFUSED)
            stanza = self._stanza(query.name)
            if stanza is None:
                return await following(query)
            return _answer(query, stanza, sources) or await following(query)

        return handle

    async def serving(self) -> None:
        """Tell of every zone that is there, once it can be asked for."""
        for zones in self._context.exports(FileZones):
            for zone, file in zones.files.items():
                if file.tree is not None:
                    self._notify(zone)

    async def stop(self) -> None:
        """Tell nobody any more."""
        await self._notifier.stop()

    def _stanza(self, name: bytes) -> Settings | None:
        """The one with the longest zone that the name is in."""
        matching = [(len(zone), one) for one in self._stanzas for zone in one.zones if is_under(name, zone)]
        return max(matching, key=lambda pair: pair[0])[1] if matching else None

    def _notify(self, zone: bytes) -> None:
        stanza = self._stanza(zone)
        if stanza is not None:
            self._notifier.notify(zone, stanza.to, stanza.source)


def _answer(query: Query, stanza: Settings, sources: Sequence[ZoneSource]) -> Reply | None:
    """The transfer, or its refusal; None where nobody here has the zone."""
    client = query.client[0]
    if not stanza.allows(client):
        return Reply(codes.REFUSED, is_authoritative=False)
    known_serial = None
    if query.qtype == codes.IXFR:
        known_serial = _known_serial(query)
        if known_serial is None:
            return failure(codes.SERVFAIL)
    records = next((one for one in (source.zone_records(query.name) for source in sources) if one is not None), None)
    if records is None:
        return None
    stream: Iterator[Record] = iter(records)
    soa = next(stream, None)
    if soa is None:
        return failure(codes.SERVFAIL, f"zone {to_text(query.name)} is not loaded")
    reply = Reply(codes.NOERROR, (soa,))
    serial = _serial(soa)
    if known_serial is not None and (known_serial - serial) & 0xFFFFFFFF < 1 << 31:  # RFC 1995 §2, RFC 1982 §3.2
        log.info("Outgoing noop, %s to %s has serial %d", to_text(query.name), client, known_serial)
    else:
        log.info("Outgoing transfer of zone %s to %s, serial %d", to_text(query.name), client, serial)
        reply.stream = chain((soa,), stream)
    return reply


def _known_serial(query: Query) -> int | None:
    """The serial that an IXFR tells, of the one SOA in its authority section (RFC 1995 §3)."""
    try:
        authority = decode(query.packet).authority
    except Malformed:
        return None
    if len(authority) != 1 or authority[0].rtype != codes.SOA:
        return None
    return _serial(authority[0])


def _serial(soa: Record) -> int:
    return int.from_bytes(soa.body[-SOA_SERIAL_FROM_END:][:4], "big")


def _plain(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address without its scope; one that is IPv4 inside of IPv6 as IPv4."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def parse(directives: Sequence[Directive], context: BlockContext) -> tuple[Settings, ...]:
    """`transfer [ZONES…] { to …; source … }`, any number of them. Raises CorefileError."""
    errors = ErrorList()
    stanzas = []
    for directive in directives:
        with errors.collect():
            zones = lenient.zones(directive.args, context.zones)
            stanza = read_block(Settings(zones), (directive,), OPTIONS)
            if not stanza.to and not stanza.anybody:
                raise directive.error("'to' is required", "write 'to ADDRESS…', or 'to *' for everybody")
            stanzas.append(stanza)
    errors.raise_if_any()
    return tuple(stanzas)


def _to(settings: Settings, line: Line) -> Settings:
    for token in line.arguments_between(1, None, "ADDRESS…"):
        if token.text == ANYBODY:
            settings = replace(settings, anybody=True)
            continue
        try:
            address = parse_address(DNS, token.text)
        except ValueError as error:
            raise token.error(str(error), "write an address such as 10.0.0.53 or 10.0.0.53:5353") from error
        if address is None:
            raise token.error(f"must specify an IP address: {token}", "write one such as 10.0.0.53, or *")
        settings = replace(settings, to=(*settings.to, address))
    return settings


def _source(settings: Settings, line: Line) -> Settings:
    if settings.source:
        raise line.error(f"source is already {settings.source}", "name one address")
    return replace(settings, source=str(values.ip(line.one_argument("ADDRESS"))))


OPTIONS: tuple[Option[Settings], ...] = (
    Option(
        "to ADDRESS…",
        "",
        "Who may have the zones, and is told of changes: addresses, with a port for NOTIFY; `*` is everybody, who is "
        "told of nothing. Required.",
        _to,
    ),
    Option("source ADDRESS", "the system's choice", "The address that NOTIFY is sent from.", _source),
)


def build(settings: tuple[Settings, ...], context: BlockContext) -> Part:
    """The handler, and who is told."""
    transfer = Transfer(settings, context)
    return Part(
        "transfer",
        handling=Handling(wrap=transfer.wrap, is_for_in_only=True),
        life=LifeCycle(serving=transfer.serving, stop=transfer.stop),
    )


PLUGIN = Plugin(
    "transfer",
    parse,
    build,
    doc=Doc(
        usage=("transfer [ZONES…]",),
        about="Gives ZONES, or the zones of the block, to other name servers: AXFR and IXFR over TCP, of what `file` "
        "and `kubernetes` of the same block hold. Of several directives the one with the longest zone holds. An IXFR "
        "of who is up to date is one SOA, any other the whole zone. Servers that are listed get NOTIFY when a zone "
        "of `file` is loaded or read again.",
        options=OPTIONS,
        example="transfer example.org {\n    to 10.0.0.53 10.0.1.53:5353\n    source 10.0.0.10\n}\n"
        "file /etc/clusterdns/db.example.org example.org",
        better="A large zone is sent piece by piece, as fast as it is taken, and other clients are answered meanwhile.",
    ),
)
