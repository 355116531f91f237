"""A container with too little memory: the server logs it and answers, instead of being killed by the kernel."""

from pathlib import Path

from peers import need
from process.running import WEB, Start

from testing.waiting import wait_for

COREFILE = """
.:1053 {
    bind HOST
    kubernetes cluster.local {
        manifests cluster
    }
    cache
    forward . 127.0.0.1:9
}
"""


def test_memory_stays_below_the_limit_of_the_container(start: Start, tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(f"{40 << 20}\n")
    groups = "/sys/fs/cgroup"
    launcher = [need("bwrap"), "--die-with-parent", "--dev-bind", "/", "/", "--tmpfs", groups]
    launcher += ["--ro-bind", str(limit), f"{groups}/memory.max"]
    server = start(COREFILE, launcher=launcher).wait_serving()
    wait_for(lambda: "of 40 MiB; answer cache at its minimum" in server.out + server.err, "the warning")
    assert server.dig(WEB) == ["10.96.0.10"] == server.dig(WEB)
