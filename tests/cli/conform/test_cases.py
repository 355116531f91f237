"""The tables of cases: their number, IDs and levels, and what becomes of them with other objects."""

import re
from collections import Counter
from pathlib import Path

import dns.message
import dns.rdatatype
import pytest

from clusterdns.cli.conform import fixtures
from clusterdns.cli.conform.case import MUST, Ask, Case, Collector, EdnsFields, SuitePart, Way
from clusterdns.cli.conform.cases import multicluster, rfc, spec
from clusterdns.cli.conform.expect import nodata
from clusterdns.cli.conform.packet import packet_of
from clusterdns.cli.conform.served import Manifest, ServedObjects, served
from testing.conformance import KNOWN

PAGE = Path(__file__).resolve().parents[3] / "docs" / "conformance.md"
TITLES = {"Kubernetes DNS-based service discovery 1.1.0": "spec", "Multicluster DNS (KEP-1645)": "mcs", "RFCs": "rfc"}
SECTIONS = {"2.1", "2.2", "2.3.1", "2.3.2", "2.3.3", "2.4.1", "2.4.2", "2.4.3", "2.5", "2.6"}
SET_SECTIONS = {"2.1", "2.2", "2.3.1", "2.3.2", "2.3.3", "2.3.4", "2.4.1", "2.4.2", "2.4.3"}


def all_cases(objects: ServedObjects) -> list[Case]:
    return [*spec.cases(objects), *multicluster.cases(objects), *rfc.cases(objects)]


def test_each_section_of_the_specifications_has_cases(objects: ServedObjects) -> None:
    found = all_cases(objects)
    assert len(found) >= 600
    assert {one.section for one in found if one.part is SuitePart.SPEC} == SECTIONS
    assert {one.section for one in found if one.part is SuitePart.MCS} == SET_SECTIONS
    assert all(re.fullmatch(r"RFC \d+( §[\d.]+)?", one.section) for one in found if one.part is SuitePart.RFC)
    assert len({one.section.split()[1] for one in found if one.part is SuitePart.RFC}) >= 25


def test_ids_are_unique_and_easy_to_type(objects: ServedObjects) -> None:
    ids = [one.id for one in all_cases(objects)]
    assert [one for one, number in Counter(ids).items() if number > 1] == []
    assert [one for one in ids if not re.fullmatch(r"[a-z0-9.-]+", one)] == []
    assert {"spec-2.3.2-srv-web-http", "spec-2.4.1-a-db", "rfc-2308-2.2-service-txt"} <= set(ids)


def test_the_page_has_the_numbers_of_the_tables_and_the_known_failures(objects: ServedObjects) -> None:
    """Where this fails, run `python -m bench.conformance`, which needs the peers."""
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| (must|should|may) \|(.+)\|$", text, re.MULTILINE)
    numbers = {
        (TITLES[title], level): re.findall(r"of (\d+)", cells) for title, level, cells in rows if title in TITLES
    }
    made = Counter((str(one.part), str(one.level)) for one in all_cases(objects))
    assert {key: {int(number) for number in found} for key, found in numbers.items()} == {
        key: {number} for key, number in made.items()
    }
    for failures in KNOWN.values():
        assert all(f"| `{one.pattern}` | " in text and f"| {one.reason} |" in text for one in failures)


def test_two_cases_of_one_id_are_an_error() -> None:
    row = Collector(SuitePart.RFC)
    row("x", "RFC 1035 §1", MUST, "x", Ask("a."), nodata)
    with pytest.raises(ValueError, match="two cases are called rfc-1035-1-x"):
        row("x", "RFC 1035 §1", MUST, "x", Ask("b."), nodata)


def test_no_two_cases_ask_and_expect_the_same(objects: ServedObjects) -> None:
    """Only rows of the same questions with different checks are different cases."""
    seen = Counter(
        (one.way, one.title, tuple(ask.text for ask in one.asks)) for one in all_cases(objects) if one.way is Way.EACH
    )
    assert [key for key, number in seen.items() if number > 1] == []


def test_each_case_has_an_expectation(objects: ServedObjects) -> None:
    for one in all_cases(objects):
        assert one.asks
        assert one.checks or one.way in (Way.SILENT, Way.SURVIVES), one.id


