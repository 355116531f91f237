"""Checks of whole server blocks against facts known above: which directives exist, and where each block listens.

Each check adds its errors to the list and names every place involved. The tables come from the plugins.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from clusterdns.corefile.directive import ServerBlock
from clusterdns.corefile.errors import ErrorList, hint_for
from clusterdns.corefile.lexer import Token

# Directives that CoreDNS has removed, and what to do instead.
REMOVED_DIRECTIVES = {
    "proxy": "use 'forward', which replaced it in CoreDNS",
    "federation": "remove it: CoreDNS has removed it, because Kubernetes has no federation any more",
    "reverse": "use 'template', which replaced it in CoreDNS",
    "https_google": "use 'forward' with tls:// or https:// upstreams",
    "httpproxy": "use 'forward' with tls:// or https:// upstreams",
    "startup": "remove it, or start the program from the container's command",
    "shutdown": "remove it, or use the container's preStop hook",
    "deprecated": "remove it: it had no effect",
}

# Plugins that are compiled into a CoreDNS of one's own (coredns.io/explugins), and are in no official image.
EXTERNAL_PLUGINS = frozenset({
    "ads", "alias", "alternate", "amazondns", "blocker", "blocklist", "ddns", "demo", "dnsredir", "docker",
    "dockerdiscovery", "dso", "dump", "dynamicupdate", "dynapi", "ebpf", "ens", "example", "fallback", "fanout",
    "filter", "finalize", "flatten", "gathersrv", "git", "gravwell", "gslb", "idetcd", "ipecho", "ipin", "ipset",
    "json", "k8s_cache", "k8s_crd", "k8s_dns_chaos", "k8s_event", "k8s_gateway", "kubeforward", "kubenodes",
    "kubernetai", "ldap", "lighthouse", "mdns", "meship", "meshname", "multicluster", "mysql", "mysql_extend",
    "netbox", "pdsql", "pgsql", "pocketbase", "rebind", "records", "recursor", "redis", "redis_cache", "redisc",
    "responsefilter", "rrl", "split", "tailscale", "umbrella", "unbound", "warnlist", "wgsd",
})  # fmt: skip
_REFUSED_HINT = "remove the directive, or keep CoreDNS; docs/corefile.md lists what is implemented"


class Served(NamedTuple):
    """One zone of a server block, with the addresses that the block listens on."""

    transport: str
    zone_text: str
    port: int
    addresses: tuple[str, ...]  # empty: every address of the host
    token: Token  # the key
    has_certificate: bool  # the block has the directive `tls`

    def on(self, address: str) -> str:
        """Write the zone as CoreDNS does, with the address where one is bound."""
        return f"{self.transport}://{self.zone_text}:{self.port}" + (f" on {address}" if address else "")


def check_directives(
    blocks: Iterable[ServerBlock], known: Collection[str], refused: Collection[str], errors: ErrorList
) -> None:
    """Check that every directive is known; `refused` are those of CoreDNS that clusterdns does not implement."""
    for block in blocks:
        for directive in block.directives:
            name = directive.words[0]
            if errors.is_full:
                return
            if name.text in known:
                continue
            if name.text in refused:
                errors.add(name.error(f"clusterdns does not implement {name}", _REFUSED_HINT))
            elif name.text in EXTERNAL_PLUGINS:
                text = f"Unknown directive {name}, an external plugin of CoreDNS that clusterdns does not have"
                errors.add(name.error(text, "remove the directive, or keep the CoreDNS that was built with it"))
            elif name.text in REMOVED_DIRECTIVES:
                errors.add(name.error(f"Unknown directive {name}", REMOVED_DIRECTIVES[name.text]))
            else:
                otherwise = "remove it; 'clusterdns -plugins' lists what exists"
                errors.add(name.error(f"Unknown directive {name}", hint_for(name.text, known, otherwise)))


def check_repetition(blocks: Iterable[ServerBlock], once: Collection[str], errors: ErrorList) -> None:
    """Check that no block repeats a directive of `once`; a snippet with one may be imported twice, as in CoreDNS."""
    for block in blocks:
        first: dict[str, Token] = {}
        for directive in block.directives:
            name = directive.words[0]
            if name.text not in once:
                continue
            if (earlier := first.setdefault(name.text, name)).place != name.place:
                text = f"{name}: this plugin can only be used once per Server Block, and is used at {earlier.place}"
                errors.add(name.error(text, "merge the two, or remove one"))


def check_overlaps(served: Iterable[Served], errors: ErrorList) -> None:
    """Check that no zone is served twice on one address, nor both on all addresses and on a bound one."""
    seen: dict[tuple[str, str, int], dict[str, Served]] = {}
    for entry in served:
        places = seen.setdefault((entry.transport, entry.zone_text, entry.port), {})
        for address in dict.fromkeys(entry.addresses) or ("",):
            _check_address(entry, address, places, errors)


def check_transports(served: Iterable[Served], errors: ErrorList) -> None:
    """Each key has a transport that is served, TLS has a certificate, and no port of an address has two transports."""
    seen: dict[tuple[int, str], Served] = {}
    for entry in served:
        if entry.transport not in ("dns", "tls"):
            hint = "serve plain DNS or tls:// here, or keep CoreDNS for this block"
            errors.add(entry.token.error(f"clusterdns does not serve {entry.transport}://", hint))
        elif entry.transport == "tls" and not entry.has_certificate:
            text = f"{entry.token} without the directive 'tls', so that there is no certificate to serve it with"
            errors.add(entry.token.error(text, "add 'tls CERT KEY' to the block"))
        for address in dict.fromkeys(entry.addresses) or ("",):
            first = seen.setdefault((entry.port, address), entry)
            if first.transport != entry.transport and not errors.is_full:
                text = f"port {entry.port} is used for {entry.transport}:// here and for {first.transport}:// at "
                errors.add(entry.token.error(text + first.token.place, "choose another port for one of the two"))


def _check_address(entry: Served, address: str, places: dict[str, Served], errors: ErrorList) -> None:
    other = next((bound for bound in places if bool(bound) != bool(address)), None)
    earlier = places.get(address)
    if earlier is None:
        places[address] = entry
    else:
        text = f"cannot serve {entry.on(address)} - it is already defined at {earlier.token.place}"
        errors.add(entry.token.error(text, "remove one of the two, or 'bind' each to addresses of its own"))
    if other is not None:
        text = f"cannot serve {entry.on(address)} - zone overlap listener capacity with {places[other].on(other)}"
        hint = "'bind' both to addresses, or neither"
        errors.add(entry.token.error(f"{text} at {places[other].token.place}", hint))
