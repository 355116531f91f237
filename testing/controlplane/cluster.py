"""A real control plane on loopback for tests and benchmarks: etcd, kube-apiserver, kube-controller-manager.

    with cluster.shared(folder) as control_plane:
        control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prod"}})

All processes that name the same folder share one control plane. The servers belong to a supervisor (this file run as a
program), and every user holds a shared lock; when the supervisor gets that lock for itself nobody is left, not even one
that was killed, and it stops what it started. Nothing but the standard library, the openssl command, and the binaries
that `make control-plane` builds. There is no kubelet: `run_pods` and `set_pod_status` play it. No scheduler either.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from testing.controlplane.client import Client, wait_for
from testing.ports import free_ports

HERE = Path(__file__).resolve().parent
SERVERS = ("etcd", "kube-apiserver")
CONTROLLER_MANAGER = "kube-controller-manager"
START_SECONDS = 120.0
NODE = "node-1"
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
HOW_TO_ENABLE = "run `make control-plane` (needs Go) or set KUBEBUILDER_ASSETS, and have the openssl command"


def binaries() -> Path | None:
    """The folder that holds the servers, or None."""
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        candidates = [Path(assets)]
    else:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        candidates = [home / "clusterdns" / "control-plane" / _versions()]
    for folder in candidates:
        if all((folder / name).is_file() for name in SERVERS) and shutil.which("openssl"):
            return folder
    return None


def _versions() -> str:
    """The folder's name: the versions that go.mod requires, as build.sh spells them."""
    wanted = {"k8s.io/kubernetes": "", "go.etcd.io/etcd/server/v3": ""}
    for line in (HERE / "go.mod").read_text().splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] in wanted:
            wanted[words[0]] = wanted[words[0]] or words[1]
    return f"kubernetes-{wanted['k8s.io/kubernetes']}-etcd-{wanted['go.etcd.io/etcd/server/v3']}"


