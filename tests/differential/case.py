"""One question to one block, with what is known beside CoreDNS's reply: what CoreDNS says to other questions about the
same name, and the objects.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import ip_address

from differential.blocks import Block
from differential.manifests import Object
from differential.questions import Asked
from differential.replies import Line, Seen, read

NODATA, SERVFAIL, NXDOMAIN = 0, 2, 3
NIBBLES, OCTETS = 32, 4


class Facts:
    """What the objects say, for all questions of a run."""

    def __init__(self, objects: Iterable[Object]) -> None:
        held = list(objects)
        services = [one for one in held if one["kind"] == "Service"]
        slices = [one for one in held if one["kind"] == "EndpointSlice"]
        self.fqdn_services = {_service_of(one) for one in slices if one["addressType"] == "FQDN"}
        self.protocols: dict[tuple[str, str], set[str]] = {}
        headless = {_key(one) for one in services if one["spec"].get("clusterIP") == "None"}
        for one in services:
            if _key(one) not in headless:
                self.protocols[_key(one)] = _named_protocols(one["spec"].get("ports"))
        for one in slices:
            if (
                one["addressType"] != "FQDN"
                and _service_of(one) in headless
                and any(map(_is_ready, one["endpoints"] or ()))
            ):
                self.protocols.setdefault(_service_of(one), set()).update(_named_protocols(one.get("ports")))
        self.pods = {
            (one["metadata"]["namespace"], ip["ip"])
            for one in held
            if one["kind"] == "Pod"
            for ip in one.get("status", {}).get("podIPs", ())
        }
        self.service_ips = {
            (one["metadata"]["namespace"], ip)
            for one in services
            for ip in one["spec"].get("clusterIPs", ())
            if ip != "None"
        }
        self.endpoint_ips = {
            (one["metadata"]["namespace"], address)
            for one in slices
            if one["addressType"] != "FQDN" and _service_of(one)[1]
            for endpoint in one["endpoints"] or ()
            if _is_ready(endpoint)
            for address in endpoint["addresses"]
        }


def _key(one: Object) -> tuple[str, str]:
    return one["metadata"]["namespace"], one["metadata"]["name"]


def _service_of(one: Object) -> tuple[str, str]:
    labels = one["metadata"].get("labels") or {}
    return one["metadata"]["namespace"], labels.get("kubernetes.io/service-name", "")


def _named_protocols(ports: list[Object] | None) -> set[str]:
    return {port["protocol"].lower() for port in ports or () if port.get("name")}


def _is_ready(endpoint: Object) -> bool:
    return (endpoint.get("conditions") or {}).get("ready") is not False


@dataclass(frozen=True)
class Case:
    """A question to a block."""

    asked: Asked
    block: Block
    facts: Facts
    ask: Callable[[Block, list[Asked]], dict[Asked, bytes | None]]

    # The name

    @cached_property
    def zone(self) -> str:
        """The zone that the name is in, or nothing."""
        found = [zone for zone in self.block.zones if f".{self.asked.name}".endswith(f".{zone}.")]
        return max(found, key=len, default="")

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels left of a forward zone."""
        if not self.zone or self.is_reverse:
            return ()
        left = self.asked.name[: -len(self.zone) - 1].rstrip(".")
        return tuple(left.split(".")) if left else ()

    @property
    def is_reverse(self) -> bool:
        """Whether the zone is a reverse one."""
        return self.zone.endswith(".arpa")

    @property
    def tree(self) -> str:
        """`svc` or `pod`, or whatever stands there."""
        return self.labels[-1] if self.labels else ""

    @property
    def block_ttl(self) -> int:
        """The `ttl` option."""
        return next((int(option.split()[1]) for option in self.block.options if option.startswith("ttl")), 5)

    # What CoreDNS says elsewhere

    def plain(self, qtype: str = "", name: str = "") -> "Case":
        """Another question, in the ordinary shape and at full length."""
        return replace(self, asked=replace(self.asked, name=name or self.asked.name).plain(qtype or self.asked.qtype))

    def theirs(self, qtype: str, name: str = "") -> Seen:
        """CoreDNS's reply to it."""
        return self.plain(qtype, name).theirs_alike(qtype)

    def theirs_alike(self, qtype: str) -> Seen:
        """CoreDNS's reply to another type in this question's own shape."""
        one = replace(self.asked, qtype=qtype)
        return read(self.ask(self.block, [one])[one])

    # Replies

    def denied(self, seen: Seen, rcode: int) -> Seen:
        """The zone's own denial, in the envelope of `seen`."""
        names = f"ns.dns.{self.zone}. hostmaster.{self.zone}."
        rdata = f"{names} serial 7200 1800 86400 {self.block_ttl}"
        soa = Line(f"{self.zone}.", "SOA", min(self.block_ttl, 300), rdata)
        return replace(seen, rcode=rcode, answer=(), authority=(soa,), additional=(), flags=seen.flags | {"AA"})

    def absent(self, seen: Seen) -> Seen:
        """What a name that is not there gets: a denial, or the end of the chain where it falls through."""
        if not self.falls_through:
            return self.denied(seen, NXDOMAIN)
        return replace(seen, rcode=SERVFAIL, answer=(), authority=(), additional=(), flags=seen.flags - {"AA"})

    @property
    def falls_through(self) -> bool:
        """Whether the block hands absent names of this zone on."""
        for option in self.block.options:
            word, *zones = option.split()
            if word == "fallthrough":
                return not zones or any(f".{self.asked.name}".endswith(f".{zone}.") for zone in zones)
        return False

    def is_missing(self, seen: Seen) -> bool:
        """Whether the reply says that there is no such name."""
        return seen.rcode == NXDOMAIN or (self.falls_through and seen.rcode == SERVFAIL and not seen.authority)

    def addresses(self, seen: Seen, addresses: tuple[str, ...]) -> Seen:
        """A positive reply with these addresses, or NODATA for another type."""
        version = {"A": 4, "AAAA": 6}.get(self.asked.qtype)
        lines = [
            Line("@", self.asked.qtype, self.block_ttl, ip) for ip in addresses if ip_address(ip).version == version
        ]
        denial = self.denied(seen, NODATA)
        return replace(denial, answer=tuple(sorted(lines)), authority=()) if lines else denial

    # Facts

    def alias(self) -> str | None:
        """The target, where CoreDNS has a CNAME at this name and the name is a Service's own."""
        if self.tree != "svc" or len(self.labels) != 3 or self.is_fqdn_endpoint():
            return None
        answer = self.theirs("CNAME").answer
        return answer[0].rdata if answer and answer[0].rtype == "CNAME" else None

    def is_fqdn_endpoint(self) -> bool:
        """Whether the name is at or below a Service whose endpoints are names."""
        return self.tree == "svc" and (self.labels[-2:-1] + self.labels[-3:-2]) in self.facts.fqdn_services

    def is_port_ancestor(self) -> bool:
        """Whether ports' names hang below this one (`_tcp.web.prod.svc`)."""
        if self.tree != "svc" or len(self.labels) != 4 or not self.labels[0].startswith("_"):
            return False
        protocols = self.facts.protocols.get((self.labels[2], self.labels[1]), set())
        is_named = bool(protocols) if self.labels[0] == "_" else self.labels[0][1:] in protocols
        return is_named and self.theirs("A", self.asked.name.partition(".")[2]).rcode == NODATA

    def is_full_address(self) -> bool:
        """Whether this is the reverse name of a whole address."""
        return self.is_reverse and len(self._reverse_labels()) == (NIBBLES if self._is_v6 else OCTETS)

    def has_extra_nibbles(self) -> bool:
        """Whether labels stand left of a whole IPv6 address."""
        return self.is_reverse and self._is_v6 and len(self._reverse_labels()) > NIBBLES

    def is_reverse_ancestor(self) -> bool:
        """Whether the reverse name of some address that has a PTR hangs below this name."""
        if not self.is_reverse or self.is_full_address() or self.asked.name == f"{self.zone}.":
            return False
        below = f".{self.asked.name}"
        known = self.facts.service_ips
        if "noendpoints" not in self.block.options:
            known = known | self.facts.endpoint_ips
        return any(
            self.exposes(namespace) and f"{ip_address(ip).reverse_pointer}.".endswith(below) for namespace, ip in known
        )

    def exposes(self, namespace: str) -> bool:
        """Whether the block shows the namespace at all."""
        listed = [option.split()[1:] for option in self.block.options if option.startswith("namespaces")]
        return not listed or namespace in listed[0]

    def verified_pod(self) -> str | None:
        """The address that the name spells, where a pod of the namespace has it and pods are verified."""
        if self.tree != "pod" or len(self.labels) != 3 or "pods verified" not in self.block.options:
            return None
        text = self.labels[0]
        try:
            address = ip_address(text.replace("-", "." if text.count("-") == 3 and "--" not in text else ":"))
        except ValueError:
            return None
        return str(address) if (self.labels[1], str(address)) in self.facts.pods else None

    @property
    def _is_v6(self) -> bool:
        return self.asked.name.endswith("ip6.arpa.")

    def _reverse_labels(self) -> list[str]:
        return self.asked.name.split(".")[:-3]
