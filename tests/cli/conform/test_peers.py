"""The suite against real servers: clusterdns both ways, CoreDNS and Knot; what each fails is known, with the reason."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peers
import pytest

from testing import conformance, controlplane
from testing.conformance import COREDNS, KNOT, KNOWN, OURS
from testing.controlplane import ControlPlane
from testing.multicluster import CRD
from testing.peers import MissingPeer, clusterdns
from testing.ports import free_ports
from testing.process import ServerProcess

FILE_COREFILE = f""".:{{port}} {{{{
    bind {conformance.ADDRESS}
    kubernetes {conformance.ZONES} {{{{
        manifests fixtures.yaml
        pods insecure
        multicluster clusterset.local
    }}}}
}}}}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with the CRD of ServiceImports, which other tests must not see."""
    try:
        with controlplane.shared(tmp_path_factory.mktemp("control-plane")) as running:
            running.apply(CRD)
            yield running
    except MissingPeer as error:
        peers.skip_or_fail(error)


def assert_as_known(name: str, report: dict[str, Any], parts: set[str]) -> None:
    """Each failure is known, and each known failure of the parts is seen."""
    failed = conformance.failures(report)
    assert {case: why for case, why in failed.items() if conformance.known(name, case) is None} == {}
    asked = [one for one in KNOWN[name] if one.pattern.partition("-")[0] in parts]
    assert {one.pattern for one in asked} == {
        one.pattern for case in failed if (one := conformance.known(name, case)) is not None
    }
    assert all(one["verdict"] != "skipped" for one in report["cases"])
    assert {one["part"] for one in report["cases"]} == parts


@pytest.mark.peer("kube-apiserver")
@pytest.mark.parametrize("name", [OURS, pytest.param(COREDNS, marks=pytest.mark.peer("coredns"))])
def test_in_a_cluster(name: str, cluster: ControlPlane, tmp_path: Path) -> None:
    if name == COREDNS:
        peers.need("coredns")
    before = {one["metadata"]["name"] for one in cluster.list("Namespace")}
    with conformance.live(name, cluster, tmp_path) as address:
        report = conformance.run(address, ["--kubeconfig", str(cluster.kubeconfig)])
    assert_as_known(name, report, {"spec", "mcs", "rfc"})
    assert len(report["cases"]) >= 300
    assert {one["metadata"]["name"] for one in cluster.list("Namespace")} == before


@pytest.mark.peer("knotd")
def test_knot_on_the_zone_file(tmp_path: Path) -> None:
    peers.need("knotd")
    with conformance.knot(tmp_path) as address:
        report = conformance.run(address, ["--part", "rfc"])
    assert_as_known(KNOT, report, {"rfc"})


def test_clusterdns_on_the_printed_objects(tmp_path: Path, fixtures_text: str) -> None:
    (port,) = free_ports(1)
    (tmp_path / "fixtures.yaml").write_text(fixtures_text)
    (tmp_path / "Corefile").write_text(FILE_COREFILE.format(port=port))
    command = [str(clusterdns()), "-conf", "Corefile"]
    with ServerProcess(OURS, command, tmp_path / "log", cwd=tmp_path) as server:
        server.wait_until(lambda: "clusterdns-" in server.out, "the banner")
        own = conformance.run(f"{conformance.ADDRESS}:{port}", [])
        given = conformance.run(f"{conformance.ADDRESS}:{port}", ["--manifests", str(tmp_path / "fixtures.yaml")])
    assert_as_known(OURS, own, {"spec", "mcs", "rfc"})
    assert [one["id"] for one in own["cases"]] == [one["id"] for one in given["cases"]]
    assert own["totals"] == given["totals"]
