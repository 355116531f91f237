"""The names that rows of the RFCs ask for, taken from the objects by their properties: any manifests may have them.

Where no object has the properties of a role, the role has a name with the label ABSENT, and `skipped` returns the
reason for which rows with such a name are not asked. In a cluster without IPv4 `rfc` asks AAAA where rows say A.
"""

from collections.abc import Callable, Iterable

from clusterdns.cli.conform.served import CLUSTER_IP, EXTERNAL_NAME, HEADLESS, V4, V6, ServedObjects, ServedService

ABSENT = "role-without-object"
LARGE = 80  # addresses that fit into no message of 1,232 bytes


class ZoneRoles:
    """The names by role."""

    def __init__(self, objects: ServedObjects) -> None:
        self.zone = objects.under()
        self._missing: dict[str, str] = {}
        self._objects = objects
        cluster_ips, headless = objects.of_kind(CLUSTER_IP), objects.of_kind(HEADLESS)
        self.family = family = V4 if any(one.ips_of(V4) for one in cluster_ips) else V6
        self.service = self._role("service", "a Service with a cluster IP", cluster_ips, lambda one: one.ips_of(family))
        self.dual = self._role(
            "dual", "a dual-stack Service", cluster_ips, lambda one: one.ips_of(V4) and one.ips_of(V6)
        )
        self.single = self._role("single", f"an {family}-only Service", cluster_ips, self._is_single)
        self.ported = self._role("ported", "a Service with a named TCP port", cluster_ips, _tcp_ports)
        self.headless = self._role("headless", "a headless Service with hostnames", headless, self._is_small_set)
        self.large = self._role(
            "large", f"a headless Service of {LARGE} {family} endpoints", headless, self._is_large_set
        )
        external = objects.of_kind(EXTERNAL_NAME)
        self.outside = self._role(
            "outside", "an ExternalName to another zone", external, lambda one: not self._target(one)
        )
        self.inside = self._role("inside", "an ExternalName to a Service of the zone", external, self._target)

    def _role(
        self, role: str, what: str, among: Iterable[ServedService], test: Callable[[ServedService], object]
    ) -> ServedService | None:
        """Find the first Service that has the properties."""
        found = next((one for one in among if not one.missing and test(one)), None)
        if found is None:
            self._missing[role] = f"the objects have no {what.removeprefix('a ').removeprefix('an ')}"
        return found

    def _is_single(self, service: ServedService) -> bool:
        return service.families == (self.family,) and bool(service.ips_of(self.family))

    def _is_small_set(self, service: ServedService) -> bool:
        return bool(service.hostnames() and 1 < len(service.addresses(self.family)) < LARGE and _tcp_ports(service))

    def _is_large_set(self, service: ServedService) -> bool:
        return bool(len(service.addresses(self.family)) >= LARGE and _tcp_ports(service))

    def _target(self, one: ServedService) -> ServedService | None:
        """Return the Service with addresses that an ExternalName leads to."""
        target = one.external_name.rstrip(".") + "."
        found = (two for two in self._objects.services if self._objects.name_of(two) == target)
        return next((two for two in found if two.ips or two.endpoints), None)

    def name(self, role: str, *before: str) -> str:
        """Return the name of a role's Service, with labels before it."""
        service: ServedService | None = getattr(self, role)
        return self.under(*before, ABSENT, role) if service is None else self._objects.name_of(service, *before)

    def srv_name(self, role: str) -> str:
        """Return the name of a role's first named TCP port."""
        service: ServedService | None = getattr(self, role)
        return self.name(role, *([] if service is None else [f"_{_tcp_ports(service)[0]}", "_tcp"]))

    def addresses(self, role: str) -> list[str]:
        """Return the addresses of the family that the name of a role has."""
        service: ServedService | None = getattr(self, role)
        if service is None:
            return []
        return service.ips_of(self.family) or service.addresses(self.family)

    def all_addresses(self, role: str) -> list[str]:
        """Return the addresses that the name of a role has, of both families."""
        service: ServedService | None = getattr(self, role)
        if service is None:
            return []
        return [*service.ips, *(one.address for one in service.endpoints if one.is_ready)]

    def host(self) -> str:
        """Return the name of an endpoint with a hostname."""
        return self.name("headless", *(self.headless.hostnames()[:1] if self.headless else []))

    def target_addresses(self) -> list[str]:
        """Return the addresses of the Service that the ExternalName `inside` leads to."""
        target = self._target(self.inside) if self.inside else None
        return (target.ips_of(self.family) or target.addresses(self.family)) if target else []

    def namespace(self) -> str:
        """Return the labels of the first Service's namespace."""
        return self.service.namespace if self.service else "default"

    def skipped(self, name: str) -> str:
        """Return why a name cannot be asked for; empty where it can."""
        _, label, rest = name.lower().partition(f"{ABSENT}.")
        return self._missing[rest.partition(".")[0]] if label else ""

    def under(self, *labels: str) -> str:
        """Return a name below the zone."""
        return self._objects.under(*labels)


def _tcp_ports(service: ServedService) -> list[str]:
    return [port.name for port in service.named_ports if port.protocol == "tcp"]
