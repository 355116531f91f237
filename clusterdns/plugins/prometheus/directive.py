"""The `prometheus` directive: serves /metrics, and has its block's queries counted in coredns_dns_*.

Every address serves all metrics of the process. `server.dispatch` counts queries through `telemetry.queries`; this
directive has no handler in the chain.
"""

import platform
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

import clusterdns
from clusterdns.admin.metrics_page import MetricsPage
from clusterdns.admin.tls import AdminTls
from clusterdns.chain import BlockContext, Doc, Handling, LifeCycle, Part, Plugin
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.telemetry import queries

DEFAULT_ADDRESS = "localhost:9153"
PATH = "/metrics"

# directives without a handler in the chain, which CoreDNS does not list as enabled
_OUTSIDE_CHAIN = frozenset({
    "bind", "dashboard", "debug", "grpc_server", "health", "https", "https3", "multisocket", "on", "pprof",
    "proxyproto", "quic", "ready", "reload", "root", "timeouts", "tls",
})  # fmt: skip


class PrometheusSettings(msgspec.Struct, frozen=True):
    """The address of /metrics, and its TLS settings."""

    address: str = DEFAULT_ADDRESS
    asked_by: str = "prometheus"
    web_config: Token | None = None
    tls: AdminTls | None = None


def register_metrics(context: BlockContext) -> None:
    """Set the metrics of the build and of the plugins that this block enables."""
    queries.build_info(context.registry).labels(
        clusterdns.__version__, "", f"python{platform.python_version()}"
    ).value = 1
    enabled = queries.plugin_enabled(context.registry)
    for name in sorted(context.directive_names - _OUTSIDE_CHAIN):
        enabled.labels(context.server_text, context.zones_text[0], "", name).value = 1


def parse(directives: Sequence[Directive], context: BlockContext) -> PrometheusSettings:
    """Read `prometheus [HOST:PORT] { runtime_metrics; tls WEBCONFIG }`. Raises CorefileError."""
    settings = PrometheusSettings(asked_by=f"{directives[-1].place}: prometheus")
    for directive in directives:
        for word in directive.arguments_between(0, 1, "[HOST:PORT]"):
            settings = replace(settings, address=str(values.listen_address(word)))
    settings = read_block(settings, directives, _OPTIONS)
    if settings.web_config is None:
        return settings
    from clusterdns.plugins.prometheus.web_config import WebConfigError, read_web_config  # loads yaml

    try:
        return replace(settings, tls=read_web_config(context.path(settings.web_config.text)))
    except WebConfigError as error:
        raise settings.web_config.error(f"{settings.web_config}: {error}") from error


def _runtime_metrics(settings: PrometheusSettings, line: Line) -> PrometheusSettings:
    line.no_arguments()
    return settings


def _tls(settings: PrometheusSettings, line: Line) -> PrometheusSettings:
    if settings.web_config is not None:
        raise line.error("tls block already specified", "name one file")
    return replace(settings, web_config=line.one_argument("WEBCONFIG"))


_OPTIONS = (
    Option("runtime_metrics", "", "Accepted, without effect: these metrics are always shown.", _runtime_metrics),
    Option("tls WEBCONFIG", "plain HTTP", "Serves HTTPS as this file says. It has the form that Prometheus's exporters "
           "share: `tls_server_config` with `cert_file`, `key_file`, `client_auth_type`, `client_ca_file`, "
           "`min_version` and `max_version`; other keys are refused. A renewed certificate is shown from the next "
           "handshake on.", _tls),
)  # fmt: skip


def build(settings: PrometheusSettings, context: BlockContext) -> Part:
    """Register /metrics, and make the part that has queries counted."""
    context.shared.http(settings.address, PATH, MetricsPage(context.registry), settings.asked_by, settings.tls)

    async def serving() -> None:
        register_metrics(context)

    return Part("prometheus", handling=Handling(counts_queries=True), life=LifeCycle(serving=serving))


DOC = Doc(
    usage=("prometheus [HOST:PORT]",),
    about="`/metrics` on `localhost:9153`, and the queries of this block counted: see [metrics.md](metrics.md).",
    options=_OPTIONS,
    example="prometheus :9153\nwhoami",
)
PLUGIN = Plugin("prometheus", parse, build, once=True, doc=DOC)
