"""kube-apiserver: its command line, and a further one of the same cluster beside that which `supervisor` starts."""

from pathlib import Path

from testing.api import ApiClient
from testing.controlplane import binaries
from testing.ports import LOOPBACK, free_ports
from testing.process import ServerProcess

START_SECONDS = 120.0
WITHOUT_STREAMED_LISTS = "--feature-gates=WatchList=false"  # as API servers before Kubernetes 1.34


def arguments(folder: Path, etcd_url: str, address: str) -> list[str]:
    """Return the arguments for an address of loopback (`host:port`); keys and certificates are in the folder."""
    host, port = address.split(":")
    return [
        f"--etcd-servers={etcd_url}", f"--bind-address={host}", f"--secure-port={port}",
        f"--advertise-address={host}", f"--cert-dir={folder}", "--endpoint-reconciler-type=none",
        f"--tls-cert-file={folder}/server.crt", f"--tls-private-key-file={folder}/server.key",
        f"--client-ca-file={folder}/ca.crt", "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder}/server.crt",
        f"--service-account-signing-key-file={folder}/server.key",
        "--service-cluster-ip-range=10.96.0.0/12,fd00:10:96::/112", "--allow-privileged",
        "--disable-admission-plugins=ServiceAccount",  # pods need no token that a kubelet would mount
    ]  # fmt: skip


class FurtherApiServer:
    """Another API server of the cluster, whose watch cache is empty when it starts."""

    def __init__(self, folder: Path, etcd_url: str, kubeconfig: Path, *options: str) -> None:
        """Start it, and wait until it is ready. Raises ServerFailed."""
        (port,) = free_ports(1)
        self.url = f"https://{LOOPBACK}:{port}"
        self._kubeconfig = kubeconfig
        command = [
            str(binaries.find() / "kube-apiserver"),
            *arguments(folder, etcd_url, f"{LOOPBACK}:{port}"),
            *options,
        ]
        self._server = ServerProcess("kube-apiserver", command, folder / f"kube-apiserver-{port}.log")
        self._wait_ready()

    def start(self) -> None:
        """Start it again, and wait until it is ready. Raises ServerFailed."""
        self._server.start()
        self._wait_ready()

    def kill(self) -> None:
        """Kill it."""
        self._server.kill()

    def _wait_ready(self) -> None:
        with ApiClient(self._kubeconfig, self.url) as client:
            self._server.wait_until(client.is_ready, "readiness", START_SECONDS)
