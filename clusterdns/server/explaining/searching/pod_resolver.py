"""How a pod's stub resolver is set up: the search list of its namespace, and what its spec changes of it."""

from dataclasses import dataclass, field

from clusterdns.cluster.details.reader import PODS, ObjectFilter
from clusterdns.cluster.details.sources import reader_of
from clusterdns.cluster.details.structs import RawDnsConfig, RawPodObject, RawPodSpecDetails, read
from clusterdns.plugins.kubernetes.exports import ClusterView
from clusterdns.server.explaining.objects import OBJECT_NAME
from clusterdns.server.explaining.pods import addresses_of
from clusterdns.server.explaining.searching.search_list import CLUSTER_NDOTS, DEFAULT_NDOTS, MAX_NDOTS, SearchList
from clusterdns.wire.name import to_text

CLUSTER_FIRST, WITH_HOST_NETWORK, DEFAULT, NONE = "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"


@dataclass
class PodResolver:
    """The stub resolver of a pod, or of any pod of a namespace."""

    search: SearchList
    address: str = ""  # of the pod
    notes: list[str] = field(default_factory=list)
    uses_node: str = ""  # why it uses the node's resolv.conf, which is not known here


async def resolver_of(view: ClusterView, namespace: str, pod_name: str) -> PodResolver:
    """Find the search list of a pod, or that of every pod of a namespace without settings of its own."""
    zone = to_text(view.settings.primary).removesuffix(".")
    found = PodResolver(SearchList((f"{namespace}.svc.{zone}", f"svc.{zone}", zone)))
    if not view.zones[0].index.exposes(namespace.encode(errors="surrogateescape")):
        found.notes.append(f'namespace "{namespace}" does not exist here')
    if not pod_name:
        return found
    reader = reader_of(view.source())
    if reader is None or not all(map(OBJECT_NAME.fullmatch, (namespace, pod_name))):
        found.notes.append(f"pod {namespace}/{pod_name} cannot be read; its namespace's search list is taken")
        return found
    listed = await reader.read(PODS, ObjectFilter(namespace, pod_name))
    pod, problem = (
        read(listed.trees[0], RawPodObject) if listed.trees else (None, listed.problem or "it does not exist")
    )
    if pod is None:
        found.notes.append(f"pod {namespace}/{pod_name}: {problem}; its namespace's search list is taken")
        return found
    found.address = next(iter(addresses_of(pod)), "")
    _apply(found, pod.spec or RawPodSpecDetails(), f"pod {namespace}/{pod_name}")
    return found


def _apply(found: PodResolver, spec: RawPodSpecDetails, label: str) -> None:
    """Apply dnsPolicy and dnsConfig as the kubelet does."""
    policy = spec.dns_policy or CLUSTER_FIRST
    if spec.host_network and policy == CLUSTER_FIRST:
        found.uses_node = f"{label} has hostNetwork and dnsPolicy ClusterFirst, which means Default"
    elif policy == DEFAULT:
        found.uses_node = f"{label} has dnsPolicy Default"
    if found.uses_node:
        found.search = SearchList((), DEFAULT_NDOTS)
    elif policy == NONE:
        found.search = SearchList((), DEFAULT_NDOTS)
        found.notes.append(f"{label} has dnsPolicy None: its nameservers are those of its dnsConfig")
    config = spec.dns_config or RawDnsConfig()
    domains = dict.fromkeys((*found.search.domains, *(one.rstrip(".") for one in config.searches or ())))
    ndots = CLUSTER_NDOTS if policy in (CLUSTER_FIRST, WITH_HOST_NETWORK) and not found.uses_node else DEFAULT_NDOTS
    for option in config.options or ():
        if option.name == "ndots" and (option.value or "").isdigit():
            ndots = min(int(option.value or ""), MAX_NDOTS)
    found.search = SearchList(tuple(domains), ndots)
