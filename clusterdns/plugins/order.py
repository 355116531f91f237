"""The order of the chain, as data: the first plugin here is the outermost, whatever the order in the Corefile.

It is CoreDNS's order, so that a Corefile means the same. Those who watch stand outside (`prometheus`, `errors`, `log`:
they must see what everything else did), those who change a reply above those who make one, and the makers last, local
data before what would be asked elsewhere. One place differs: `cache`, which CoreDNS has above all data, stands right
above `loop` and `forward` here, so that nothing once forwarded hides a Service or a host that has come since.
"""

from clusterdns.chain.plugin import Plugin
from clusterdns.plugins import (
    acl,
    autopath,
    bind,
    bufsize,
    cancel,
    chaos,
    debug,
    dns64,
    errors,
    header,
    health,
    k8s_external,
    local,
    loop,
    metadata,
    minimal,
    multisocket,
    nsid,
    pprof,
    ready,
    reload,
    root,
    timeouts,
    tls,
    whoami,
)
from clusterdns.plugins import (
    any as any_type,
)
from clusterdns.plugins.cache import directive as cache
from clusterdns.plugins.file import directive as file
from clusterdns.plugins.forward import directive as forward
from clusterdns.plugins.hosts import directive as hosts
from clusterdns.plugins.kubernetes import directive as kubernetes
from clusterdns.plugins.loadbalance import directive as loadbalance
from clusterdns.plugins.log import directive as log
from clusterdns.plugins.prometheus import directive as prometheus
from clusterdns.plugins.rewrite import directive as rewrite
from clusterdns.plugins.template import directive as template
from clusterdns.plugins.transfer import directive as transfer

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
