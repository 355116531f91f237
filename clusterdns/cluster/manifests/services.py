"""What the API server fills in when a Service is made: its IP families, and which addresses it still wants.

Giving the addresses out is `controllers`' work, since the ranges are shared by all Services. Defaults are those of a
dual-stack cluster whose first family is IPv4.
"""

from typing import NamedTuple

from clusterdns.cluster.manifests import kinds
from clusterdns.cluster.manifests.addresses import FAMILIES, family_of
from clusterdns.cluster.manifests.workloads import Key
from clusterdns.cluster.objects import ObjectError, canonical

# Of the Service range, as in clusters made by kubeadm.
FIXED_OFFSETS = {("kube-system", "kube-dns"): 10, ("default", "kubernetes"): 1}


class Plan(NamedTuple):
    """Addresses that the manifest states, families in which one is missing, families that slices are made for."""

    addresses: tuple[str, ...]
    missing_families: tuple[str, ...]
    families: tuple[str, ...]
    is_headless: bool


def plan(key: Key, service: kinds.Service) -> Plan:
    """What this Service is to get. Raises ObjectError."""
    shown = "/".join(key)[:200]
    spec = service.spec
    if spec is None:
        raise ObjectError("Service", shown, "spec is missing")
    for port in spec.ports or ():
        if isinstance(port.target_port, int) and not 0 <= port.target_port <= 65535:
            raise ObjectError("Service", shown, f"targetPort {port.target_port} is not between 1 and 65535")
    for family in spec.ip_families or ():
        if family not in FAMILIES:
            raise ObjectError("Service", shown, f"ipFamilies names {family[:60]!r}, not IPv4 or IPv6")
    if spec.type == "ExternalName":
        return Plan((), (), (), False)
    texts = stated_addresses(spec)
    is_headless = texts[:1] == ["None"]
    try:
        addresses = () if is_headless else tuple(map(canonical, texts))
    except (OSError, ValueError):
        raise ObjectError("Service", shown, "clusterIPs holds what is neither an IP address nor None") from None
    stated = tuple(dict.fromkeys(map(family_of, addresses)))
    families = _families(spec, stated, is_headless)
    missing = () if is_headless else tuple(one for one in families if one not in stated)
    return Plan(addresses, missing, families, is_headless)


def stated_addresses(spec: kinds.ServiceSpec) -> list[str]:
    """`clusterIPs`, or else `clusterIP`, as written."""
    return [text for text in spec.cluster_ips or (spec.cluster_ip,) if text]


def _families(spec: kinds.ServiceSpec, stated: tuple[str, ...], is_headless: bool) -> tuple[str, ...]:
    found = tuple(dict.fromkeys((*stated, *(spec.ip_families or ()))))
    policy = spec.ip_family_policy
    if policy is None and (len(found) > 1 or (is_headless and not found and not spec.selector)):
        policy = "RequireDualStack"
    found = found or FAMILIES[:1]
    if policy in ("PreferDualStack", "RequireDualStack"):
        return tuple(dict.fromkeys((*found, *FAMILIES)))
    return stated or found[:1]
