"""The `forward` directive: queries that upstream servers answer.

Every line of a block becomes one `Forward`; all of them are one part, in file order. `parse` reads a line, `handler`
answers queries, and `clusterdns.upstream` asks the upstreams.
"""

from collections.abc import Sequence
from typing import Any

from clusterdns.chain import BlockContext, Doc, Handling, LifeCycle, Part, Plugin, Query
from clusterdns.chain.exports import Deciding, Decision, StatusSection
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import ErrorList
from clusterdns.host.resources import descriptor_shares
from clusterdns.plugins.forward.exports import ForwardExports
from clusterdns.plugins.forward.handler import Forward, handler
from clusterdns.plugins.forward.options import OPTIONS
from clusterdns.plugins.forward.parse import read_directive
from clusterdns.plugins.forward.settings import ForwardSettings
from clusterdns.telemetry.unlabelled import forward_broken, forward_rejects
from clusterdns.upstream.datagram import UdpExchanges
from clusterdns.upstream.flight import FlightLimit
from clusterdns.upstream.pool import UpstreamPool
from clusterdns.upstream.server import Upstream, UpstreamMetrics
from clusterdns.wire.name import to_text

PROXY_NAME = "forward"


def parse(directives: Sequence[Directive], context: BlockContext) -> tuple[ForwardSettings, ...]:
    """Parse `forward FROM TO… { … }`, any number of them; host names are resolved here. Raises CorefileErrors."""
    found: list[ForwardSettings] = []
    errors = ErrorList()
    for directive in directives:
        with errors.collect():
            found.append(read_directive(directive, context))
    errors.raise_if_any()
    return tuple(found)


def build(lines: tuple[ForwardSettings, ...], context: BlockContext) -> Part:
    """Make one part of all lines; the first query opens sockets."""
    udp = UdpExchanges()
    metrics = UpstreamMetrics(context.registry, PROXY_NAME)
    forwards = [_forward(settings, udp, metrics, context) for settings in lines]
    upstreams = tuple((forward.scope.zone, server) for forward in forwards for server in forward.pool.servers)

    async def stop() -> None:
        for forward in forwards:
            await forward.close()
        udp.close()

    return Part(
        "forward",
        handling=Handling(wrap=lambda following: handler(forwards, following), takes_any_class=True),
        life=LifeCycle(stop=stop),
        exports=(
            ForwardExports(upstreams),
            StatusSection("upstreams", lambda: map(_status_row, upstreams)),
            Deciding(lambda query: _scope(forwards, query)),
        ),
    )


def _forward(settings: ForwardSettings, udp: UdpExchanges, metrics: UpstreamMetrics, context: BlockContext) -> Forward:
    servers = [Upstream(address, settings.transport, settings.health, udp, metrics) for address in settings.addresses]
    pool = UpstreamPool(servers, settings.pool, forward_broken(context.registry))
    limit = context.shared.keep("questions under way", _flight_limit)
    return Forward(settings, pool, limit, forward_rejects(context.registry))


def _flight_limit() -> FlightLimit:
    """Make the limit that all upstreams of the process share, as each question has a socket."""
    return FlightLimit(descriptor_shares().upstream)


def _scope(forwards: Sequence[Forward], query: Query) -> Decision:
    """Describe the line that takes a query, with the health of its upstreams."""
    forward = next((one for one in forwards if one.scope.takes(query.name)), None)
    if forward is None:
        return Decision("no line takes this name")
    several = ", ".join(f"{one.text} ({_health(one)})" for one in forward.pool.servers)
    return Decision(f"names under {to_text(forward.scope.zone)} go to {several}", forward.place)


def _health(upstream: Upstream) -> str:
    return "loops" if upstream.is_looping else "down" if upstream.is_down else "up"


def _status_row(one: tuple[bytes, Upstream]) -> dict[str, Any]:
    zone, upstream = one
    return {
        "zone": to_text(zone),
        "to": upstream.text,
        "transport": upstream.address.transport,
        "health": _health(upstream),
        "failed_checks": upstream.fails,
    }


DOC = Doc(
    usage=("forward FROM TO…",),
    about=(
        "Forwards queries for names under FROM to other servers. TO is an address (`9.9.9.9`, `9.9.9.9:5353`, "
        "`[fd00::a]:53`, `fe80::1%eth0`), an address behind `dns://`, `tls://` or `https://` (the certificate must "
        "have the address, or the name after `%`: `tls://9.9.9.9%dns.quad9.net`), a file in resolv.conf's form, or a "
        "host name, which is resolved once at the start. A line takes at most 15. Of several lines the first, in file "
        "order, whose FROM includes the name and whose `except` does not, answers."
    ),
    options=OPTIONS,
    example="forward . 127.0.0.53 {\n    max_concurrent 1000\n    policy sequential\n}",
    better=(
        "A reply counts only if its address, port, ID and question match, including the random case of the name "
        "(0x20); any other is ignored, where CoreDNS answers FORMERR. Each exchange over UDP has its own port. The "
        "same question is asked once, however many clients wait for it. Over TCP and TLS at most four connections per "
        "upstream carry all questions. A truncated reply is asked again over TCP for every client. Failures carry an "
        "extended error (RFC 8914)."
    ),
)

PLUGIN = Plugin("forward", parse, build, doc=DOC)
