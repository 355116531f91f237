"""`clusterdns top` with a running server that has `dashboard`: one picture, a live one, and a token."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from process.running import PORT, WEB, CorefileServer, Start
from program import Ended, run_script

from testing.dns_client import question
from testing.peers import clusterdns
from testing.terminal import ProgramTerminal
from testing.waiting import PATIENCE_SECONDS, wait_for

COREFILE = """.:1053 {
    bind HOST
    dashboard HOST:8053 {
        token TOKEN
    }
    kubernetes cluster.local {
        manifests cluster
    }
}
"""
NO_SUCH = "web.prodd.svc.cluster.local"
WHY = 'namespace "prodd" does not exist; did you mean "prod"?'


@contextmanager
def asked(server: CorefileServer) -> Iterator[None]:
    """Ask the server questions in a thread, so that there is something to see."""
    ended = threading.Event()

    def ask() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE_SECONDS)
            sock.connect((server.host, PORT))
            while not ended.is_set():
                for name in (WEB, NO_SUCH):
                    sock.send(question(name))
                    sock.recv(4096)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def server(start: Start, tmp_path: Path) -> CorefileServer:
    """A server with a token, which is in a file of the test's folder."""
    (tmp_path / "token").write_text("s3cret\n")
    return start(COREFILE.replace("TOKEN", str(tmp_path / "token"))).wait_serving()


def top(server: CorefileServer, *words: str) -> Ended:
    return run_script(["top", "--server", server.host, *words], server.folder.parent)


def test_one_picture_of_a_running_server(server: CorefileServer) -> None:
    refused = top(server, "--once")
    assert (refused.code, refused.out) == (2, "")
    assert "401 Unauthorized; name the file with the server's token with --token-file" in refused.err
    with asked(server):
        ended = top(server, "--once", "--json", "--token-file", "token")
        assert (ended.code, ended.err) == (0, "")
        document = json.loads(ended.out)
        assert document["observed_seconds"] > 0
        assert document["rates"]["questions"] > 0
        shown = wait_for(lambda: found if WHY in (found := top(server, "--token-file", "token").out) else "", "a cause")
    for text in (f"{WEB}.", f"{NO_SUCH}.", "NXDOMAIN ", "NOERROR ", f"{server.host}:8053", "manifests /"):
        assert text in shown


def test_a_running_server_live_in_a_terminal(server: CorefileServer) -> None:
    command = [str(clusterdns()), "top", "--server", server.host, "--token-file", str(server.folder.parent / "token")]
    with ProgramTerminal(command, 80, 24) as terminal:
        with asked(server):
            terminal.wait_for("NOERROR ")
            terminal.type("2")
            terminal.wait_for(f"{WEB}.")
            terminal.type("4")
            terminal.wait_for(lambda: WHY in " ".join(terminal.text.split()))
        manifest = server.folder / "cluster" / "web.yaml"
        manifest.write_text(manifest.read_text().replace("name: web", "name: shop"))
        terminal.type("6")
        terminal.wait_for("prod/shop")
        server.stop()
        terminal.wait_for("the last one is shown")
        terminal.type("q")
        assert terminal.end() == 0
