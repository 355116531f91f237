"""The order of the chain, as data: the first plugin here is the outermost, whatever the order in the Corefile.

It is CoreDNS's order, so that a Corefile means the same. Those who watch stand outside (`prometheus`, `errors`, `log`:
they must see what everything else did), those who change a reply above those who make one, and the makers last, local
data before what would be asked elsewhere. One place differs: `cache`, which CoreDNS has above all data, stands right
above `loop` and `forward` here, so that nothing once forwarded hides a Service or a host that has come since.
"""

from clusterdns.plugins import (
    acl,
    autopath,
    bind,
    bufsize,
    cache,
    cancel,
    chaos,
    debug,
    dns64,
    errors,
    file,
    forward,
    header,
    health,
    hosts,
    k8s_external,
    kubernetes,
    loadbalance,
    local,
    log,
    loop,
    metadata,
    minimal,
    multisocket,
    nsid,
    pprof,
    prometheus,
    ready,
    reload,
    rewrite,
    root,
    template,
    timeouts,
    tls,
    transfer,
    whoami,
)
from clusterdns.plugins import (
    any as any_type,
)
from clusterdns.plugins.handler import Plugin

ORDER: tuple[Plugin, ...] = (
    root.PLUGIN,
    metadata.PLUGIN,
    cancel.PLUGIN,
    timeouts.PLUGIN,
    multisocket.PLUGIN,
    reload.PLUGIN,
    nsid.PLUGIN,
    bufsize.PLUGIN,
    bind.PLUGIN,
    debug.PLUGIN,
    ready.PLUGIN,
    health.PLUGIN,
    pprof.PLUGIN,
    prometheus.PLUGIN,
    errors.PLUGIN,
    log.PLUGIN,
    local.PLUGIN,
    dns64.PLUGIN,
    any_type.PLUGIN,
    chaos.PLUGIN,
    loadbalance.PLUGIN,
    rewrite.PLUGIN,
    autopath.PLUGIN,
    acl.PLUGIN,
    header.PLUGIN,
    tls.PLUGIN,
    minimal.PLUGIN,
    template.PLUGIN,
    transfer.PLUGIN,
    hosts.PLUGIN,
    k8s_external.PLUGIN,
    kubernetes.PLUGIN,
    file.PLUGIN,
    cache.PLUGIN,
    loop.PLUGIN,
    forward.PLUGIN,
    whoami.PLUGIN,
)

# Directives of CoreDNS that are refused by name, so that nobody loses an effect in silence.
REFUSED = frozenset({
    "auto", "azure", "clouddns", "dnssec", "dnstap", "dynupdate", "erratic", "etcd",
    "geoip", "grpc", "grpc_server", "https", "https3",
    "nomad", "on", "proxyproto", "quic", "route53", "secondary", "shed", "sign", "siit",
    "trace", "tsig", "view",
})  # fmt: skip
