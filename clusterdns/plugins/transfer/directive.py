"""The `transfer` directive: whole zones for secondaries (RFC 5936), and NOTIFY when a zone has changed.

`transfer` holds no zone. It asks the other parts of its block (`file`, `kubernetes`, …), in plugin order, for the
records of the zone. `wire.stream` divides the records into messages; `notify` sends NOTIFY.
"""

import logging
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from itertools import chain

import msgspec
from msgspec.structs import replace

from clusterdns.chain import BlockContext, Doc, Handler, Handling, LifeCycle, Part, Plugin, Query, Reply, failure
from clusterdns.chain.exports import ZoneSource
from clusterdns.chain.query import plain_ip
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.errors import ErrorList
from clusterdns.corefile.options import Option, read_block
from clusterdns.plugins.file.zones import FileZones
from clusterdns.plugins.transfer.notify import Notifier
from clusterdns.upstream.address import DNS, Address, parse_address
from clusterdns.upstream.messages import read_message
from clusterdns.wire import codes
from clusterdns.wire.header import Malformed
from clusterdns.wire.name import longest_suffix, to_text
from clusterdns.wire.record import SOA_SERIAL_FROM_END, Record

ANY_CLIENT = "*"

log = logging.getLogger("clusterdns.plugin.transfer")


class TransferSettings(msgspec.Struct, frozen=True):
    """One `transfer` directive."""

    zones: tuple[bytes, ...]
    allows_any: bool = False
    secondaries: tuple[Address, ...] = ()  # may transfer the zones, and get NOTIFY
    source: str = ""  # the local address of NOTIFY; empty: the system's choice

    def allows(self, client: IPv4Address | IPv6Address) -> bool:
        """Return whether the client at this address may transfer the zones."""
        return self.allows_any or client in {plain_ip(address.host) for address in self.secondaries}


class Transfer:
    """The answers to AXFR and IXFR in one block, and the NOTIFY messages to its secondaries."""

    def __init__(self, stanzas: Sequence[TransferSettings], context: BlockContext) -> None:
        self._stanzas = {zone: one for one in reversed(stanzas) for zone in one.zones}  # of equal zones the first
        self._context = context
        self._notifier = Notifier()

    def wrap(self, following: Handler) -> Handler:
        """Return the handler; `following` gets every query that does not ask for a transfer."""
        sources = self._context.exports(ZoneSource)

        async def handle(query: Query) -> Reply:
            if query.qtype not in codes.TRANSFER_TYPES:
                return await following(query)
            if query.transport == "udp":
                return failure(codes.REFUSED, "zone transfers are answered over TCP only", codes.EDE_NOT_SUPPORTED)
            stanza = self._stanza(query.name)
            if stanza is None:
                return await following(query)
            return _answer(query, stanza, sources) or await following(query)

        return handle

    async def start(self) -> None:
        """Send NOTIFY whenever a zone file has a new serial."""
        for zones in self._context.exports(FileZones):
            zones.subscribe(self._notify)

    async def serving(self) -> None:
        """Send NOTIFY for every zone that is loaded, once secondaries can ask for it."""
        for zones in self._context.exports(FileZones):
            for zone, file in zones.files.items():
                if file.tree is not None:
                    self._notify(zone)

    async def stop(self) -> None:
        """Cancel the NOTIFY messages under way."""
        await self._notifier.stop()

    def _stanza(self, name: bytes) -> TransferSettings | None:
        """Return the directive with the longest zone that contains the name."""
        zone = longest_suffix(name, self._stanzas)
        return None if zone is None else self._stanzas[zone]

    def _notify(self, zone: bytes) -> None:
        stanza = self._stanza(zone)
        if stanza is not None:
            self._notifier.notify(zone, stanza.secondaries, stanza.source)


