"""One question to one block, with CoreDNS's replies to other questions about the same name, and the objects."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import ip_address

from differential.blocks import Block
from differential.manifests import Object
from differential.questions import Question
from differential.replies import ComparedReply, Line, read

NODATA, SERVFAIL, NXDOMAIN = 0, 2, 3
NIBBLES, OCTETS = 32, 4


class Facts:
    """Ports, addresses and Services of the objects, for all questions of a run."""

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
    """A question to a block, and the means to judge its reply."""

    question: Question
    block: Block
    facts: Facts
    ask: Callable[[Block, list[Question]], dict[Question, bytes | None]]

    # The name

    @cached_property
    def zone(self) -> str:
        """The block's longest zone that holds the name; empty if none does."""
        found = [zone for zone in self.block.zones if f".{self.question.name}".endswith(f".{zone}.")]
        return max(found, key=len, default="")

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels left of the zone; empty in reverse zones."""
        if not self.zone or self.is_reverse:
            return ()
        left = self.question.name[: -len(self.zone) - 1].rstrip(".")
        return tuple(left.split(".")) if left else ()

    @property
    def is_reverse(self) -> bool:
        """Whether the zone is a reverse zone."""
        return self.zone.endswith(".arpa")

    @property
    def tree(self) -> str:
        """The label next to the zone, `svc` or `pod` for objects."""
        return self.labels[-1] if self.labels else ""

    @property
    def block_ttl(self) -> int:
        """The TTL that the block sets, in seconds."""
        return next((int(option.split()[1]) for option in self.block.options if option.startswith("ttl")), 5)

    # CoreDNS's replies to other questions

    def plain(self, qtype: str = "", name: str = "") -> "Case":
        """Return the case of another type or name, over TCP with default EDNS, so that nothing is truncated."""
        return replace(
            self, question=replace(self.question, name=name or self.question.name).plain(qtype or self.question.qtype)
        )

    def theirs(self, qtype: str, name: str = "") -> ComparedReply:
        """Return CoreDNS's reply to another type or name, over TCP with default EDNS."""
        return self.plain(qtype, name).theirs_alike(qtype)

    def theirs_alike(self, qtype: str) -> ComparedReply:
        """Return CoreDNS's reply to another type, with this question's transport, EDNS, case, flags and class."""
        one = replace(self.question, qtype=qtype)
        return read(self.ask(self.block, [one])[one])

    # Replies

    def negative(self, seen: ComparedReply, rcode: int) -> ComparedReply:
        """Return the zone's negative answer, with the header flags, question and OPT of `seen`."""
        names = f"ns.dns.{self.zone}. hostmaster.{self.zone}."
        rdata = f"{names} serial 7200 1800 86400 {self.block_ttl}"
        soa = Line(f"{self.zone}.", "SOA", min(self.block_ttl, 300), rdata)
        return replace(seen, rcode=rcode, answer=(), authority=(soa,), additional=(), flags=seen.flags | {"AA"})

    def absent(self, seen: ComparedReply) -> ComparedReply:
        """Return the reply to a name that does not exist: NXDOMAIN, or SERVFAIL where it falls through to no plugin."""
        if not self.falls_through:
            return self.negative(seen, NXDOMAIN)
        return replace(seen, rcode=SERVFAIL, answer=(), authority=(), additional=(), flags=seen.flags - {"AA"})

    @property
    def falls_through(self) -> bool:
        """Whether `fallthrough` passes names of this zone that do not exist to the next plugin."""
        for option in self.block.options:
            word, *zones = option.split()
            if word == "fallthrough":
                return not zones or any(f".{self.question.name}".endswith(f".{zone}.") for zone in zones)
        return False

    def is_missing(self, seen: ComparedReply) -> bool:
        """Return whether the reply says that the name does not exist."""
        return seen.rcode == NXDOMAIN or (self.falls_through and seen.rcode == SERVFAIL and not seen.authority)

    def addresses(self, seen: ComparedReply, addresses: tuple[str, ...]) -> ComparedReply:
        """Return a positive reply with those addresses that have the question's type, or NODATA if none has."""
        version = {"A": 4, "AAAA": 6}.get(self.question.qtype)
        lines = [
            Line("@", self.question.qtype, self.block_ttl, ip) for ip in addresses if ip_address(ip).version == version
        ]
        negative = self.negative(seen, NODATA)
        return replace(negative, answer=tuple(sorted(lines)), authority=()) if lines else negative

    # Facts

    def externalname(self) -> str | None:
        """Return the CNAME target of a Service's own name, None where CoreDNS has no CNAME."""
        if self.tree != "svc" or len(self.labels) != 3 or self.is_fqdn_endpoint():
            return None
        answer = self.theirs("CNAME").answer
        return answer[0].rdata if answer and answer[0].rtype == "CNAME" else None

    def is_fqdn_endpoint(self) -> bool:
        """Return whether the name is that of a Service with `addressType: FQDN`, or directly below it."""
        return self.tree == "svc" and (self.labels[-2:-1] + self.labels[-3:-2]) in self.facts.fqdn_services

    def is_port_ancestor(self) -> bool:
        """Return whether a named port has a name below this one (`_tcp.web.prod.svc`)."""
        if self.tree != "svc" or len(self.labels) != 4 or not self.labels[0].startswith("_"):
            return False
        protocols = self.facts.protocols.get((self.labels[2], self.labels[1]), set())
        is_named = bool(protocols) if self.labels[0] == "_" else self.labels[0][1:] in protocols
        return is_named and self.theirs("A", self.question.name.partition(".")[2]).rcode == NODATA

    def is_full_address(self) -> bool:
        """Return whether the name is the reverse name of a whole address."""
        return self.is_reverse and len(self._reverse_labels()) == (NIBBLES if self._is_v6 else OCTETS)

    def has_extra_nibbles(self) -> bool:
        """Return whether the name has labels left of a whole IPv6 reverse name."""
        return self.is_reverse and self._is_v6 and len(self._reverse_labels()) > NIBBLES

    def is_reverse_ancestor(self) -> bool:
        """Return whether an address with a PTR record has its reverse name below this one."""
        if not self.is_reverse or self.is_full_address() or self.question.name == f"{self.zone}.":
            return False
        below = f".{self.question.name}"
        known = self.facts.service_ips
        if "noendpoints" not in self.block.options:
            known = known | self.facts.endpoint_ips
        return any(
            self.exposes(namespace) and f"{ip_address(ip).reverse_pointer}.".endswith(below) for namespace, ip in known
        )

    def exposes(self, namespace: str) -> bool:
        """Return whether the block serves the namespace."""
        listed = [option.split()[1:] for option in self.block.options if option.startswith("namespaces")]
        return not listed or namespace in listed[0]

    def verified_pod(self) -> str | None:
        """Return the address in a pod's name, None unless `pods verified` is set and a pod of the namespace has it."""
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
        return self.question.name.endswith("ip6.arpa.")

    def _reverse_labels(self) -> list[str]:
        return self.question.name.split(".")[:-3]
