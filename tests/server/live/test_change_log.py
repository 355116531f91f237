"""The words for changes of the cluster."""

import re

import pytest

from clusterdns.cluster.objects import Change, Endpoint, EndpointSlice, Namespace, Object, Pod, Port, Service
from clusterdns.server.live.change_log import MAX_PER_SECOND, MAX_SHOWN, ChangeLog

HTTP, DNS = Port("http", 80, "TCP"), Port("dns", 53, "UDP")
WEB = Service("prod", "web", cluster_ips=("10.96.0.1",), ports=(HTTP,))
ONE, TWO, THREE = (Endpoint((f"10.1.0.{n}",)) for n in (1, 2, 3))


def slice_of(*endpoints: Endpoint, unready: tuple[str, ...] = (), ports: tuple[Port, ...] = (HTTP,)) -> EndpointSlice:
    return EndpointSlice("prod", "web-x1", "web", ports, endpoints, unready)


MANY = tuple(Endpoint((f"10.2.0.{n}",)) for n in range(100))


@pytest.mark.parametrize(
    ("old", "new", "label", "texts"),
    [
        (None, WEB, "prod/web", ["Service created: ClusterIP, 10.96.0.1, http 80/TCP"]),
        (WEB, None, "prod/web", ["Service deleted"]),
        (WEB, Service("prod", "web", headless=True, ports=(HTTP,)), "prod/web", ["clusterIP: 10.96.0.1 → None"]),
        (WEB, Service("prod", "web", cluster_ips=("10.96.0.1",), ports=(HTTP, DNS)), "prod/web",
         ["ports: http 80/TCP → http 80/TCP, dns 53/UDP"]),
        (WEB, Service("prod", "web", "ExternalName", external_name="a.example"), "prod/web",
         ["type: ClusterIP → ExternalName", "clusterIP: 10.96.0.1 → none", "ports: http 80/TCP → none",
          "externalName: none → a.example"]),
        (WEB, WEB, "prod/web", []),
        (None, slice_of(ONE), "prod/web", ["endpoint 10.1.0.1 ready"]),
        (slice_of(ONE), slice_of(ONE, TWO, THREE), "prod/web", ["endpoints 10.1.0.2, 10.1.0.3 ready"]),
        (slice_of(ONE, TWO), slice_of(ONE), "prod/web", ["endpoint 10.1.0.2 removed"]),
        (slice_of(ONE, TWO), slice_of(ONE, unready=("10.1.0.2",)), "prod/web", ["endpoint 10.1.0.2 not ready"]),
        (slice_of(ONE), slice_of(TWO), "prod/web", ["endpoint 10.1.0.2 ready", "endpoint 10.1.0.1 removed"]),
        (slice_of(ONE), slice_of(Endpoint(("10.1.0.1",), "db-0")), "prod/web", ["endpoint 10.1.0.1 changed"]),
        (slice_of(ONE), slice_of(ONE, ports=(DNS,)), "prod/web", ["ports of the slice changed"]),
        (slice_of(ONE), None, "prod/web", ["endpoint 10.1.0.1 removed"]),
        (None, slice_of(*MANY), "prod/web", ["endpoints 10.2.0.0, 10.2.0.1, 10.2.0.10 and 97 more ready"]),
        (None, EndpointSlice("prod", "orphan"), "prod/orphan", []),
        (None, Namespace("prod"), "prod", ["Namespace created"]),
        (Namespace("prod"), None, "prod", ["Namespace deleted"]),
        (None, Pod("prod", "web-0", ("10.1.0.1",)), "prod/web-0", ["Pod created"]),
        (Pod("prod", "web-0"), Pod("prod", "web-0", ("10.1.0.1",)), "prod/web-0", ["Pod changed"]),
    ],
)  # fmt: skip
def test_a_change_in_words(old: Object | None, new: Object | None, label: str, texts: list[str]) -> None:
    log = ChangeLog(lambda: 1_700_000_000.25)
    log.add(Change(old, new), 0.0004)
    rows = log.rows()[::-1]
    assert [row["text"] for row in rows] == texts
    for row in rows:
        assert row["object"] == label
        assert row["kind"] == type(new or old).__name__
        assert row["at"] == "2023-11-14T22:13:20.250Z"
        assert row["seconds"] == 0.0004


def test_the_newest_come_first_and_a_relist_is_summed_up() -> None:
    log = ChangeLog()
    for number in range(10_000):
        log.add(Change(None, Namespace(f"n{number}")), 0.0)
    log.end_second()
    first, second, *others = log.rows()
    assert len(others) + 2 == MAX_SHOWN
    assert first["text"] == f"{10_000 - MAX_PER_SECOND:,} more changes within a second"
    assert second["object"] == f"n{MAX_PER_SECOND - 1}"
    log.add(Change(None, Namespace("later")), 0.0)
    assert log.rows()[0]["object"] == "later"


def test_a_long_name_is_cut() -> None:
    log = ChangeLog()
    log.add(Change(None, Namespace("n" * 5000)), 0.0)
    assert re.fullmatch("n{200}", log.rows()[0]["object"])
