"""Kubernetes DNS-based service discovery 1.1.0, section by section: Services with cluster IPs, ExternalNames, the rest.

`headless` has section 2.4. What the specification leaves open is not asked: priorities, weights, TTLs, names of
endpoints without a hostname. Records beyond the schema are allowed (§3), so a row says what must be there; where a
record would be of a wrong address or port, it must not.
"""

from clusterdns.cli.conform.case import MUST, SHOULD, Ask, Case, Collector, SuitePart
from clusterdns.cli.conform.cases.headless import headless
from clusterdns.cli.conform.cases.naming import TYPES, mixed, question_for, reverse_of
from clusterdns.cli.conform.expect import each_record, has, no_records, nodata, rrset, srv
from clusterdns.cli.conform.served import (
    CLUSTER_IP,
    EXTERNAL_NAME,
    HEADLESS,
    V4,
    V6,
    ServedObjects,
    ServedService,
)

REVERSE = "the reverse zone must be served too (CoreDNS: 'kubernetes cluster.local in-addr.arpa ip6.arpa')"
PODS = "CoreDNS answers these with 'pods insecure'"
POD_ADDRESSES = ("10-1-2-3", "0-0-0-0", "255-255-255-255", "192-0-2-1")


def cases(objects: ServedObjects) -> list[Case]:
    """Make the rows of the specification."""
    row = Collector(SuitePart.SPEC)
    _version(row, objects)
    for service in objects.of_kind(CLUSTER_IP):
        _cluster_ip(row, objects, service)
        _ports(row, objects, service)
    _elsewhere(row, objects)
    _case_insensitive(row, objects)
    _hosts_in_any_case(row, objects)
    for service in objects.of_kind(HEADLESS):
        headless(row, objects, service)
    for service in objects.of_kind(EXTERNAL_NAME):
        _external_name(row, objects, service)
    _pods(row, objects)
    return row.cases


def _version(row: Collector, objects: ServedObjects) -> None:
    ask = Ask(objects.under("dns-version"), "TXT")
    is_version = each_record("a semantic version", lambda one: _is_version(one.data))
    row("version", "2.2", MUST, "dns-version has a TXT record with a semantic version", ask, is_version)
    row("one-version", "2.2", MUST, "dns-version has one TXT record", ask,
        each_record("one version", lambda one: one.data.count('"') == 2))  # fmt: skip
    row("version-1.1.0", "2.2", SHOULD, "the version is that of this specification", ask, rrset('"1.1.0"'))


def _is_version(text: str) -> bool:
    numbers = text.strip('"').split("-")[0].split("+")[0].split(".")
    return len(numbers) == 3 and all(number.isdigit() for number in numbers)


def _cluster_ip(row: Collector, objects: ServedObjects, service: ServedService) -> None:
    """Add the rows of addresses and pointers of a Service with cluster IPs."""
    name = objects.name_of(service)
    for family, qtype in TYPES:
        skipped = service.lacks(family)
        where = f"{qtype}-{service.key}"
        if family in service.families:
            row(where, "2.3.1", MUST, f"{qtype} of {service.key} is its {family} cluster IP", Ask(name, qtype),
                rrset(*service.ips_of(family)), skipped=skipped)  # fmt: skip
            for ip in service.ips_of(family) or [""]:
                row(f"ptr-{family}-{service.key}", "2.3.3", MUST,
                    f"PTR of the {family} cluster IP of {service.key} is its name",
                    Ask(reverse_of(ip) if ip else name, "PTR"), rrset(name), skipped=skipped, hint=REVERSE)  # fmt: skip
        else:
            row(f"no-{where}", "2.3.1", MUST, f"{service.key} has no {family} cluster IP, so no {qtype}",
                Ask(name, qtype), nodata, skipped=service.missing)  # fmt: skip


def _ports(row: Collector, objects: ServedObjects, service: ServedService) -> None:
    """Add the rows of SRV records."""
    name, protocols = objects.name_of(service), {"tcp", "udp", "sctp"}
    for port in service.named_ports:
        srv_name = objects.name_of(service, f"_{port.name}", f"_{port.protocol}")
        expected = srv([(port.number, name)])
        row(f"srv-{service.key}-{port.name}", "2.3.2", MUST,
            f"SRV of port {port.name} of {service.key} has the Service's port and name", Ask(srv_name, "SRV"),
            expected, skipped=service.missing)  # fmt: skip
        used = {one.protocol for one in service.ports if one.name == port.name}
        other = sorted(protocols - used)[0]
        row(f"srv-{service.key}-{port.name}-{other}", "2.3.2", MUST,
            f"port {port.name} of {service.key} is not {other}",
            Ask(objects.name_of(service, f"_{port.name}", f"_{other}"), "SRV"), no_records(),
            skipped=service.missing)  # fmt: skip
    unnamed = [port for port in service.ports if not port.name]
    for port in unnamed:
        row(f"srv-{service.key}-unnamed", "2.3.2", MUST, f"the unnamed port of {service.key} has no SRV record",
            Ask(objects.name_of(service, f"_{port.number}", f"_{port.protocol}"), "SRV"), no_records(),
            skipped=service.missing)  # fmt: skip
    row(f"srv-{service.key}-absent", "2.3.2", MUST, f"a port that {service.key} does not have has no SRV record",
        Ask(objects.name_of(service, "_no-such", "_tcp"), "SRV"), no_records(), skipped=service.missing)  # fmt: skip


