"""`clusterdns status` with a server of its own, as the installed script."""

import json
from pathlib import Path

from process.running import Start
from program import run_script

from clusterdns.corefile.load import load

COREFILE = """.:1053 {
    bind HOST
    ready HOST:8181
    kubernetes cluster.local {
        manifests cluster
    }
    forward . HOST:5399
}
"""


def test_the_status_of_a_running_server(start: Start, tmp_path: Path) -> None:
    server = start(COREFILE).wait_serving()
    ended = run_script(["status", "--server", server.host], tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("state: current\n")
    ended = run_script(["status", "-s", f"{server.host}:8181", "-o", "json"], tmp_path)
    found = json.loads(ended.out)
    assert found["upstreams"][0]["to"] == f"{server.host}:5399"
    assert found["corefile_sha512"] in server.get(8181, "/status").text
    assert found["corefile_sha512"] == load(str(server.folder / "Corefile"), environ={}).sha512
    server.kill()
    assert run_script(["status", "--server", server.host], tmp_path).code == 2
