"""The `local` directive: the zones of the local host, answered here and never forwarded (RFC 6761 §6.3).

A client with a search list also asks for `localhost.` followed by each of its domains; these names have the loopback
address too, unless `localhost_prefix` is off.
"""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Handler, Handling, Part, Plugin, Query, Reply
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.options import Option, read_block
from clusterdns.telemetry.metrics import Series
from clusterdns.telemetry.unlabelled import localhost_requests
from clusterdns.wire import codes, record
from clusterdns.wire.name import from_text, is_under
from clusterdns.wire.record import Record

TTL_SECONDS = 604_800
LOCALHOST = from_text("localhost.")
ZONES = (LOCALHOST, *map(from_text, ("0.in-addr.arpa.", "127.in-addr.arpa.", "255.in-addr.arpa.")))
POINTER = from_text("1.0.0.127.in-addr.arpa.")

_FIRST_LABEL = b"\x09localhost"
_LOOPBACK = {codes.A: bytes((127, 0, 0, 1)), codes.AAAA: bytes(15) + b"\x01"}
_SOA_NUMBERS = (1, 0, 0, 0, TTL_SECONDS)  # serial, refresh, retry, expire, minimum; no secondary uses them
_SOA_RDATA = LOCALHOST + from_text("root.localhost.") + b"".join(n.to_bytes(4, "big") for n in _SOA_NUMBERS)


def answer(name: bytes, qtype: int) -> Reply | None:
    """Return the answer of the local zones; None for names outside them."""
    zone = next((zone for zone in ZONES if is_under(name, zone)), None)
    if zone is None:
        return None
    exists = name == zone or is_under(POINTER, name)
    return _reply(zone, _records(name, qtype, zone), codes.NOERROR if exists else codes.NXDOMAIN)


def loopback(name: bytes, qtype: int) -> Reply:
    """Return the loopback address of a name, whatever the name is."""
    packed = _LOOPBACK.get(qtype)
    return _reply(name, (record.address(name, TTL_SECONDS, packed),) if packed else (), codes.NOERROR)


def _records(name: bytes, qtype: int, zone: bytes) -> tuple[Record, ...]:
    if name == zone and qtype == codes.SOA:
        return (_soa(zone),)
    if name == zone and qtype == codes.NS:
        return (record.ns(name, TTL_SECONDS, LOCALHOST),)
    if name == LOCALHOST and qtype in _LOOPBACK:
        return (record.address(name, TTL_SECONDS, _LOOPBACK[qtype]),)
    if name == POINTER and qtype == codes.PTR:
        return (record.ptr(name, TTL_SECONDS, LOCALHOST),)
    return ()


def _soa(zone: bytes) -> Record:
    return record.record(zone, codes.SOA, TTL_SECONDS, _SOA_RDATA)


def _reply(zone: bytes, records: tuple[Record, ...], rcode: int) -> Reply:
    return Reply(rcode, records, () if records else (_soa(zone),), is_authoritative=False, reusable=True)


def answering(intercepted: Series, prefix_is_on: bool, following: Handler) -> Handler:
    """Make the handler.

    `intercepted` counts queries for names below `localhost.` and, if the prefix is on, for names that begin with
    `localhost.`.
    """

    async def handle(query: Query) -> Reply:
        name = query.name
        has_prefix = prefix_is_on and name.startswith(_FIRST_LABEL)
        if name != LOCALHOST and (has_prefix or is_under(name, LOCALHOST)):
            intercepted.value += 1
            reply = loopback(name, query.qtype)
            reply.counted = (intercepted,)
            return reply
        return answer(name, query.qtype) or await following(query)

    return handle


def _localhost_prefix(on: bool, line: Line) -> bool:
    return values.choice(line.one_argument("on|off"), ("on", "off")) == "on"


OPTIONS = (
    Option(
        "localhost_prefix on|off",
        "on",
        "Names that begin with `localhost.`, such as `localhost.cluster.local`, have the loopback address.",
        _localhost_prefix,
    ),
)


def parse(directives: Sequence[Directive], context: BlockContext) -> bool:
    """Read `local { localhost_prefix on|off }`; return whether the prefix is on. Raises CorefileErrors."""
    for directive in directives:
        directive.no_arguments()
    return read_block(True, directives, OPTIONS)


def build(prefix_is_on: bool, context: BlockContext) -> Part:
    """Make the handler and its counter."""
    counter = localhost_requests(context.registry)
    return Part(
        "local",
        handling=Handling(wrap=lambda following: answering(counter, prefix_is_on, following), is_for_in_only=True),
    )


DOC = Doc(
    usage=("local",),
    about="Answers `localhost` and all names below it, the zones `0.in-addr.arpa`, `127.in-addr.arpa` and "
    "`255.in-addr.arpa`, and names that begin with `localhost.`.",
    options=OPTIONS,
    example="local\nwhoami",
    better="a name above an existing one is NODATA instead of NXDOMAIN (RFC 8020).",
)
PLUGIN = Plugin("local", parse, build, doc=DOC)
