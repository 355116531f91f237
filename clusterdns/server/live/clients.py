"""The pods behind the addresses of clients, as far as the clusters of a configuration know them."""

from collections.abc import Iterable
from ipaddress import ip_address

from clusterdns.plugins.kubernetes.exports import ClusterView

MAX_NAMES = 2  # of one address; pods on their host's network share it


def client_name(address: str, views: Iterable[ClusterView]) -> str:
    """Name the pods or endpoints with this address; empty where none is known.

    Pods are known with `pods verified`; of others an endpoint of a Service tells where the address belongs.
    """
    try:
        packed = ip_address(address.partition("%")[0]).packed
    except ValueError:
        return ""
    for view in views:
        for index in {id(zone.index): zone.index for zone in view.zones}.values():
            pods = [f"pod {namespace.decode(errors='replace')}/{name}" for namespace, name in index.pods.at(packed)]
            if pods:
                return _several(pods)
            found = index.reverse.endpoints(packed)
            keys = dict.fromkeys((one.namespace, one.service) for one in found[: 2 * MAX_NAMES])
            if keys:
                return _several([f"endpoint of {b'/'.join(key).decode(errors='replace')}" for key in keys])
    return ""


def _several(names: list[str]) -> str:
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
