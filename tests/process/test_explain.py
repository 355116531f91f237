"""`clusterdns explain` as the installed script: with a running server, and as the plugin of kubectl."""

import json
import os
from pathlib import Path

import pytest
from peers import need
from process.running import WEB, Start
from program import run_script

from testing.peers import clusterdns

NOTHING_THERE = (
    "resolves: Service prod/web (ClusterIP), but nothing answers there: Service prod/web exists, has no selector,"
    " and no EndpointSlice names it; add a selector to the Service, or an EndpointSlice with the label"
    " kubernetes.io/service-name"
)
COREFILE = """.:1053 {
    bind HOST
    ready HOST:8181
    log
    prometheus HOST:9153
    acl {
        block net 192.0.2.0/24
    }
    kubernetes cluster.local {
        manifests cluster
    }
    loop
    forward . HOST:1053
}
"""


def test_a_running_server_explains_names(start: Start, tmp_path: Path) -> None:
    server = start(COREFILE).wait_serving()

    def explained(*words: str) -> tuple[int, str]:
        ended = run_script(["explain", "--server", server.host, *words], tmp_path)
        assert ended.err == ""
        return ended.code, ended.out

    code, out = explained(WEB)
    assert (code, out.partition("\n")[0]) == (0, NOTHING_THERE)
    assert "(cluster/web.yaml:2)" in out or "/cluster/web.yaml:2)" in out
    assert f"{WEB}. 5 IN A 10.96.0.10" in out
    code, out = explained("wbe.prod.svc.cluster.local", "--json")
    assert code == 1
    assert json.loads(out)["verdict"]["line"].endswith('did you mean "web"?')
    assert explained(WEB, "--client", "192.0.2.7")[1].startswith("refused by acl at ")
    code, out = explained("web", "--from", "prod")
    assert code == 0
    assert f"-> {WEB}." in out
    server.wait_until(lambda: "Loop (" in server.out + server.err, "the loop to be found", 20)
    code, out = explained("www.example.com")
    assert code == 1
    assert out.startswith("SERVFAIL: forwarding leads back to this server")
    assert server.metric("coredns_dns_requests_total", type="A") == 0
    assert WEB not in server.out


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["a..b"], 2, "not a domain name: label of 0 bytes"),
        (["a", "NOSUCH"], 2, "is not a type"),
        (["a", "-f", "x.yaml"], 2, "--server explains by itself; leave out --manifests"),
        ([], 2, "name one NAME"),
    ],
)
def test_wrong_requests_to_a_server(start: Start, tmp_path: Path, words: list[str], code: int, text: str) -> None:
    server = start(".:1053 {\n bind HOST\n ready HOST:8181\n whoami\n}\n").wait_serving()
    ended = run_script(["explain", *words, "--server", server.host], tmp_path)
    assert (ended.code, ended.out) == (code, "")
    assert text in ended.err


def test_a_server_that_does_not_run_is_not_known(tmp_path: Path) -> None:
    ended = run_script(["explain", "a", "--server", "127.0.0.1:1"], tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "does the server run, with 'ready' in its Corefile?" in ended.err


def test_kubectl_runs_the_plugin(tmp_path: Path) -> None:
    folder = clusterdns().parent
    environ = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    (tmp_path / "Corefile").write_text(".:53 {\n hosts /dev/null {\n  192.0.2.1 a.example\n }\n}\n")
    ended = run_script(
        ["dns", "explain", "--conf", "Corefile", "a.example"], tmp_path, environ=environ, program=need("kubectl")
    )
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("resolves: 1 record, from hosts at Corefile:2")
    ended = run_script(["dns", "explain"], tmp_path, environ=environ, program=need("kubectl"))
    assert ended.code == 2
    assert ended.err.startswith("kubectl dns explain: 0 arguments")
