"""Section 2.4 of the specification: headless Services, their endpoints, ports and pointers."""

from collections import defaultdict
from collections.abc import Collection
from typing import TypeVar

from clusterdns.cli.conform.case import MUST, SHOULD, Ask, Check, Collector, Way
from clusterdns.cli.conform.cases.naming import TYPES, reverse_of
from clusterdns.cli.conform.expect import (
    count,
    each_record,
    has,
    holds,
    lacks,
    no_records,
    nodata,
    nxdomain,
    rrset,
    srv,
    targets_lead_to,
)
from clusterdns.cli.conform.served import V6, ServedEndpoint, ServedObjects, ServedService, family_of
from clusterdns.wire.codes import PTR

T = TypeVar("T")
MAX_SAMPLES = 6  # of the hostnames of a large Service
# the address may be forwarded to a server that does not know it, or does not answer
_HAS_NO_PTR = holds("no PTR record", lambda reply: not reply.of("answer", PTR))
SMALL = 12  # endpoints, of which each has its rows


def headless(row: Collector, objects: ServedObjects, service: ServedService) -> None:
    """Add the rows of a headless Service."""
    if not any(one.is_ready for one in service.endpoints):
        _without_ready(row, objects, service)
        return
    _addresses(row, objects, service)
    _hostnames(row, objects, service)
    _ports(row, objects, service)
    _pointers(row, objects, service)


def _without_ready(row: Collector, objects: ServedObjects, service: ServedService) -> None:
    name = objects.name_of(service)
    for qtype in ("A", "AAAA"):
        row(f"{qtype}-{service.key}-nxdomain", "2.4.1", SHOULD, f"{service.key} has no ready endpoint: NXDOMAIN",
            Ask(name, qtype), nxdomain, skipped=service.missing)  # fmt: skip
        row(f"{qtype}-{service.key}-none", "2.4.1", MUST, f"{service.key} has no ready endpoint, so no {qtype}",
            Ask(name, qtype), no_records(), skipped=service.missing)  # fmt: skip
    for port in service.named_ports:
        row(f"srv-{service.key}-{port.name}", "2.4.2", MUST, f"{service.key} has no ready endpoint, so no SRV",
            Ask(objects.name_of(service, f"_{port.name}", f"_{port.protocol}"), "SRV"), no_records(),
            skipped=service.missing)  # fmt: skip
    for end in service.endpoints:
        _unready_endpoint(row, objects, service, end)


def _unready_endpoint(row: Collector, objects: ServedObjects, service: ServedService, end: ServedEndpoint) -> None:
    """Add the rows of an endpoint that is not ready: no name, no pointer."""
    qtype = "AAAA" if end.family == V6 else "A"
    label = f"{end.hostname or 'unnamed'}-{place(service, end)}"
    if end.hostname:
        row(f"{qtype}-{service.key}-{label}-unready", "2.4.1", MUST, f"{end.hostname} is not ready: no {qtype}",
            Ask(objects.name_of(service, end.hostname), qtype), no_records(), skipped=service.missing)  # fmt: skip
    row(f"ptr-{service.key}-{label}-unready", "2.4.3", SHOULD, f"{end.address} is not ready: no PTR",
        Ask(reverse_of(end.address), "PTR"), _HAS_NO_PTR, skipped=service.missing)  # fmt: skip


def _addresses(row: Collector, objects: ServedObjects, service: ServedService) -> None:
    """Add the rows of the Service's own name."""
    name = objects.name_of(service)
    for family, qtype in TYPES:
        ready, others = service.addresses(family), service.addresses(family, is_ready=False)
        if not ready:
            row(f"no-{qtype}-{service.key}", "2.4.1", MUST, f"{service.key} has no {family} endpoint, so no {qtype}",
                Ask(name, qtype), nodata, skipped=service.missing)  # fmt: skip
            continue
        transport = "udp" if len(ready) <= SMALL else "tcp"
        row(f"{qtype}-{service.key}", "2.4.1", MUST, f"{qtype} of {service.key}: each ready endpoint",
            Ask(name, qtype, transport), has(*ready), skipped=service.missing)  # fmt: skip
        row(f"{qtype}-{service.key}-exact", "2.4.1", SHOULD, f"{qtype} of {service.key}: no other address",
            Ask(name, qtype, transport), rrset(*ready), skipped=service.missing)  # fmt: skip
        if others:
            row(f"{qtype}-{service.key}-ready-only", "2.4.1", MUST, f"{qtype} of {service.key}: only ready ones",
                Ask(name, qtype, transport), lacks(*others), skipped=service.missing)  # fmt: skip


