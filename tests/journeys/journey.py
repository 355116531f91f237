"""The server under test in a pod's network, with a bridge from there to the API server."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from journeys import relay
from journeys.clients import dig, until
from journeys.clusters import POD_NETWORK, Cluster
from journeys.pod import Pod

from testing.peers import clusterdns
from testing.process import ServerProcess

COREFILE = """\
.:53 {
    errors
    health 127.0.0.1:8080
    ready 127.0.0.1:8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        %s
        pods insecure
        ttl 30
    }
    prometheus 127.0.0.1:9153
    loadbalance
}
"""
READY_PORT = 8181
READY = ("200", "OK")
START_SECONDS = 60.0


class Bridge:
    """A relay from the pod's network to the API server on the host's loopback, which tests interrupt."""

    def __init__(self, pod: Pod, folder: Path, api_address: str) -> None:
        self.api_address = api_address
        program, socket_path = [sys.executable, relay.__file__], str(folder / "api.sock")
        self._inside = pod.command(*program, api_address, socket_path)
        self._outside = [*program, socket_path, api_address]
        self._running: list[subprocess.Popen[bytes]] = []

    def up(self) -> None:
        """Start relaying."""
        for command in (self._outside, self._inside):
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            self._running.append(process)
            assert process.stdout is not None
            assert process.stdout.readline() == b"relaying\n", f"{command} ended at once"

    def down(self) -> None:
        """Stop relaying: close every connection and refuse new ones."""
        while self._running:
            with self._running.pop() as process:
                process.terminate()


@dataclass(frozen=True)
class Journey:
    """A cluster, a pod to ask from, and the server's log."""

    cluster: Cluster
    pod: Pod
    log: Path
    bridge: Bridge | None

    def pods(self, name: str, count: int, workload: str = "", namespace: str = "default") -> set[str]:
        """Wait until a name has `count` addresses, those of its workload's pods, and return them.

        The workload has the same name unless it is given.
        """

        def is_right(found: set[str]) -> bool:
            known = self.cluster.pod_addresses(workload or name, namespace)
            return len(found) == count and (known is None or found == known)

        found = until(lambda: set(dig(self.pod, "+search", name).data), is_right)
        assert all(one.startswith(POD_NETWORK) for one in found), found
        return found

    def readiness(self) -> tuple[str, str]:
        """Fetch /ready, and return its status and body."""
        return self.pod.http(READY_PORT, "/ready")


@contextlib.contextmanager
def served(journey: Journey, *options: str) -> Iterator[None]:
    """Run the server, and enter the context once it is ready. Fails the test if it ends with an error."""
    with launched(journey, *options) as server:
        server.wait_until(lambda: journey.readiness() == READY, "readiness", START_SECONDS)
        yield


@contextlib.contextmanager
def launched(journey: Journey, *options: str) -> Iterator[ServerProcess]:
    """Run the server with more options for `kubernetes`, and enter the context at once."""
    corefile = journey.log.with_name("Corefile")
    corefile.write_text(COREFILE % "\n        ".join((journey.cluster.directive(), *options)))
    command = journey.pod.command(str(clusterdns()), "-conf", str(corefile))
    with ServerProcess("clusterdns", command, journey.log) as server:
        yield server
        assert server.stop() == 0, server.out
        assert "Traceback" not in server.out
