"""The `forward` directive: questions that other servers answer.

Every line of a block becomes one `Forward`; all of them are one part, in file order. What the options mean while
queries are answered is in `forward_handler` and `clusterdns.upstream`; the options themselves are `forward_settings`'s.
"""

from collections.abc import Sequence

from clusterdns.chain import BlockContext, Doc, Handling, LifeCycle, Part, Plugin
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import ErrorList
from clusterdns.plugins.forward.exports import ForwardExports
from clusterdns.plugins.forward.handler import Forward, Scope, handler
from clusterdns.plugins.forward.settings import OPTIONS, Settings, read_directive
from clusterdns.telemetry.unlabelled import forward_broken, forward_rejects
from clusterdns.upstream.datagram import Datagrams
from clusterdns.upstream.pool import POLICIES, Pool
from clusterdns.upstream.server import Counters, Server, ServerSettings
from clusterdns.upstream.stream import StreamSettings

PROXY_NAME = "forward"


def parse(directives: Sequence[Directive], context: BlockContext) -> tuple[Settings, ...]:
    """`forward FROM TO… { … }`, repeatable. Host names are resolved here. Raises CorefileErrors."""
    found: list[Settings] = []
    errors = ErrorList()
    for directive in directives:
        with errors.collect():
            found.append(read_directive(directive, context))
    errors.raise_if_any()
    return tuple(found)


def build(settings: tuple[Settings, ...], context: BlockContext) -> Part:
    """One part for all lines; sockets are opened by the first query."""
    datagrams = Datagrams()
    counters = Counters(context.registry, PROXY_NAME)
    forwards = [_forward(one, datagrams, counters, context) for one in settings]

    upstreams = tuple((forward.scope.zone, server) for forward in forwards for server in forward.pool.servers)

    async def stop() -> None:
        for forward in forwards:
            await forward.close()
        datagrams.close()

    return Part(
        "forward",
        handling=Handling(wrap=lambda following: handler(forwards, following), takes_any_class=True),
        life=LifeCycle(stop=stop),
        exports=(ForwardExports(upstreams),),
    )


def _forward(settings: Settings, datagrams: Datagrams, counters: Counters, context: BlockContext) -> Forward:
    broken, rejects = forward_broken(context.registry), forward_rejects(context.registry)
    asking = ServerSettings(
        read_seconds=settings.read_seconds,
        streams=StreamSettings(
            tls=settings.tls_context,
            server_name=settings.tls_server_name,
            source=settings.source,
            expire_seconds=settings.expire_seconds,
            max_age_seconds=settings.max_age_seconds,
            max_idle=settings.max_idle,
        ),
        https_method=settings.https_method,
        has_to_stream=settings.has_to_stream,
        source=settings.source,
        max_fails=settings.max_fails,
        check_seconds=settings.check_seconds,
        check_name=settings.check_name,
        check_recurses=settings.check_recurses,
    )
    servers = [Server(address, asking, datagrams, counters) for address in settings.addresses]
    attempts = 2 * len(servers) if settings.max_attempts is None else settings.max_attempts
    pool = Pool(
        servers,
        POLICIES[settings.policy](),
        settings.read_seconds,
        attempts,
        settings.failover,
        broken,
        fails_fast=settings.fails_fast,
    )
    scope = Scope(
        settings.zone,
        settings.excluded,
        settings.next_codes,
        settings.is_nodata_next,
        may_stream=not settings.prefers_udp,
        has_to_stream=settings.has_to_stream,
    )
    return Forward(scope, pool, settings.max_concurrent, rejects)


DOC = Doc(
    usage=("forward FROM TO…",),
    about=(
        "Has names under FROM answered by other servers. TO is an address (`9.9.9.9`, `9.9.9.9:5353`, `[fd00::a]:53`, "
        "`fe80::1%eth0`), the same with `dns://`, `tls://` or `https://` in front (`tls://9.9.9.9%dns.quad9.net` says "
        "what the certificate must name; without a name it must name the address), a file in resolv.conf's form, or a "
        "host name, resolved once at the start. At most 15 are taken. Several lines are tried in file order: "
        "the first whose FROM has the name, and whose `except` has not, takes it."
    ),
    options=OPTIONS,
    example="forward . 127.0.0.53 {\n    max_concurrent 1000\n    policy sequential\n}",
    better=(
        "A reply counts only if address, port, ID and question fit, the letter case of the name included, which is "
        "random; anything else is ignored instead of answered FORMERR. Each exchange over UDP has a port of its own. "
        "The same question is asked once, however many wait for it. Over TCP and TLS at most four connections per "
        "upstream carry all questions. A truncated reply is asked again over TCP for every client. Failures carry an "
        "extended error (RFC 8914)."
    ),
)

PLUGIN = Plugin("forward", parse, build, doc=DOC)