class ControlPlane(Client):
    """The running control plane as its administrator sees it."""

    def __init__(self, folder: Path) -> None:
        ready = json.loads((folder / "ready.json").read_text())
        self.folder = folder
        self.etcd_url: str = ready["etcd"]
        self.ca = folder / "ca.crt"
        self.kubeconfig = folder / "admin.kubeconfig"
        super().__init__(ready["url"], self.ca, folder / "admin.crt", folder / "admin.key")

    def make_user(self, name: str) -> Path:
        """A kubeconfig of somebody without any rights of his own."""
        sign(self.folder, name, f"/CN={name}")
        return write_kubeconfig(self.folder, name, self.url)

    @contextlib.contextmanager
    def second_apiserver(self) -> Iterator[str]:
        """The URL of another API server of this cluster, whose watch cache knows nothing of what was before."""
        folder = binaries()
        if folder is None:
            raise RuntimeError(HOW_TO_ENABLE)
        (port,) = free_ports(1)
        address = f"127.0.0.1:{port}"
        arguments = _apiserver_arguments(self.folder, self.etcd_url, address)
        with (self.folder / f"kube-apiserver-{port}.log").open("wb") as log:
            process = subprocess.Popen([folder / "kube-apiserver", *arguments], stdout=log, stderr=log)
        try:
            with Client(f"https://{address}", self.ca, self.folder / "admin.crt", self.folder / "admin.key") as client:
                wait_for(client.is_ready, f"{address} to be ready", START_SECONDS)
            yield f"https://{address}"
        finally:
            process.kill()
            process.wait()

    def run_pods(self, namespace: str) -> dict[str, str]:
        """What a kubelet would do now: addresses for new pods, an end for those being deleted. Name → IPv4 address."""
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
        """Report a pod as the kubelet of its node would; binds it to a node first where it has none."""
        if not self.get("Pod", name, namespace)["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
            self.create(f"/api/v1/namespaces/{namespace}/pods/{name}/binding", binding)
        state = "True" if ready else "False"
        conditions = [{"type": kind, "status": state} for kind in ("ContainersReady", "Ready")]
        status = {"phase": phase, "conditions": conditions, "podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]}
        self.patch_status("Pod", name, namespace, {"status": status})


@contextlib.contextmanager
def shared(folder: Path) -> Iterator[ControlPlane]:
    """The control plane of this folder, started by its first user and stopped after its last."""
    folder.mkdir(parents=True, exist_ok=True)
    supervisor = None
    with (folder / "users.lock").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        with (folder / "start.lock").open("w") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            if not (folder / "ready.json").exists():
                supervisor = _start_supervisor(folder)
        control_plane = ControlPlane(folder)
        try:
            yield control_plane
        finally:
            control_plane.close()
    if supervisor is not None:
        supervisor.wait()  # it ends when the last user has let go


def _start_supervisor(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "supervisor.log").open("wb") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "testing.controlplane.cluster", str(folder)],
            cwd=HERE.parents[1],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    while not (folder / "ready.json").exists():
        if supervisor.poll() is not None:
            raise RuntimeError(f"the control plane did not start:\n{_tail(folder / 'supervisor.log')}")
        time.sleep(0.05)
    return supervisor


def sign(folder: Path, name: str, subject: str, *extensions: str) -> None:
    """A key and a certificate, signed by the folder's authority; the authority itself when its name is `ca`."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "30", "-subj", subject, "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt"]
    if name != "ca":
        command += ["-CA", f"{folder}/ca.crt", "-CAkey", f"{folder}/ca.key", "-addext", "basicConstraints=CA:FALSE"]
    for extension in extensions:
        command += ["-addext", extension]
    subprocess.run(command, check=True, capture_output=True)


def write_kubeconfig(folder: Path, name: str, url: str) -> Path:
    """A kubeconfig (JSON is YAML) for the user whose certificate has this name."""
    path = folder / f"{name}.kubeconfig"
    cluster = {"server": url, "certificate-authority": f"{folder}/ca.crt"}
    user = {"client-certificate": f"{folder}/{name}.crt", "client-key": f"{folder}/{name}.key"}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
    }
    path.write_text(json.dumps(content))
    return path


class Supervisor:
    """Starts the servers, and stops them when no user is left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        found = binaries()
        if found is None:
            raise RuntimeError(f"no control plane to start: {HOW_TO_ENABLE}")
        self._binaries = found
        self._started: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._etcd, self._peer, self._secure = (f"127.0.0.1:{port}" for port in free_ports(3))

    def run(self) -> None:
        """From start to stop."""
        folder = self._folder
        try:
            self._make_certificates()
            self._start_etcd()
            self._start_apiserver()
            self._start_controller_manager()
            ready = folder / "ready.json.new"
            ready.write_text(json.dumps({"url": f"https://{self._secure}", "etcd": f"http://{self._etcd}"}))
            ready.rename(folder / "ready.json")
            with (folder / "users.lock").open("w") as users:
                _wait_until_alone(users)
                (folder / "ready.json").unlink()  # while the lock is ours, so that the next user starts anew
                self._stop()
        finally:
            self._stop()

    def _make_certificates(self) -> None:
        folder = self._folder
        sign(folder, "ca", "/CN=test-ca", "keyUsage=critical,keyCertSign,cRLSign")
        sign(folder, "server", "/CN=kube-apiserver", "subjectAltName=IP:127.0.0.1,DNS:localhost,IP:10.96.0.1")
        sign(folder, "admin", "/CN=admin/O=system:masters")
        write_kubeconfig(folder, "admin", f"https://{self._secure}")

    def _start_etcd(self) -> None:
        client, peer = f"http://{self._etcd}", f"http://{self._peer}"
        self._start(
            "etcd", f"--data-dir={self._folder}/etcd", "--unsafe-no-fsync", "--log-level=warn",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
        )  # fmt: skip

    def _start_apiserver(self) -> None:
        folder = self._folder
        self._start("kube-apiserver", *_apiserver_arguments(folder, f"http://{self._etcd}", self._secure))
        with Client(f"https://{self._secure}", folder / "ca.crt", folder / "admin.crt", folder / "admin.key") as client:
            self._wait_for(client.is_ready, "kube-apiserver")
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
            self._wait_for(lambda: client.apply(node), "kube-apiserver")

    def _start_controller_manager(self) -> None:
        if not (self._binaries / CONTROLLER_MANAGER).is_file():
            return  # envtest's assets lack it; what needs controllers will say so
        folder = self._folder
        self._start(
            CONTROLLER_MANAGER, f"--kubeconfig={folder}/admin.kubeconfig", f"--controllers={','.join(CONTROLLERS)}",
            "--leader-elect=false", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000",
            f"--service-account-private-key-file={folder}/server.key", f"--root-ca-file={folder}/ca.crt",
            f"--cert-dir={folder}",
        )  # fmt: skip
        with Client(f"https://{self._secure}", folder / "ca.crt", folder / "admin.crt", folder / "admin.key") as client:
            self._wait_for(lambda: client.find("ServiceAccount", "default", "default"), CONTROLLER_MANAGER)

    def _start(self, name: str, *arguments: str) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            command = [str(self._binaries / name), *arguments]
            self._started.append((name, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)))

    def _wait_for(self, check: Any, name: str) -> None:
        def try_once() -> Any:
            for started, process in self._started:
                if process.poll() is not None:
                    raise RuntimeError(f"{started} exited with {process.returncode}:\n{self._log_tail(started)}")
            with contextlib.suppress(RuntimeError):
                return check()

        try:
            wait_for(try_once, f"{name} to be ready", START_SECONDS)
        except TimeoutError as error:
            raise RuntimeError(f"{error}:\n{self._log_tail(name)}") from error

    def _log_tail(self, name: str) -> str:
        return _tail(self._folder / f"{name}.log")

    def _stop(self) -> None:
        """End what was started, the last one first."""
        while self._started:
            _, process = self._started.pop()
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _apiserver_arguments(folder: Path, etcd_url: str, address: str) -> list[str]:
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


def _wait_until_alone(users: IO[str]) -> None:
    while True:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(0.1)


def _tail(path: Path, lines: int = 30) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def main() -> None:
    """The supervisor's program."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    Supervisor(Path(sys.argv[1])).run()


if __name__ == "__main__":
    main()
