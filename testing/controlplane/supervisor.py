"""A program that starts the servers of a control plane in a folder, and stops them after their last user.

    python -m testing.controlplane.supervisor FOLDER

Every user holds a shared lock on `users.lock`. The supervisor tries to take that lock for itself: when it succeeds, the
last user has ended, even if it was killed.
"""

import contextlib
import fcntl
import http.client
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from testing import certificates, kubeconfig
from testing.api import ApiClient, ApiError
from testing.controlplane import apiserver, binaries
from testing.controlplane.control_plane import NODE
from testing.ports import LOOPBACK, free_ports
from testing.process import ServerProcess

CONTROLLERS = (
    "endpoints-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "daemonset-controller",
    "namespace-controller",
    "serviceaccount-controller",
)


class Supervisor:
    """Starts the servers, and stops them when no user is left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._binaries = binaries.find()
        self._servers: list[ServerProcess] = []
        self._etcd, self._peer, self._secure = (f"{LOOPBACK}:{port}" for port in free_ports(3))

    def run(self) -> None:
        """Start the servers, wait for the end of the last user, and stop them. Raises ServerFailed."""
        folder = self._folder
        try:
            self._make_certificates()
            self._start_etcd()
            with ApiClient(kubeconfig.write(folder, "admin", f"https://{self._secure}")) as client:
                self._start_apiserver(client)
                self._start_controller_manager(client)
            ready = folder / "ready.json.new"
            ready.write_text(json.dumps({"etcd": f"http://{self._etcd}"}))
            ready.rename(folder / "ready.json")
            with (folder / "users.lock").open("w") as users:
                _wait_until_alone(users)
                (folder / "ready.json").unlink()  # while the lock is held, so that the next user starts anew
                self._stop()
        finally:
            self._stop()

    def _make_certificates(self) -> None:
        folder = self._folder
        certificates.make_authority(folder)
        certificates.sign(folder, "server", "/CN=kube-apiserver", f"IP:{LOOPBACK},DNS:localhost,IP:10.96.0.1")
        certificates.sign(folder, "admin", "/CN=admin/O=system:masters")

    def _start_etcd(self) -> None:
        client, peer = f"http://{self._etcd}", f"http://{self._peer}"
        self._start(
            "etcd", f"--data-dir={self._folder}/etcd", "--unsafe-no-fsync", "--log-level=warn",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
        )  # fmt: skip

    def _start_apiserver(self, client: ApiClient) -> None:
        self._start("kube-apiserver", *apiserver.arguments(self._folder, f"http://{self._etcd}", self._secure))
        self._wait_until(client.is_ready)
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        self._wait_until(lambda: client.apply(node))

    def _start_controller_manager(self, client: ApiClient) -> None:
        if not (self._binaries / binaries.CONTROLLER_MANAGER).is_file():
            return
        folder = self._folder
        self._start(
            binaries.CONTROLLER_MANAGER, f"--kubeconfig={folder}/admin.kubeconfig",
            f"--controllers={','.join(CONTROLLERS)}",
            "--leader-elect=false", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000",
            f"--service-account-private-key-file={folder}/server.key", f"--root-ca-file={folder}/ca.crt",
            f"--cert-dir={folder}",
        )  # fmt: skip
        self._wait_until(lambda: client.find("ServiceAccount", "default", "default"))

    def _start(self, name: str, *arguments: str) -> None:
        command = [str(self._binaries / name), *arguments]
        self._servers.append(ServerProcess(name, command, self._folder / f"{name}.log"))

    def _wait_until(self, is_ready: Callable[[], object]) -> None:
        """Wait for the server that was started last, as long as all servers run."""

        def check() -> object:
            for server in self._servers:
                server.require_running("readiness of all")
            # an API server that starts refuses connections, closes accepted ones, and answers 403 and 500
            with contextlib.suppress(ApiError, OSError, http.client.HTTPException):
                return is_ready()
            return False

        self._servers[-1].wait_until(check, "readiness", apiserver.START_SECONDS)

    def _stop(self) -> None:
        """Stop the servers, the last one first."""
        while self._servers:
            self._servers.pop().stop()


def _wait_until_alone(users: IO[str]) -> None:
    while True:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(0.1)


def main() -> None:
    """Supervise until the last user has ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    Supervisor(Path(sys.argv[1])).run()


if __name__ == "__main__":
    main()
