"""The `k8s_external` directive: Services by their external addresses, in zones for clients outside the cluster.

The index is that of `kubernetes` in the same block, `index.external` looks names up, and `kubernetes.handler` makes the
replies, as for the cluster's own names.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

import msgspec
from msgspec.structs import replace

from clusterdns.chain import BlockContext, Doc, Handler, Handling, LifeCycle, Part, Plugin
from clusterdns.chain.exports import HeldQuestions, ZoneSource
from clusterdns.chain.fallthrough import NO_FALLTHROUGH, Fallthrough, fallthrough_option
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.external import HOSTMASTER_LABEL, ExternalZone
from clusterdns.cluster.turns import LoopTurns
from clusterdns.corefile import lenient, values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.options import Option, read_block
from clusterdns.plugins.kubernetes.exports import ClusterExports
from clusterdns.plugins.kubernetes.handler import ClusterHandler
from clusterdns.wire import codes, record
from clusterdns.wire.name import MAX_NAME_BYTES, from_text, is_reverse
from clusterdns.wire.record import Record

MAX_TTL_SECONDS = 3600

_TYPES = (codes.A, codes.AAAA, codes.SRV, codes.PTR)


class ExternalSettings(msgspec.Struct, frozen=True):
    """The options of all `k8s_external` directives of a block, and the zones of the last one."""

    zones: tuple[bytes, ...] = ()
    apex: bytes = b"\x03dns"  # labels in wire format
    ttl_seconds: int = 5
    headless: bool = False
    fallthrough: Fallthrough = NO_FALLTHROUGH

    @property
    def primary(self) -> bytes:
        """The zone that PTR records point into."""
        return next((zone for zone in self.zones if not is_reverse(zone)), self.zones[0])


class ExternalZones:
    """The zones of one block, over the index that `kubernetes` exports; to be asked when every part is built."""

    def __init__(self, settings: ExternalSettings, context: BlockContext) -> None:
        self._settings = settings
        self._context = context

    @cached_property
    def _cluster(self) -> ClusterExports:
        cluster = self._context.export(ClusterExports)
        if cluster is None:
            raise RuntimeError("kubernetes is in the block, but has no exports")
        return cluster

    @cached_property
    def _zones(self) -> dict[bytes, ExternalZone]:
        cluster = self._cluster
        settings = self._settings
        return {
            zone: ExternalZone(
                zone,
                cluster.index,
                primary=settings.primary,
                apex=settings.apex,
                ttl_seconds=settings.ttl_seconds,
                headless=settings.headless,
                local_addresses=cluster.local_addresses,
            )
            for zone in settings.zones
        }

    def handler(self, following: Handler) -> Handler:
        """Make the handler; `following` gets the names of other zones."""
        zones = tuple(self._zones.values())
        settings = self._settings
        return ClusterHandler(
            zones, settings.ttl_seconds, settings.fallthrough, following, unready=self._cluster.unready
        )

    async def fill(self) -> None:
        """Have the index know the Services by their external addresses, which reverse zones need."""
        if any(map(is_reverse, self._settings.zones)):
            turns = LoopTurns()
            turns.begin()
            await turns.take(self._cluster.index.fill_external())

    def zone_records(self, zone: bytes) -> Iterator[Record] | None:
        """Yield the zone from SOA to SOA, or nothing while the index is not synced; None for an unknown zone."""
        one = self._zones.get(zone)
        if one is None:
            return None
        return _records(one, one.index) if one.index.synced else iter(())

    def questions(self) -> Iterator[tuple[bytes, int]]:
        """Yield the name and type of each record (see `chain.exports.HeldQuestions`)."""
        return ((one.name, one.rtype) for zone in self._settings.zones for one in self.zone_records(zone) or ())


def _records(zone: ExternalZone, index: Index) -> Iterator[Record]:
    """Yield each record once. A name with a CNAME has no other records (RFC 1034 §3.6.2)."""
    soa = zone.soa.with_serial(index.serial.wire)
    yield soa
    servers = zone.find(zone.zone, codes.NS)
    yield from (*servers.records, *servers.additional)
    for qname in zone.names():
        for qtype in _TYPES:
            found = zone.find(qname, qtype)
            if found.cname:
                yield record.cname(qname, zone.ttl_seconds, found.cname)
                break
            yield from found.records
    yield soa


def _apex(settings: ExternalSettings, line: Line) -> ExternalSettings:
    word = lenient.first_argument(line, "NAME")
    try:
        return replace(settings, apex=from_text(word.text)[:-1])
    except ValueError as error:
        raise word.error(f"{word} is not a domain name: {error}", "write one label such as dns") from error


def _ttl(settings: ExternalSettings, line: Line) -> ExternalSettings:
    return replace(settings, ttl_seconds=values.integer(lenient.first_argument(line, "SECONDS"), 0, MAX_TTL_SECONDS))


def _headless(settings: ExternalSettings, line: Line) -> ExternalSettings:
    line.no_arguments()
    return replace(settings, headless=True)


OPTIONS: tuple[Option[ExternalSettings], ...] = (
    Option(
        "apex NAME",
        "dns",
        "The label in the names of the zone's server and hostmaster: `ns1.NAME.ZONE`, `hostmaster.NAME.ZONE`.",
        _apex,
    ),
    Option("ttl SECONDS", "5", "0 to 3600.", _ttl),
    Option(
        "headless",
        "off",
        "Services without external addresses: the endpoints of headless ones, and those of all by endpoint name.",
        _headless,
    ),
    fallthrough_option("off", "Names that do not exist are the next plugin's, in these zones or in all."),
)


def parse(directives: Sequence[Directive], context: BlockContext) -> ExternalSettings:
    """`k8s_external [ZONES…] { options }`; without zones those of the block. Raises CorefileError."""
    settings = read_block(ExternalSettings(), directives, OPTIONS)
    directive = directives[-1]
    if "kubernetes" not in context.directive_names:
        hint = "add 'kubernetes' to the block; k8s_external takes its Services from it"
        raise directive.error("kubernetes plugin not loaded", hint)
    zones = lenient.zones(directive.args, context.zones)
    longest = max(map(len, zones), default=0) + len(settings.apex) + 1 + len(HOSTMASTER_LABEL)
    if longest > MAX_NAME_BYTES:
        raise directive.error("the name of the zone's hostmaster is too long", "choose a shorter apex or zone")
    return replace(settings, zones=zones)


def build(settings: ExternalSettings, context: BlockContext) -> Part:
    """Build the part."""
    zones = ExternalZones(settings, context)
    return Part(
        "k8s_external",
        handling=Handling(wrap=zones.handler, is_for_in_only=True),
        life=LifeCycle(start=zones.fill),
        exports=(ZoneSource(zones.zone_records), HeldQuestions(zones.questions)),
    )


DOC = Doc(
    usage=("k8s_external [ZONES…]",),
    about="Answers SERVICE.NAMESPACE.ZONE with the external addresses of a Service: its externalIPs, and what its load "
    "balancer has. Reverse zones among ZONES name these addresses. Needs `kubernetes` in the same block, whose "
    "namespaces hold here as well; `transfer` can send the zones.",
    options=OPTIONS,
    example="kubernetes cluster.local {\n    kubeconfig /etc/clusterdns/kubeconfig\n}\n"
    "k8s_external example.org {\n    headless\n    ttl 30\n}",
    better="`ttl` holds for every record; a name with one label too many does not exist; a load balancer's host name "
    "is the answer to CNAME as well; each record of a transfer comes once.",
)
PLUGIN = Plugin("k8s_external", parse, build, doc=DOC)
