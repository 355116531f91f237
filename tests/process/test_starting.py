"""Failed starts: the error has place and hint. Successful ones: few permissions, no HOME, a read-only root."""

import os
import socket
import subprocess
from pathlib import Path

import pytest
from peers import missing, need
from process.running import PORT, WEB, Start

from testing.ports import new_address

COREFILE = f"""
.:{PORT} {{
    bind HOST
    health HOST:8080
    ready HOST:8181
    kubernetes cluster.local {{
        manifests cluster
    }}
    prometheus HOST:9153
}}
"""
NOBODY = "65532"


def test_a_second_process_on_the_port_fails_and_with_multisocket_shares_it(start: Start) -> None:
    host = new_address()
    text = f".:{PORT} {{\n bind {host}\n whoami\n}}\n"
    first = start(text).wait_serving()
    second = start(text)
    assert second.wait_ended() == 1
    assert second.err.startswith(f"listen udp {host}:{PORT}: address already in use ")
    assert first.stop() == 0
    shared = text.replace("whoami", "multisocket 1\n whoami")
    for _ in range(2):
        start(shared).wait_serving()


def test_every_error_is_printed_and_nothing_is_bound(start: Start) -> None:
    corefile = COREFILE.replace("prometheus", "promethus").replace("manifests", "manifest")
    host = new_address()
    with socket.create_server((host, PORT)):  # had it tried to bind the port, this would be the error
        server = start(corefile.replace("HOST", host))
        assert server.wait_ended() == 1
    lines = server.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{server.folder}/Corefile:7: ")
    assert lines[1].startswith(f"{server.folder}/Corefile:9: Unknown directive 'promethus'; ")
    assert "'manifests'" in lines[0]
    assert "'prometheus'" in lines[1]
    assert server.out == ""


TAKEN = {
    "DNS over UDP": (socket.SOCK_DGRAM, PORT, "listen udp HOST:1053: address already in use (asked for by FILE:2: "),
    "DNS over TCP": (socket.SOCK_STREAM, PORT, "listen tcp HOST:1053: address already in use (asked for by FILE:2: "),
    "health": (socket.SOCK_STREAM, 8080, "FILE:4: health: cannot listen on HOST:8080: Address already in use; "),
    "metrics": (socket.SOCK_STREAM, 9153, "FILE:9: prometheus: cannot listen on HOST:9153: Address already in use; "),
}


@pytest.mark.parametrize(("kind", "port", "text"), TAKEN.values(), ids=TAKEN.keys())
def test_a_port_in_use(start: Start, kind: socket.SocketKind, port: int, text: str) -> None:
    host = new_address()
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind((host, port))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        server = start(COREFILE.replace("HOST", host))
        assert server.wait_ended() == 1
    expected = text.replace("HOST", host).replace("FILE", f"{server.folder}/Corefile")
    assert server.err.startswith(expected)
    assert len(server.err.splitlines()) == 1
    assert "; " in server.err


def test_two_directives_with_the_same_port(start: Start) -> None:
    server = start(COREFILE.replace("HOST:8181", f"HOST:{PORT}"))
    assert server.wait_ended() == 1
    expected = f"{server.folder}/Corefile:5: ready: cannot listen on {server.host}:{PORT}: Address already in use; "
    assert server.err.startswith(expected), "DNS listens first"


def test_an_address_of_another_host(start: Start) -> None:
    server = start(COREFILE.replace("bind HOST", "bind 192.0.2.77"))
    assert server.wait_ended() == 1
    assert server.err.startswith("listen udp 192.0.2.77:1053: cannot assign requested address (asked for by ")


def test_manifests_that_do_not_exist(start: Start) -> None:
    server = start(COREFILE.replace("manifests cluster", "manifests nowhere"))
    assert server.wait_ended() == 1
    assert "nowhere" in server.err
    assert len(server.err.splitlines()) == 1


def in_sandbox(*options: str) -> list[str]:
    """The start of a command line: as uid 65532 with no capability, on a read-only file system, with no HOME or TMP."""
    sandbox = [
        need("bwrap"), "--unshare-user", "--uid", NOBODY, "--gid", NOBODY, "--ro-bind", "/", "/", "--dev-bind", "/dev",
        "/dev", "--proc", "/proc", "--chdir", "/", "--setenv", "HOME", "/nowhere", "--setenv", "TMPDIR", "/nowhere",
        "--setenv", "PYTHONDONTWRITEBYTECODE", "1", "--cap-drop", "ALL", *options, "--",
    ]  # fmt: skip
    tried = subprocess.run([*sandbox, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        missing("a sandbox", f"allow bwrap to make user namespaces ({tried.stderr.strip()})")
    return sandbox


def test_an_unprivileged_user_on_a_read_only_root_can_run_the_server(start: Start) -> None:
    server = start(COREFILE, launcher=in_sandbox("--die-with-parent")).wait_serving()
    status = Path(f"/proc/{server.child()}/status").read_text()
    assert "CapEff:\t0000000000000000" in status
    assert server.dig("+tcp", WEB, "A") == ["10.96.0.10"]
    assert server.get(8181, "/ready").status == 200
    assert server.err == ""


def test_a_low_port_without_permission(start: Start) -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 53:
        pytest.skip("every user may bind port 53 here")
    server = start(COREFILE.replace(f".:{PORT}", "."), launcher=in_sandbox())
    assert server.wait_ended() == 1
    place = f"{server.folder}/Corefile:2: server block ."
    assert server.err == (
        f"listen udp {server.host}:53: permission denied (asked for by {place});"
        " ports below 1024 need the capability NET_BIND_SERVICE\n"
    )


def test_one_capability_is_enough_for_a_low_port(start: Start) -> None:
    sandbox = in_sandbox("--unshare-net", "--cap-add", "CAP_NET_BIND_SERVICE", "--die-with-parent")
    server = start(COREFILE.replace(f".:{PORT}", ".").replace("HOST", "127.0.0.1"), launcher=sandbox).wait_serving()
    command = [need("nsenter"), "--target", str(server.child()), "--user", "--net", "--preserve-credentials"]
    asked = subprocess.run(
        [*command, need("dig"), "@127.0.0.1", "+short", "+tries=1", WEB, "A"],
        capture_output=True, text=True, check=False, env=os.environ,
    )  # fmt: skip
    assert (asked.stdout, asked.stderr) == ("10.96.0.10\n", "")