def _answer(query: Query, stanza: TransferSettings, sources: Sequence[ZoneSource]) -> Reply | None:
    """Answer with the zone or a refusal; None where no part of the block has the zone."""
    client = query.client_text
    if not stanza.allows(query.client_ip):
        reply = failure(codes.REFUSED, "this client may not transfer the zone", codes.EDE_PROHIBITED)
        reply.is_written = True
        return reply
    known_serial = None
    if query.qtype == codes.IXFR:
        known_serial = _known_serial(query)
        if known_serial is None:
            cause = "IXFR without the client's SOA in the authority section"
            return failure(codes.SERVFAIL, cause, codes.EDE_INVALID_DATA)
    records = next((one for one in (source.zone_records(query.name) for source in sources) if one is not None), None)
    if records is None:
        return None
    stream: Iterator[Record] = iter(records)
    soa = next(stream, None)
    if soa is None:
        return failure(codes.SERVFAIL, f"zone {to_text(query.name)} is not loaded", codes.EDE_NOT_READY)
    reply = Reply(codes.NOERROR, (soa,))
    serial = _serial(soa)
    if known_serial is not None and (known_serial - serial) & 0xFFFFFFFF < 1 << 31:  # RFC 1995 §2, RFC 1982 §3.2
        log.info("Outgoing noop, %s to %s has serial %d", to_text(query.name), client, known_serial)
    else:
        log.info("Outgoing transfer of zone %s to %s, serial %d", to_text(query.name), client, serial)
        reply.stream = chain((soa,), stream)
    return reply


def _known_serial(query: Query) -> int | None:
    """Read the serial that the client has, from the one SOA in an IXFR's authority section (RFC 1995 §3)."""
    try:
        authority = read_message(query.packet).auth
    except Malformed:
        return None
    if len(authority) != 1 or authority[0].rtype != codes.SOA:
        return None
    return int(authority[0].rdata.times[0])


def _serial(soa: Record) -> int:
    """Read the serial of an SOA of ours."""
    return int.from_bytes(soa.body[-SOA_SERIAL_FROM_END:][:4], "big")


def parse(directives: Sequence[Directive], context: BlockContext) -> tuple[TransferSettings, ...]:
    """Parse `transfer [ZONES…] { to …; source … }`, any number of them. Raises CorefileErrors."""
    errors = ErrorList()
    stanzas = []
    for directive in directives:
        with errors.collect():
            zones = lenient.zones(directive.args, context.zones)
            stanza = read_block(TransferSettings(zones), (directive,), OPTIONS)
            if not stanza.secondaries and not stanza.allows_any:
                raise directive.error("'to' is required", "write 'to ADDRESS…', or 'to *' for any client")
            stanzas.append(stanza)
    errors.raise_if_any()
    return tuple(stanzas)


def _to(settings: TransferSettings, line: Line) -> TransferSettings:
    for token in line.arguments_between(1, None, "ADDRESS…"):
        if token.text == ANY_CLIENT:
            settings = replace(settings, allows_any=True)
            continue
        try:
            address = parse_address(DNS, token.text)
        except ValueError as error:
            raise token.error(str(error), "write an address such as 10.0.0.53 or 10.0.0.53:5353") from error
        if address is None:
            raise token.error(f"must specify an IP address: {token}", "write one such as 10.0.0.53, or *")
        settings = replace(settings, secondaries=(*settings.secondaries, address))
    return settings


def _source(settings: TransferSettings, line: Line) -> TransferSettings:
    if settings.source:
        raise line.error(f"source is already {settings.source}", "name one address")
    return replace(settings, source=str(values.ip(line.one_argument("ADDRESS"))))


OPTIONS: tuple[Option[TransferSettings], ...] = (
    Option(
        "to ADDRESS…",
        "",
        "The secondaries, which may transfer the zones and get NOTIFY: addresses, with a port for NOTIFY. `*` allows "
        "every client and notifies none. Required.",
        _to,
    ),
    Option("source ADDRESS", "the system's choice", "The address that NOTIFY is sent from.", _source),
)


def build(settings: tuple[TransferSettings, ...], context: BlockContext) -> Part:
    """Make the part of a block's `transfer` directives."""
    transfer = Transfer(settings, context)
    return Part(
        "transfer",
        handling=Handling(wrap=transfer.wrap, is_for_in_only=True),
        life=LifeCycle(start=transfer.start, serving=transfer.serving, stop=transfer.stop),
    )


PLUGIN = Plugin(
    "transfer",
    parse,
    build,
    doc=Doc(
        usage=("transfer [ZONES…]",),
        about="Transfers ZONES, or the zones of the block, to secondaries: AXFR and IXFR over TCP, of the zones that "
        "`file` and `kubernetes` of the same block hold. Of several directives the one with the longest zone applies. "
        "An IXFR from a secondary that is up to date gets one SOA, any other the whole zone. Listed secondaries get "
        "NOTIFY when `file` loads a zone or loads it again.",
        options=OPTIONS,
        example="transfer example.org {\n    to 10.0.0.53 10.0.1.53:5353\n    source 10.0.0.10\n}\n"
        "file /etc/clusterdns/db.example.org example.org",
        better="A large zone is sent in pieces, as fast as the client reads, and other clients are answered meanwhile.",
    ),
)
