"""The order of the chain, as data: the first plugin here is the outermost, whatever the order in the Corefile.

It is CoreDNS's order, so that a Corefile means the same. Those who watch stand outside (`prometheus`, `errors`, `log`:
they must see what everything else did), those who change a reply above those who make one, and the makers last, local
data before what would be asked elsewhere.
"""

from clusterdns.plugins import bind, errors, health, kubernetes, loadbalance, log, prometheus, ready, whoami
from clusterdns.plugins.handler import Plugin

ORDER: tuple[Plugin, ...] = (
    bind.PLUGIN,
    ready.PLUGIN,
    health.PLUGIN,
    prometheus.PLUGIN,
    errors.PLUGIN,
    log.PLUGIN,
    loadbalance.PLUGIN,
    kubernetes.PLUGIN,
    whoami.PLUGIN,
)

# Directives of CoreDNS that are refused by name, so that nobody loses an effect in silence.
REFUSED = frozenset({
    "acl", "any", "auto", "autopath", "azure", "bufsize", "cache", "cancel", "chaos", "clouddns", "debug", "dns64",
    "dnssec", "dnstap", "dynupdate", "erratic", "etcd", "file", "forward", "geoip", "grpc", "grpc_server", "header",
    "hosts", "https", "https3", "k8s_external", "local", "loop", "metadata", "minimal", "multisocket", "nomad", "nsid",
    "on", "pprof", "proxyproto", "quic", "reload", "rewrite", "root", "route53", "secondary", "shed", "sign", "siit",
    "template", "timeouts", "tls", "trace", "transfer", "tsig", "view",
})  # fmt: skip