def _elsewhere(row: Collector, objects: ServedObjects) -> None:
    """Add the rows of names that look like those of Services, and are not."""
    places = {(one.name, one.namespace) for one in objects.services}
    others = dict.fromkeys(one.namespace for one in objects.services)
    for service in objects.of_kind(CLUSTER_IP)[:4]:
        for namespace in [one for one in others if (service.name, one) not in places][:1]:
            row(f"other-namespace-{service.key}", "2.3.1", MUST, f"{service.key} is in its own namespace only",
                Ask(objects.under(service.name, namespace, "svc")), no_records())  # fmt: skip
        row(f"below-{service.key}", "2.3.1", SHOULD, f"a name below {service.key} that is no endpoint's has no address",
            Ask(objects.name_of(service, "no-such-label")), no_records(), skipped=service.missing)  # fmt: skip
    if objects.empty_namespace and objects.services:
        row("empty-namespace", "2.3.1", MUST, "a namespace without Services has none of other namespaces",
            Ask(objects.under(objects.services[0].name, objects.empty_namespace, "svc")), no_records())  # fmt: skip
    for name, namespace in objects.orphans:
        for qtype in ("A", "SRV"):
            before = ["_http", "_tcp"] if qtype == "SRV" else []
            row(f"{qtype}-{name}", "2.4.1", SHOULD, f"{name} is the name of a slice's Service that does not exist",
                Ask(objects.under(*before, name, namespace, "svc"), qtype), no_records())  # fmt: skip


def _case_insensitive(row: Collector, objects: ServedObjects) -> None:
    """Add the rows of §2.1: names are compared without regard to case."""
    found = [one for one in objects.of_kind(CLUSTER_IP) if one.named_ports and one.ips][:1]
    for service in found:
        plain = question_for(objects, service)
        ips = service.ips_of(V4) or service.ips_of(V6)
        name, port = objects.name_of(service), service.named_ports[0]
        srv_name = objects.name_of(service, f"_{port.name}", f"_{port.protocol}")
        expected = srv([(port.number, name)])
        for how, change in (("upper", str.upper), ("mixed", mixed)):
            row(f"{how}-a", "2.1", MUST, f"the case of a Service's name does not matter: {how}",
                Ask(change(name), plain.qtype), rrset(*ips))  # fmt: skip
            row(f"{how}-srv", "2.1", MUST, f"the case of port and protocol does not matter: {how}",
                Ask(change(srv_name), "SRV"), expected)  # fmt: skip
            row(f"{how}-ptr", "2.1", MUST, f"the case of a reverse name does not matter: {how}",
                Ask(change(reverse_of(ips[0])), "PTR"), rrset(name), hint=REVERSE)  # fmt: skip
            row(f"{how}-txt", "2.1", MUST, f"the case of dns-version does not matter: {how}",
                Ask(change(objects.under("dns-version")), "TXT"),
                each_record("a version", lambda one: _is_version(one.data)))  # fmt: skip


def _hosts_in_any_case(row: Collector, objects: ServedObjects) -> None:
    """Add the row of §2.1 for an endpoint's hostname."""
    for service in [one for one in objects.of_kind(HEADLESS) if one.hostnames() and one.addresses(V4)][:1]:
        host = service.hostnames()[0]
        addresses = [one.address for one in service.endpoints if one.hostname == host and one.family == V4]
        row("mixed-host", "2.1", MUST, "the case of a hostname does not matter",
            Ask(mixed(objects.name_of(service, host))), rrset(*addresses), skipped=service.missing)  # fmt: skip


def _external_name(row: Collector, objects: ServedObjects, service: ServedService) -> None:
    name, target = objects.name_of(service), service.external_name.lower().rstrip(".") + "."
    title = f"{service.key} is a CNAME to {target}"
    row(f"cname-{service.key}", "2.5", MUST, title, Ask(name, "CNAME"), rrset(target), skipped=service.missing)
    for qtype in ("A", "AAAA"):
        row(f"{qtype}-{service.key}", "2.5", MUST, f"{title}, which comes with {qtype} questions",
            Ask(name, qtype), has(target, rtype="CNAME"), skipped=service.missing)  # fmt: skip
    row(f"srv-{service.key}", "2.5", MUST, f"{service.key} has no ports, so no SRV records",
        Ask(objects.name_of(service, "_http", "_tcp"), "SRV"), no_records(), skipped=service.missing)  # fmt: skip


def _pods(row: Collector, objects: ServedObjects) -> None:
    """Add the rows of §2.6, which is deprecated, but required."""
    namespace = next((one.namespace for one in objects.services), "default")
    for text in POD_ADDRESSES:
        row(f"pod-{text}", "2.6", MUST, f"the pod name of {text.replace('-', '.')} is that address",
            Ask(objects.under(text, namespace, "pod")), rrset(text.replace("-", ".")), hint=PODS)  # fmt: skip
    for text in ("256-1-2-3", "1-2-3"):
        row(f"pod-{text}", "2.6", MUST, f"{text} is not an address, so it has no A record",
            Ask(objects.under(text, namespace, "pod")), no_records())  # fmt: skip
