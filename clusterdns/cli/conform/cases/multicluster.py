"""The multicluster specification (KEP-1645, DNS), section by section: ServiceImports in the zone of the clusterset."""

from collections import defaultdict

from clusterdns.cli.conform.case import MUST, SHOULD, Ask, Case, Collector, SuitePart, Way
from clusterdns.cli.conform.cases.naming import TYPES, mixed, reverse_of
from clusterdns.cli.conform.expect import (
    count,
    each_record,
    has,
    lacks,
    no_records,
    nodata,
    nxdomain,
    rrset,
    srv,
    targets_lead_to,
)
from clusterdns.cli.conform.served import CLUSTER_IP, ServedObjects, ServedService, family_of

HINT = "CoreDNS serves the zone with 'multicluster' in the kubernetes block"


def cases(objects: ServedObjects) -> list[Case]:
    """Make the rows."""
    row = Collector(SuitePart.MCS)
    row("version", "2.2", MUST, "dns-version of the clusterset's zone has a TXT record",
        Ask(f"dns-version.{objects.set_zone}.", "TXT"), each_record("a version", lambda one: one.data.count(".") == 2),
        hint=HINT)  # fmt: skip
    for service in objects.imports:
        if service.kind == CLUSTER_IP:
            _cluster_set_ip(row, objects, service)
        else:
            _headless(row, objects, service)
    row("absent", "2.3.1", MUST, "an import that does not exist has no A record",
        Ask(f"no-such-import.{_namespace(objects)}.svc.{objects.set_zone}."), no_records(),
        skipped=objects.imports_missing)  # fmt: skip
    return row.cases


def _namespace(objects: ServedObjects) -> str:
    return objects.imports[0].namespace if objects.imports else "default"


def _cluster_set_ip(row: Collector, objects: ServedObjects, service: ServedService) -> None:
    """Add the rows of §2.3."""
    name, missing = objects.name_of(service), objects.imports_missing
    for family, qtype in TYPES:
        ips = service.ips_of(family)
        if ips:
            row(f"{qtype}-{service.key}", "2.3.1", MUST, f"{qtype} of {service.key}: its {family} clusterset IP",
                Ask(name, qtype), rrset(*ips), skipped=missing, hint=HINT)  # fmt: skip
            row(f"ptr-{family}-{service.key}", "2.3.3", MUST, f"PTR of the {family} clusterset IP of {service.key}",
                Ask(reverse_of(ips[0]), "PTR"), rrset(name), skipped=missing)  # fmt: skip
        else:
            row(f"no-{qtype}-{service.key}", "2.3.1", MUST, f"{service.key} has no {family} clusterset IP",
                Ask(name, qtype), nodata, skipped=missing)  # fmt: skip
    row(f"mixed-{service.key}", "2.1", MUST, f"the case of the name of {service.key} does not matter",
        Ask(mixed(name)), rrset(*service.ips_of("IPv4")), skipped=missing)  # fmt: skip
    for port in service.named_ports:
        row(f"srv-{service.key}-{port.name}", "2.3.2", MUST, f"SRV of port {port.name} of {service.key}",
            Ask(objects.name_of(service, f"_{port.name}", f"_{port.protocol}"), "SRV"), srv([(port.number, name)]),
            skipped=missing)  # fmt: skip
        row(f"srv-{service.key}-{port.name}-sctp", "2.3.2", MUST, f"port {port.name} of {service.key} is not SCTP",
            Ask(objects.name_of(service, f"_{port.name}", "_sctp"), "SRV"), no_records(), skipped=missing)  # fmt: skip
    for port in (one for one in service.ports if not one.name):
        row(f"srv-{service.key}-unnamed", "2.3.2", MUST, f"the unnamed port of {service.key} has no SRV record",
            Ask(objects.name_of(service, f"_{port.number}", f"_{port.protocol}"), "SRV"), no_records(),
            skipped=missing)  # fmt: skip
    row(f"cluster-{service.key}", "2.3.4", SHOULD, f"no name chooses one cluster of {service.key}",
        Ask(objects.name_of(service, "c1")), no_records(), skipped=missing)  # fmt: skip


def _headless(row: Collector, objects: ServedObjects, service: ServedService) -> None:
    """Add the rows of §2.4."""
    name, missing = objects.name_of(service), objects.imports_missing
    ready = [one for one in service.endpoints if one.is_ready]
    if not ready:
        for qtype in ("A", "AAAA"):
            row(f"{qtype}-{service.key}-nxdomain", "2.4.1", SHOULD, f"{service.key} has no ready endpoint: NXDOMAIN",
                Ask(name, qtype), nxdomain, skipped=missing)  # fmt: skip
            row(f"{qtype}-{service.key}-none", "2.4.1", MUST, f"{service.key} has no ready endpoint, so no {qtype}",
                Ask(name, qtype), no_records(), skipped=missing)  # fmt: skip
        return
    for family, qtype in TYPES:
        row(f"{qtype}-{service.key}", "2.4.1", MUST, f"{qtype} of {service.key}: each ready endpoint",
            Ask(name, qtype), has(*service.addresses(family)), skipped=missing)  # fmt: skip
        row(f"{qtype}-{service.key}-ready-only", "2.4.1", MUST, f"{qtype} of {service.key}: only ready ones",
            Ask(name, qtype), lacks(*service.addresses(family, is_ready=False)), skipped=missing)  # fmt: skip
    by_host: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in ready:
        by_host[one.hostname, one.cluster].append(one.address)
    hosts = {pair: addresses for pair, addresses in by_host.items() if all(pair)}
    for (host, cluster), addresses in hosts.items():
        for family, qtype in TYPES:
            of_family = [ip for ip in addresses if family_of(ip) == family]
            row(f"{qtype}-{service.key}-{host}-{cluster}", "2.4.1", MUST, f"{qtype} of {host} in cluster {cluster}",
                Ask(objects.name_of(service, host, cluster), qtype), rrset(*of_family) if of_family else nodata,
                skipped=missing)  # fmt: skip
    for port in service.named_ports:
        ask = Ask(objects.name_of(service, f"_{port.name}", f"_{port.protocol}"), "SRV")
        targets = [(port.number, objects.name_of(service, host, cluster)) for host, cluster in hosts]
        where = f"{service.key}-{port.name}"
        row(f"srv-{where}", "2.4.2", MUST, f"SRV of {where}: each ready hostname of each cluster", ask,
            srv(targets, is_exact=False), skipped=missing)  # fmt: skip
        row(f"srv-{where}-count", "2.4.2", MUST, f"SRV of {where}: as many records as endpoints", ask,
            count(len(by_host), under=name), skipped=missing)  # fmt: skip
        row(f"srv-{where}-targets", "2.4.2", MUST, f"SRV of {where}: the targets have the endpoints' addresses", ask,
            targets_lead_to([one.address for one in ready]), way=Way.FOLLOW, skipped=missing)  # fmt: skip
    for number, one in enumerate(ready):
        if one.hostname and one.cluster:
            row(f"ptr-{service.key}-{number}", "2.4.3", MUST, f"PTR of {one.hostname} in cluster {one.cluster}",
                Ask(reverse_of(one.address), "PTR"), rrset(objects.name_of(service, one.hostname, one.cluster)),
                skipped=missing)  # fmt: skip
