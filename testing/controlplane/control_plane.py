"""The users' side of the control plane: start it once per folder, change its objects, play the kubelet."""

import contextlib
import fcntl
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from testing import certificates, kubeconfig
from testing.api import ApiClient
from testing.controlplane import binaries
from testing.controlplane.apiserver import FurtherApiServer

ROOT = Path(__file__).resolve().parents[2]
NODE = "node-1"  # the only one


class ControlPlane(ApiClient):
    """The running control plane as its administrator sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.etcd_url: str = json.loads((folder / "ready.json").read_text())["etcd"]
        self.ca = folder / "ca.crt"
        self.kubeconfig = folder / "admin.kubeconfig"
        super().__init__(self.kubeconfig)

    def make_user(self, name: str) -> Path:
        """Write the kubeconfig of a user without any rights."""
        certificates.sign(self.folder, name, f"/CN={name}")
        return kubeconfig.write(self.folder, name, self.url)

    def make_token(self, service_account: str, namespace: str) -> str:
        """Make a token of a ServiceAccount, valid for an hour."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        spec = {"expirationSeconds": 3600}
        made = self.post(path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
        return str(made["status"]["token"])

    @contextlib.contextmanager
    def second_apiserver(self, *options: str) -> Iterator[FurtherApiServer]:
        """Run another API server of this cluster, whose watch cache is empty."""
        server = FurtherApiServer(self.folder, self.etcd_url, self.kubeconfig, *options)
        try:
            yield server
        finally:
            server.kill()

    def compact(self) -> None:
        """Have etcd forget all but the present, as it does every five minutes."""
        marker = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "compaction", "namespace": "default"}}
        version = self.apply(marker)["metadata"]["resourceVersion"]
        self.delete("ConfigMap", "compaction", "default")
        body = json.dumps({"revision": version, "physical": True}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.etcd_url}/v3/kv/compaction", body)).close()

    def run_pods(self, namespace: str) -> dict[str, str]:
        """Act once as a kubelet does all the time, and return the IPv4 address of each running pod by its name.

        New pods get an address and become ready; those that are being deleted go.
        """
        running: dict[str, str] = {}
        for pod in self.list("Pod", namespace):
            name = pod["metadata"]["name"]
            if "deletionTimestamp" in pod["metadata"]:
                self.delete("Pod", name, namespace, grace_seconds=0)
            elif ip := pod.get("status", {}).get("podIP"):
                running[name] = ip
            else:
                number = int(pod["metadata"]["resourceVersion"]) % 0xFFFF
                running[name] = f"10.244.{number >> 8}.{number & 0xFF}"
                self.set_pod_status(namespace, name, running[name])
        return running

    def set_pod_status(self, namespace: str, name: str, *ips: str, ready: bool = True, phase: str = "Running") -> None:
        """Report a pod's status as the kubelet of its node does; binds the pod to the node first where it has none."""
        if not self.get("Pod", name, namespace)["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
            self.post(f"/api/v1/namespaces/{namespace}/pods/{name}/binding", binding)
        state = "True" if ready else "False"
        conditions = [{"type": kind, "status": state} for kind in ("ContainersReady", "Ready")]
        status = {"phase": phase, "conditions": conditions, "podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]}
        self.patch_status("Pod", name, namespace, status)


@contextlib.contextmanager
def shared(folder: Path, *, niceness: int = 0) -> Iterator[ControlPlane]:
    """Use the control plane of a folder, which its first user starts and its last user, of any process, stops.

    The first user's `niceness` is added to its own. Raises MissingPeer, and RuntimeError where it does not start.
    """
    binaries.find()
    folder.mkdir(parents=True, exist_ok=True)
    supervisor = None
    with (folder / "users.lock").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        with (folder / "start.lock").open("w") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            if not (folder / "ready.json").exists():
                supervisor = _start_supervisor(folder, niceness)
        with ControlPlane(folder) as control_plane:
            yield control_plane
    if supervisor is not None:
        supervisor.wait()  # it ends when the last user has released the lock


def _start_supervisor(folder: Path, niceness: int) -> subprocess.Popen[bytes]:
    log_path = folder / "supervisor.log"
    with log_path.open("wb") as log:
        supervisor = subprocess.Popen(
            ["nice", "-n", str(niceness), sys.executable, "-m", "testing.controlplane.supervisor", str(folder)],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    while not (folder / "ready.json").exists():
        if supervisor.poll() is not None:
            raise RuntimeError(f"the control plane did not start:\n{log_path.read_text(errors='replace')[-4000:]}")
        time.sleep(0.05)
    return supervisor