def test_ids_do_not_depend_on_the_namespace() -> None:
    def ids(namespace: str) -> list[str]:
        manifests = fixtures.read(fixtures.text("cluster.local", namespace))
        return [one.id for one in all_cases(served(manifests, "cluster.local", "clusterset.local"))]

    assert ids("dns-conform") == ids("dns-conform-4f2a91")


def test_roles_that_no_object_plays_skip_their_cases() -> None:
    manifest = {
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "prod"},
        "spec": {"clusterIP": "10.96.0.10", "ports": [{"port": 80}]},
    }
    found = all_cases(served([manifest], "cluster.local", "clusterset.local"))
    skipped = {one.id: one.skipped for one in found if one.skipped}
    assert skipped["rfc-2181-5.2-ttl-large-a"] == "the objects have no headless Service of 80 IPv4 endpoints"
    assert skipped["rfc-1034-3.6.2-cname-a"] == "the objects have no ExternalName to another zone"
    assert {"spec-2.3.1-a-web", "rfc-2308-2.2-service-txt"}.isdisjoint(skipped)
    assert not any("role-without-object" in ask.name for one in found if not one.skipped for ask in one.asks)


@pytest.mark.parametrize(
    ("more", "missing"),
    [
        ((), ""),
        (({"kind": "Endpoints", "metadata": {"name": "db"}},), "its EndpointSlices are not in the manifests"),
        (({"kind": "Namespace", "metadata": {"name": "empty"}},), ""),
    ],
)
def test_endpoints_without_slices_are_not_taken_for_none(more: tuple[Manifest, ...], missing: str) -> None:
    service = {"kind": "Service", "metadata": {"name": "db"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}}
    (row,) = served([service, *more], "cluster.local", "clusterset.local").services
    assert row.missing == missing


def test_ports_of_headless_services_are_those_of_their_slices() -> None:
    ports = [{"name": "http", "port": 80}, {"name": "metrics", "port": 90}]
    service = {"kind": "Service", "metadata": {"name": "db"}, "spec": {"clusterIP": "None", "ports": ports}}
    slice_ = {
        "kind": "EndpointSlice",
        "metadata": {"name": "db-1", "labels": {"kubernetes.io/service-name": "db"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [{"addresses": ["10.0.0.1"]}],
    }
    (row,) = served([service, slice_], "cluster.local", "clusterset.local").services
    assert [(one.name, one.number) for one in row.ports] == [("http", 8080), ("metrics", 90)]


def test_services_of_many_namespaces_have_cases_of_their_own() -> None:
    """Names of namespaces may end alike."""
    places = [("web", "a-x"), ("web", "b-x"), ("web", "x"), ("db", "b-x")]
    manifests = [
        {
            "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": f"10.0.0.{number}"},
        }
        for number, (name, namespace) in enumerate(places, 1)
    ]
    ids = {one.id for one in spec.cases(served(manifests, "cluster.local", "clusterset.local"))}
    assert {"spec-2.3.1-a-web", "spec-2.3.1-a-b-x.web", "spec-2.3.1-a-x.web", "spec-2.3.1-a-b-x.db"} <= ids


@pytest.mark.parametrize(
    "ask",
    [
        Ask("WeB.cluster.local.", "SRV"),
        Ask("a\\046b.\\000.cluster.local.", "TYPE65280", flags=0),
        Ask(".", "NS", edns=EdnsFields(4096, flags=0x8000, options=((65_001, b"x"),))),
        Ask(".".join(["a" * 63] * 3 + ["b" * 61]) + "."),
    ],
    ids=lambda ask: ask.name[:20],
)
def test_packets_are_what_the_query_says(ask: Ask) -> None:
    message = dns.message.from_wire(packet_of(ask, 0x1234))
    (question,) = message.question
    assert (message.id, question.name.to_text(), int(message.flags)) == (0x1234, _dnspython(ask.name), ask.flags)
    assert question.rdtype == dns.rdatatype.from_text(ask.qtype)
    assert (message.edns >= 0) == (ask.edns is not None)
    if ask.edns is not None:
        assert (message.payload, message.ednsflags & 0xFFFF) == (ask.edns.payload, ask.edns.flags)
        assert [(int(one.otype), one.to_wire()) for one in message.options] == list(ask.edns.options)


def _dnspython(name: str) -> str:
    return name.replace("\\046", "\\.")
