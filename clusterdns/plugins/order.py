"""The order of the chain, as data: the first directive here is the outermost, whatever the order in the Corefile.

It is CoreDNS's order, so that a Corefile means the same: observers first (`prometheus`, `errors`, `log` see the result
of all others), then modifiers of queries and replies, then producers, local data before upstreams. One place differs:
`cache`, which CoreDNS has above all data, stands right above `loop` and `forward` here, so that no forwarded reply
hides a Service or a host that has appeared since.

A directive's module is imported when a Corefile uses it (`plugin`).
"""

from functools import cache
from importlib import import_module

from clusterdns.chain import Plugin

ORDER: tuple[str, ...] = (
    "root",
    "metadata",
    "cancel",
    "timeouts",
    "multisocket",
    "reload",
    "nsid",
    "bufsize",
    "bind",
    "debug",
    "ready",
    "health",
    "pprof",
    "dashboard",
    "prometheus",
    "errors",
    "log",
    "local",
    "dns64",
    "any",
    "chaos",
    "loadbalance",
    "rewrite",
    "autopath",
    "acl",
    "header",
    "tls",
    "minimal",
    "template",
    "transfer",
    "hosts",
    "k8s_external",
    "kubernetes",
    "file",
    "cache",
    "loop",
    "forward",
    "whoami",
)

# Directives of CoreDNS that are refused by name, so that no effect is lost in silence.
REFUSED = frozenset({
    "auto", "azure", "clouddns", "dnssec", "dnstap", "dynupdate", "erratic", "etcd",
    "geoip", "grpc", "grpc_server", "https", "https3",
    "nomad", "on", "proxyproto", "quic", "route53", "secondary", "shed", "sign", "siit",
    "trace", "tsig", "view",
})  # fmt: skip


@cache
def plugin(name: str) -> Plugin:
    """Import a directive of `ORDER`."""
    found: Plugin = import_module(f"clusterdns.plugins.{name}").PLUGIN
    return found
