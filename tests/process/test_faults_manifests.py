"""Faults in manifests, seen from outside: the log, /ready and /metrics of a server that answers all the same."""

import os
from pathlib import Path

import pytest
from process.running import MANIFEST, WEB, CorefileServer, Start

from testing.waiting import wait_for

COREFILE = """
.:1053 {
    bind HOST
    ready HOST:8181
    prometheus HOST:9153
    kubernetes cluster.local {
        manifests cluster
    }
}
"""
METRIC = "clusterdns_manifest_problems"
LONG_AGO = 1_000_000_000


def write(folder: Path, name: str, text: str) -> None:
    """Replace a manifest at once, with a time that does not make the server wait for its writer."""
    new = folder / f".{name}.new"
    new.write_text(text)
    os.utime(new, (LONG_AGO, LONG_AGO))
    new.rename(folder / name)


FAULTS = {  # metric's label: (text of x.yaml, what the log and /ready say after the path of the file)
    "file": ("kind: Service\nmetadata: [\n", ":2: "),
    "kind": ("apiVersion: v1\nkind: Sevice\nmetadata: {name: db, namespace: prod}\n", ":1: Sevice prod/db: "),
    "skipped": ("kind: Service\nmetadata: {name: db, namespace: prod}\nspec: {ports: 7}\n", ":1: Service prod/db: "),
    "duplicate": (MANIFEST, ":2: Service prod/web: is also in "),
    "endpoints": (
        "# two\n# comments\nkind: Service\nmetadata: {name: db, namespace: prod}\nspec: {selector: {app: db}}\n",
        ":3: Service prod/db: its selector app=db matches no pod",
    ),
}


def ready(server: CorefileServer) -> str:
    """Return the body of /ready, whose status is 200 whatever the manifests are like."""
    page = server.get(8181, "/ready")
    assert page.status == 200, page.text
    return page.text


@pytest.mark.parametrize("problem", FAULTS)
def test_a_fault_is_reported_once_while_it_lasts_and_once_when_it_is_resolved(start: Start, problem: str) -> None:
    text, said = FAULTS[problem]
    server = start(COREFILE).wait_serving()
    folder = server.folder / "cluster"
    write(folder, "web.yaml", MANIFEST)
    assert ready(server) == "OK"
    write(folder, "x.yaml", text)
    place = f"{folder}/x.yaml{said}"
    wait_for(lambda: place in ready(server), "the problem at /ready")
    assert ready(server).startswith(f"OK\nkubernetes: {place}")
    assert server.metric(METRIC, problem=problem) == server.metric(METRIC) == 1
    write(folder, "y.yaml", MANIFEST.replace("web", "other"))
    wait_for(lambda: server.dig("other.prod.svc.cluster.local"), "a later poll")
    write(folder, "x.yaml", "# nothing\n")
    wait_for(lambda: ready(server) == "OK", "the end of the problem")
    assert server.metric(METRIC) == 0
    lines = [line for line in server.out.splitlines() if place in line]
    assert [line.split()[0] for line in lines] == ["[ERROR]" if problem == "file" else "[WARNING]", "[INFO]"]
    assert "resolved: " in lines[1]
    assert server.dig(WEB) == ["10.96.0.10"]


def test_a_folder_that_vanishes_and_comes_back(start: Start, tmp_path: Path) -> None:
    server = start(COREFILE).wait_serving()
    folder = server.folder / "cluster"
    folder.rename(tmp_path / "elsewhere")
    wait_for(lambda: ready(server) == f"OK\nkubernetes: {folder}: No such file or directory", "the problem at /ready")
    assert server.dig(WEB) == ["10.96.0.10"], "its last good content is served"
    (tmp_path / "elsewhere").rename(folder)
    wait_for(lambda: ready(server) == "OK", "the end of the problem")
    lines = [line for line in server.out.splitlines() if "No such file" in line]
    assert [line.split()[0] for line in lines] == ["[ERROR]", "[INFO]"]
