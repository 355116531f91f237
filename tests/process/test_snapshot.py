"""A process that is killed and started again while its API server is away, stalls or refuses: it knows what it knew."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import dns.message
import dns.rcode
import pytest
from process.running import PORT, CorefileServer, Start

from testing.fake_apiserver import NAMESPACES, SERVICES, SLICES, FakeApiServer, page, serving, status, unused_port
from testing.loop_thread import LoopThread
from testing.waiting import wait_for

NAMES = 200
COREFILE = """
.:%d {
    bind HOST
    ready HOST:8181
    prometheus HOST:9153
    kubernetes cluster.local {
        endpoint http://127.0.0.1:%d
        startup_timeout 1h
    }
}
"""


class ApiThread:
    """An API server in a thread."""

    def __init__(self) -> None:
        self.api = FakeApiServer()
        self.api.lists[NAMESPACES] = [{"metadata": {"name": "prod"}}, {"metadata": {"name": "kube-system", "uid": "u"}}]
        self.api.lists[SERVICES] = [
            {"metadata": {"name": f"web-{number}", "namespace": "prod"}, "spec": {"clusterIP": address(number)}}
            for number in range(NAMES)
        ]
        self._bound = unused_port()
        self.port: int = self._bound.getsockname()[1]
        self._thread = LoopThread("api")
        self._thread.start()
        self._serving: AbstractAsyncContextManager[object] | None = None

    def listen(self) -> None:
        self._serving = serving(self.api, bound=self._bound)
        self._thread.call(self._serving.__aenter__())

    def leave(self) -> None:
        """Stop listening; connections are refused then."""
        if self._serving is not None:
            self._thread.call(self._serving.__aexit__(None, None, None))
            self._serving = None

    def stop(self) -> None:
        self.leave()
        self._thread.stop()


@pytest.fixture
def api() -> Iterator[ApiThread]:
    thread = ApiThread()
    thread.listen()
    yield thread
    thread.stop()


def address(number: int) -> str:
    return f"10.0.1.{number}"


def away(api: ApiThread) -> None:
    api.leave()


def stalling(api: ApiThread) -> None:
    for path in (SERVICES, SLICES, NAMESPACES):
        api.api.script(path, *[api.api.stream()] * 20)


def refusing(api: ApiThread) -> None:
    for path in (SERVICES, SLICES, NAMESPACES):
        api.api.script(path, *[status(401)] * 1000)


def ask(server: CorefileServer, name: str) -> str:
    """The address of a Service, or the response code; asked again until the socket is bound."""
    query = dns.message.make_query(f"{name}.prod.svc.cluster.local.", "A").to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(30)
        sock.connect((server.host, PORT))

        def reply() -> dns.message.Message | None:
            try:
                sock.send(query)
                return dns.message.from_wire(sock.recv(4096))
            except ConnectionRefusedError:
                server.require_running("the first reply")
                return None

        found = wait_for(reply, "the bind")
    return str(found.answer[0][0]) if found.answer else dns.rcode.to_text(found.rcode())


@pytest.mark.parametrize("fault", [away, stalling, refusing])
def test_a_killed_process_is_right_from_its_first_reply_on(
    start: Start, api: ApiThread, fault: Callable[[ApiThread], None], tmp_path: Path
) -> None:
    corefile = COREFILE % (PORT, api.port)
    first = start(corefile, "-state", str(tmp_path / "state")).wait_serving()
    wait_for(lambda: list((tmp_path / "state").glob("*.snapshot")), "the snapshot")
    first.send_signal(signal.SIGKILL)
    first.wait_ended()
    fault(api)
    second = start(corefile, "-state", str(tmp_path / "state"))
    assert [ask(second, f"web-{number}") for number in range(NAMES)] == [address(number) for number in range(NAMES)]
    assert ask(second, "later") == "SERVFAIL"
    second.wait_serving()  # although startup_timeout is an hour
    page = second.get(8181, "/ready")
    assert page.status == 200
    assert page.text.startswith("OK\nkubernetes: answering from the snapshot of ")
    assert second.metric("clusterdns_snapshot_bytes") > 0
    assert second.metric("clusterdns_snapshot_errors_total") == 0


def test_the_last_change_is_saved_at_the_end(start: Start, api: ApiThread, tmp_path: Path) -> None:
    event = b'{"type":"ADDED","object":{"metadata":{"name":"late","namespace":"prod","resourceVersion":"5000"},"spec":'
    event += b'{"clusterIP":"10.0.2.1"}}}\n'
    api.api.script(SERVICES, page(*api.api.lists[SERVICES], version="100"), api.api.stream(event))
    corefile = COREFILE % (PORT, api.port)
    first = start(corefile, "-state", str(tmp_path / "state")).wait_serving()
    wait_for(lambda: ask(first, "late") == "10.0.2.1", "the event")
    first.send_signal(signal.SIGTERM)
    assert first.wait_ended() == 0
    away(api)
    second = start(corefile, "-state", str(tmp_path / "state"))
    assert ask(second, "late") == "10.0.2.1"