def _hostnames(row: Collector, objects: ServedObjects, service: ServedService) -> None:
    """Add the rows of endpoints' hostnames, of a large Service those of some."""
    by_host: dict[str, list[str]] = defaultdict(list)
    for one in service.endpoints:
        if one.is_ready and one.hostname:
            by_host[one.hostname].append(one.address)
    for host in samples(list(by_host)):
        for family, qtype in TYPES:
            addresses = [ip for ip in by_host[host] if family_of(ip) == family]
            check: Check = rrset(*addresses) if addresses else nodata
            row(f"{'' if addresses else 'no-'}{qtype}-{service.key}-{host}", "2.4.1", MUST,
                f"{qtype} of {host}: its {len(addresses)} {family} addresses",
                Ask(objects.name_of(service, host), qtype), check, skipped=service.missing)  # fmt: skip
    row(f"A-{service.key}-absent", "2.4.1", SHOULD, f"a hostname that {service.key} does not have: NXDOMAIN",
        Ask(objects.name_of(service, "no-such-host")), nxdomain, skipped=service.missing)  # fmt: skip


def _ports(row: Collector, objects: ServedObjects, service: ServedService) -> None:
    """Add the rows of SRV records: one per endpoint and port."""
    ready = [one for one in service.endpoints if one.is_ready]
    transport = "udp" if len(ready) <= SMALL else "tcp"
    hosts = {one.hostname or one.address for one in ready}
    for port in service.named_ports:
        ask = Ask(objects.name_of(service, f"_{port.name}", f"_{port.protocol}"), "SRV", transport)
        where = f"{service.key}-{port.name}"
        targets = [(port.number, objects.name_of(service, host)) for host in service.hostnames()]
        if targets:
            row(f"srv-{where}", "2.4.2", MUST, f"SRV of {where}: port and name of each ready hostname", ask,
                srv(targets, is_exact=False), skipped=service.missing)  # fmt: skip
        row(f"srv-{where}-count", "2.4.2", MUST, f"SRV of {where}: {len(hosts)} endpoints, as many records", ask,
            count(len(hosts), under=objects.name_of(service)), skipped=service.missing)  # fmt: skip
        if len(ready) <= SMALL:
            row(f"srv-{where}-targets", "2.4.2", MUST, f"SRV of {where}: the targets have the endpoints' addresses",
                ask, targets_lead_to([one.address for one in ready]), way=Way.FOLLOW,
                skipped=service.missing)  # fmt: skip
        absent = [(port.number, objects.name_of(service, host)) for host in service.hostnames(is_ready=False)]
        if absent:
            names = [objects.name_of(service, host) for host in service.hostnames(is_ready=False)]
            row(f"srv-{where}-ready-only", "2.4.2", MUST, f"SRV of {where}: no target that is not ready", ask,
                has_no_target(names),
                skipped=service.missing)  # fmt: skip
        other = "udp" if port.protocol == "tcp" else "tcp"
        row(f"srv-{where}-{other}", "2.4.2", MUST, f"port {port.name} of {service.key} is not {other}",
            Ask(objects.name_of(service, f"_{port.name}", f"_{other}"), "SRV"), no_records(),
            skipped=service.missing)  # fmt: skip
    for port in (one for one in service.ports if not one.name):
        row(f"srv-{service.key}-unnamed", "2.4.2", MUST, f"the unnamed port of {service.key} has no SRV record",
            Ask(objects.name_of(service, f"_{port.number}", f"_{port.protocol}"), "SRV"), no_records(),
            skipped=service.missing)  # fmt: skip


def _pointers(row: Collector, objects: ServedObjects, service: ServedService) -> None:
    """Add the rows of PTR records: hostnames exactly, other endpoints by the addresses that their names have."""
    for end in samples([one for one in service.endpoints if one.is_ready]):
        ask = Ask(reverse_of(end.address), "PTR")
        if end.hostname:
            row(f"ptr-{service.key}-{end.hostname}-{place(service, end)}", "2.4.3", MUST,
                f"PTR of {end.address} is the name of {end.hostname}", ask,
                has(objects.name_of(service, end.hostname)), skipped=service.missing)  # fmt: skip
        else:
            row(f"ptr-{service.key}-{place(service, end)}", "2.4.3", MUST,
                f"PTR of {end.address} is a name of {service.key} that has this address", ask,
                targets_lead_to([end.address]), way=Way.FOLLOW, skipped=service.missing)  # fmt: skip
    if len(service.endpoints) <= SMALL:
        for end in service.endpoints:
            if not end.is_ready:
                _unready_endpoint(row, objects, service, end)


def has_no_target(names: Collection[str]) -> Check:
    """Expect SRV records with targets other than these."""
    return each_record("targets that are ready", lambda one: one.data.split()[3] not in names)


def place(service: ServedService, end: ServedEndpoint) -> str:
    """Return a word for an endpoint that does not depend on its address."""
    return f"{end.family}-{service.endpoints.index(end)}"


def samples(found: list[T]) -> list[T]:
    """Return all of a few, the first and last ones of many."""
    return found if len(found) <= SMALL else [*found[: MAX_SAMPLES // 2], *found[-MAX_SAMPLES // 2 :]]
