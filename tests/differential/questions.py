"""The questions, generated from the objects: names that exist, names one step away, and names outside the zones.

Each name is asked for every common type and for a share of the rarer ones, and a share of these once more in another
shape (case, EDNS, transport, flags, class). The same objects and seed give the same questions.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, ip_address
from typing import Any

from differential.manifests import NAMESPACES, Object

TYPES = {
    "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "HINFO": 13, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "DS": 43,
    "HTTPS": 65, "ANY": 255, "CAA": 257, "TYPE65280": 65280,
}  # fmt: skip
OTHER_TYPES = {"DNAME": 39}  # not asked of the cluster's names
COMMON_TYPES = ("A", "AAAA", "SRV", "PTR", "TXT", "SOA")
RD, AD, CD = 0x0100, 0x0020, 0x0010
NOTIFY = 4 << 11
RESERVED_EDNS_FLAGS = 0x7F00
COOKIE = bytes.fromhex("000a00080123456789abcdef")
NSID = bytes.fromhex("00030000")
UNKNOWN_OPTION = bytes.fromhex("fde90003616263")


@dataclass(frozen=True)
class Edns:
    """The OPT record of a query."""

    size: int = 1232
    version: int = 0
    do: bool = False
    options: bytes = b""
    reserved: int = 0  # flags without a meaning

    def wire(self) -> bytes:
        """Encode the record."""
        flags = self.version << 16 | (0x8000 if self.do else 0) | self.reserved
        head = b"\0\0\x29" + self.size.to_bytes(2, "big") + flags.to_bytes(4, "big")
        return head + len(self.options).to_bytes(2, "big") + self.options


@dataclass(frozen=True)
class Shape:
    """The properties of a query beside its QNAME and QTYPE."""

    transport: str = "udp"
    edns: Edns | None = Edns()
    case: str = "lower"
    flags: int = RD
    qclass: int = 1


SHAPES = (
    Shape(edns=None),
    Shape(edns=Edns(size=4096, do=True)),
    Shape(edns=Edns(size=512)),
    Shape(edns=Edns(size=100)),
    Shape(edns=Edns(options=COOKIE)),
    Shape(edns=Edns(options=NSID + UNKNOWN_OPTION)),
    Shape(edns=Edns(version=1)),
    Shape(edns=Edns(version=1, do=True)),
    Shape(edns=Edns(reserved=RESERVED_EDNS_FLAGS)),
    Shape(flags=RD | NOTIFY),
    Shape(edns=None, flags=NOTIFY),
    Shape(edns=None, flags=RD | CD | AD),
    Shape(flags=0),
    Shape(case="upper"),
    Shape(case="mixed"),
    Shape(case="mixed", edns=None),
    Shape(transport="tcp"),
    Shape(transport="tcp", edns=None, case="mixed"),
    Shape(qclass=3),
    Shape(qclass=255),
)


@dataclass(frozen=True)
class Question:
    """A name in text (lower-case, absolute), a type, and the shape of the query."""

    name: str
    qtype: str
    shape: Shape = Shape()

    def __str__(self) -> str:
        return f"{self.spelled()} {self.qtype} {self.shape}"

    def spelled(self) -> str:
        """Return the name in the case that the shape sets."""
        if self.shape.case == "upper":
            return self.name.upper()
        if self.shape.case == "mixed":
            return "".join(one.upper() if number % 3 == 1 else one for number, one in enumerate(self.name))
        return self.name

    def section(self) -> bytes:
        """Encode the question section."""
        labels = [label.encode() for label in self.spelled().rstrip(".").split(".") if label]
        name = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
        return name + (TYPES | OTHER_TYPES)[self.qtype].to_bytes(2, "big") + self.shape.qclass.to_bytes(2, "big")

    def wire(self) -> bytes:
        """Encode the message, with ID 0."""
        opt = self.shape.edns.wire() if self.shape.edns else b""
        head = self.shape.flags.to_bytes(2, "big") + bytes((0, 1, 0, 0, 0, 0, 0, 1 if opt else 0))
        return b"\0\0" + head + self.section() + opt

    def plain(self, qtype: str) -> "Question":
        """Return the question for another type with default EDNS over TCP, where nothing is truncated."""
        return Question(self.name, qtype, Shape(transport="tcp"))


def generate(objects: Iterable[Object], zones: tuple[str, ...], share: float, seed: int = 1) -> list[Question]:
    """Generate the questions for a server with these forward zones, with only a share of rarer types and of shapes."""
    rng = random.Random(seed)
    held = list(objects)
    names: dict[str, None] = {}
    for zone in zones:
        names.update(dict.fromkeys(f"{label}.{zone}." for label in _below_zone(held)))
        names[f"{zone}."] = None
    names.update(dict.fromkeys(_reverse(held)))
    names.update(dict.fromkeys(_elsewhere(zones[0])))
    names.update(dict.fromkeys(_mutated(list(names), rng)))
    asked = []
    for name in names:
        for qtype in TYPES:
            if qtype in COMMON_TYPES or rng.random() < share:
                one = Question(name, qtype)
                asked.append(one)
                if rng.random() < share:
                    asked.append(replace(one, shape=rng.choice(SHAPES)))
    rng.shuffle(asked)
    return asked


def _below_zone(objects: list[Object]) -> Iterator[str]:
    yield from ("svc", "pod", "dns", "ns.dns", "dns-version", "x.dns", "x.ns.dns", "x.dns-version", "nosuch", "a.b.c")
    yield from ("_tcp.svc", "_http._tcp", "any", "cluster.local", "in-addr.arpa", "ns", "hostmaster", "x.y.z.w.v.svc")
    for namespace in (*NAMESPACES, "kube-system", "diff-none"):
        yield from (f"{namespace}.svc", f"{namespace}.pod", namespace, f"_http._tcp.{namespace}.svc")
        yield from (f"nosuch.{namespace}.svc", f"_http._tcp.nosuch.{namespace}.svc", f"x.nosuch.{namespace}.svc")
        yield from (f"*.{namespace}.svc", f"any.{namespace}.svc", f"{'n' * 63}.{namespace}.svc")
        yield from (f"{label}.{namespace}.pod" for label in _pod_labels())
    for one in objects:
        base = f"{one['metadata']['name']}.{one['metadata'].get('namespace', '')}.svc"
        if one["kind"] == "Service":
            yield from _below_service(base, one["spec"].get("ports") or [])
        elif one["kind"] == "EndpointSlice":
            yield from _below_slice(one)


def _below_service(base: str, ports: list[Object]) -> Iterator[str]:
    yield base
    yield from (f"x.{base}", f"_tcp.{base}", f"_udp.{base}", f"_sctp.{base}", f"tcp.{base}", f"*.{base}", f"_.{base}")
    yield from (
        f"_._.{base}",
        f"_._tcp.{base}",
        f"_._udp.{base}",
        f"_nosuch._tcp.{base}",
        f"x.y.{base}",
        f"x.y.z.{base}",
    )
    for port in ports:
        name, protocol = port.get("name", ""), port["protocol"].lower()
        other = "udp" if protocol == "tcp" else "tcp"
        yield from (f"_{name}._{protocol}.{base}", f"{name or 'x'}.{protocol}.{base}", f"_{name}._{other}.{base}")
        yield from (f"_{name}._.{base}", f"x._{name or 'x'}._{protocol}.{base}", f"_{port['port']}._{protocol}.{base}")


def _below_slice(one: Object) -> Iterator[str]:
    metadata = one["metadata"]
    service = metadata.get("labels", {}).get("kubernetes.io/service-name", "")
    base = f"{service or 'nosuch'}.{metadata['namespace']}.svc"
    for number, endpoint in enumerate(one["endpoints"] or []):
        if number >= 4:
            break
        labels = [address.replace(".", "-").replace(":", "-") for address in endpoint["addresses"]]
        labels += [label + "0" for label in labels if label.endswith("-")]
        labels += [endpoint.get("hostname") or "", (endpoint.get("targetRef") or {}).get("name", "")]
        for label in filter(None, (one.rstrip("-") for one in labels)):
            yield from (f"{label}.{base}", f"x.{label}.{base}")
    if service:
        yield from _below_service(base, one.get("ports") or [])


def _pod_labels() -> Iterator[str]:
    yield from ("10-77-9-1", "10-77-9-2", "10-77-9-3", "10-77-1-5", "192-0-2-7", "0-0-0-0", "255-255-255-255")
    yield from ("fd00-77-9--2", "fd00-77-9--3", "fd00-77-9-0-0-0-0-3", "fd00-0077-9--3", "--1", "--", "1--", "fe80--1")
    yield from ("10-77-9", "10-77-9-256", "10-77-9-1-1", "010-77-9-1", "single", "x.10-77-9-1", "x.y.10-77-9-1", "1")
    yield from ("--ffff-10-77-9-1", "x.y.z.10-77-9-1", "10--77-9-1", "g--1", "_tcp", "x._tcp.10-77-9-1")


def _reverse(objects: list[Object]) -> Iterator[str]:
    addresses = [address for one in objects for address in _addresses(one)]
    addresses += ["10.77.1.7", "10.77.200.200", "192.0.2.1", "127.0.0.1", "fd00:77::dead", "10.96.0.1", "::1"]
    for address in addresses:
        pointer = ip_address(address).reverse_pointer + "."
        labels = pointer.split(".")
        yield pointer
        yield f"x.{pointer}"
        yield f"0.{pointer}"
        steps = (1, 2, 3) if len(labels) < 10 else (1, 8, 16, 24, 31)
        yield from (".".join(labels[step:]) for step in steps)
    yield from ("in-addr.arpa.", "ip6.arpa.", "arpa.", "x.in-addr.arpa.", "300.1.77.10.in-addr.arpa.")
    yield from ("05.1.77.10.in-addr.arpa.", "5.01.77.10.in-addr.arpa.", "g.ip6.arpa.", "10.ip6.arpa.", "f.ip6.arpa.")
    yield f"x{IPv6Address('fd00:77::30').reverse_pointer[1:]}."


def _addresses(one: Object) -> Iterator[str]:
    spec: dict[str, Any] = one.get("spec", {})
    if one["kind"] == "Service":
        yield from (address for address in spec.get("clusterIPs", ()) if address != "None")
    elif one["kind"] == "Pod":
        yield from (ip["ip"] for ip in one.get("status", {}).get("podIPs", ()))
    elif one["addressType"] != "FQDN":
        for endpoint in (one["endpoints"] or [])[:4]:
            yield from endpoint["addresses"]


def _elsewhere(zone: str) -> Iterator[str]:
    yield from (".", "com.", "example.com.", "www.example.com.", "local.", "version.bind.", "id.server.")
    yield from (f"{zone}.example.com.", f"x{zone}.", "svc.", f"web.{NAMESPACES[0]}.svc.", "localhost.", "arpa.")


def _mutated(names: list[str], rng: random.Random) -> Iterator[str]:
    """Yield names one typing error away: a label lost, doubled, swapped, or with another character."""
    for name in rng.sample(names, len(names) // 5):
        labels = name.rstrip(".").split(".")
        place = rng.randrange(len(labels))
        slip = rng.randrange(4)
        if slip == 0:
            del labels[place]
        elif slip == 1:
            labels.insert(place, labels[place])
        elif slip == 2:
            other = rng.randrange(len(labels))
            labels[place], labels[other] = labels[other], labels[place]
        elif labels[place]:
            letter = rng.randrange(len(labels[place]))
            labels[place] = labels[place][:letter] + rng.choice("az09-_") + labels[place][letter + 1 :]
        mutated = ".".join(labels) + "."
        if all(0 < len(label) < 64 for label in labels) and len(mutated) < 254:
            yield mutated
