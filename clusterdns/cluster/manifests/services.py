"""Simulates the defaults that the API server sets in a new Service: its IP families, and the addresses it needs.

`controllers` allocates the addresses, because all Services share the ranges. The defaults are those of a dual-stack
cluster whose first family is IPv4.
"""

from typing import NamedTuple

from clusterdns.cluster.manifests import kinds
from clusterdns.cluster.manifests.addresses import FAMILIES, family_of
from clusterdns.cluster.objects import ObjectError, ObjectKey, canonical

# Offsets in the Service range, as kubeadm assigns them.
FIXED_OFFSETS = {("kube-system", "kube-dns"): 10, ("default", "kubernetes"): 1}


class AddressRequest(NamedTuple):
    """Addresses that a manifest gives, families in which one is to be allocated, and the families of the slices."""

    given: tuple[str, ...]
    missing_families: tuple[str, ...]
    slice_families: tuple[str, ...]
    is_headless: bool


def address_request(key: ObjectKey, service: kinds.ServiceManifest) -> AddressRequest:
    """Read which addresses a Service has and needs. Raises ObjectError."""
    spec = service.spec
    if spec is None:
        raise ObjectError("Service", key, "spec is missing")
    for port in spec.ports or ():
        if isinstance(port.target_port, int) and not 0 <= port.target_port <= 65535:
            raise ObjectError("Service", key, f"targetPort {port.target_port} is not between 1 and 65535")
    for family in spec.ip_families or ():
        if family not in FAMILIES:
            raise ObjectError("Service", key, f"ipFamilies names {family[:60]!r}, not IPv4 or IPv6")
    if spec.type == "ExternalName":
        return AddressRequest((), (), (), False)
    texts = given_addresses(spec)
    is_headless = texts[:1] == ["None"]
    try:
        addresses = () if is_headless else tuple(map(canonical, texts))
    except (OSError, ValueError):
        raise ObjectError("Service", key, "an entry of clusterIPs is neither an IP address nor None") from None
    given_families = tuple(dict.fromkeys(map(family_of, addresses)))
    families = _families(spec, given_families, is_headless)
    missing = () if is_headless else tuple(one for one in families if one not in given_families)
    return AddressRequest(addresses, missing, families, is_headless)


def given_addresses(spec: kinds.ServiceSpec) -> list[str]:
    """Read `clusterIPs`, or else `clusterIP`, as written."""
    return [text for text in spec.cluster_ips or (spec.cluster_ip,) if text]


def _families(spec: kinds.ServiceSpec, given: tuple[str, ...], is_headless: bool) -> tuple[str, ...]:
    found = tuple(dict.fromkeys((*given, *(spec.ip_families or ()))))
    policy = spec.ip_family_policy
    if policy is None and (len(found) > 1 or (is_headless and not found and not spec.selector)):
        policy = "RequireDualStack"
    found = found or FAMILIES[:1]
    if policy in ("PreferDualStack", "RequireDualStack"):
        return tuple(dict.fromkeys((*found, *FAMILIES)))
    return given or found[:1]
