"""The two clusters of every journey: a real API server, and a folder of manifests that the server simulates.

Both start with the objects of zones/demo. Tests change both through the methods of `Cluster`.
"""

import contextlib
import fcntl
import itertools
import shutil
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

import yaml

from testing.api import ApiError, Manifest
from testing.controlplane import ControlPlane
from testing.waiting import wait_for

DEMO = Path(__file__).resolve().parents[2] / "zones" / "demo"
WORKLOADS = ("Deployment", "StatefulSet")
POD_NETWORK = "10.244."


class Cluster(Protocol):
    """The changes that a journey makes to its cluster."""

    def directive(self) -> str:
        """Return the option of `kubernetes` in the Corefile."""

    def apply(self, manifest: Manifest) -> None:
        """Create or change an object."""

    def delete(self, kind: str, name: str, namespace: str) -> None:
        """Delete an object and its dependents."""

    def scale(self, kind: str, name: str, namespace: str, replicas: int) -> None:
        """Set the number of pods of a workload, and wait until it has them."""

    def replace_pod(self, kind: str, name: str, namespace: str) -> None:
        """Replace a pod of a workload (a StatefulSet's first) by one with another address."""

    def pod_addresses(self, workload: str, namespace: str) -> set[str] | None:
        """Return the addresses of a workload's pods, None if only the server under test assigns them."""


def demo_objects() -> list[Manifest]:
    """Read the objects of zones/demo, namespaces first, each with its namespace set."""
    found = [one for path in _manifest_files(DEMO) for one in _read(path)]
    return sorted(found, key=lambda one: bool(one["kind"] != "Namespace"))


class ApiCluster:
    """The objects of zones/demo in a real API server; each change of a workload also simulates the kubelet."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._api = control_plane
        objects = demo_objects()
        applied = control_plane.folder / "journeys.applied"
        with self._locked():
            if not applied.exists():
                for one in objects:
                    control_plane.apply(one)
                applied.touch()
        for namespace in {one["metadata"].get("namespace", "") for one in objects} - {""}:
            self._settle(namespace)

    def directive(self) -> str:
        """Return the option of `kubernetes`."""
        return f"kubeconfig {self._api.kubeconfig}"

    def apply(self, manifest: Manifest) -> None:
        """Apply an object on the server side."""
        self._api.apply(manifest)

    def delete(self, kind: str, name: str, namespace: str) -> None:
        """Delete an object."""
        self._api.delete(kind, name, namespace)

    def scale(self, kind: str, name: str, namespace: str, replicas: int) -> None:
        """Apply the workload with another number of replicas."""
        self._api.apply(_scaled(_demo_object(kind, name, namespace), replicas))
        self._settle(namespace)

    def replace_pod(self, kind: str, name: str, namespace: str) -> None:
        """Delete the first pod, so that its controller creates another."""
        victim = min(self._pods(name, namespace), key=lambda pod: str(pod["metadata"]["name"]))
        self._api.delete("Pod", victim["metadata"]["name"], namespace, grace_seconds=0)
        self._settle(namespace)

    def pod_addresses(self, workload: str, namespace: str) -> set[str] | None:
        """Return the addresses in the status of the pods."""
        return {pod["status"]["podIP"] for pod in self._pods(workload, namespace)}

    def _pods(self, workload: str, namespace: str) -> list[Manifest]:
        return [one for one in self._api.list("Pod", namespace) if one["metadata"]["name"].startswith(f"{workload}-")]

    def _settle(self, namespace: str) -> None:
        """Simulate the kubelet until every workload has its pods."""

        def step() -> bool:
            try:
                with self._locked():
                    running = self._api.run_pods(namespace)
            except ApiError as refusal:
                if refusal.status in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                    return False  # a pod was deleted or changed meanwhile
                raise
            workloads = [one for kind in WORKLOADS for one in self._api.list(kind, namespace)]
            wanted = {one["metadata"]["name"]: one["spec"]["replicas"] for one in workloads}
            ready = {one["metadata"]["name"]: one["status"].get("readyReplicas", 0) for one in workloads}
            return wanted == ready and all(
                sum(pod.startswith(f"{name}-") for pod in running) == count for name, count in wanted.items()
            )

        wait_for(step, f"the pods of namespace {namespace}")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock that keeps other workers of the run from simulating the kubelet as well."""
        with (self._api.folder / "journeys.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class ManifestCluster:
    """A copy of zones/demo, which tests edit and the server under test reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "demo"
        shutil.copytree(DEMO, self._folder)
        self._numbers = itertools.count(1)

    def directive(self) -> str:
        """Return the option of `kubernetes`."""
        return f"manifests {self._folder}"

    def apply(self, manifest: Manifest) -> None:
        """Write the object to the file that has it, or to a new file."""
        path, objects = self._holding(*_key(manifest))
        self._write(path, [*objects, manifest])

    def delete(self, kind: str, name: str, namespace: str) -> None:
        """Remove the object from its file, and the file if it was its last object."""
        path, objects = self._holding(kind, name, namespace)
        if objects:
            self._write(path, objects)
        else:
            path.unlink()

    def scale(self, kind: str, name: str, namespace: str, replicas: int) -> None:
        """Apply the workload with another number of replicas."""
        self.apply(_scaled(_demo_object(kind, name, namespace), replicas))

    def replace_pod(self, kind: str, name: str, namespace: str) -> None:
        """Write one of the pods as a manifest with an address of its own; the workload has the others."""
        workload = _demo_object(kind, name, namespace)
        template = workload["spec"]["template"]
        is_named = kind == "StatefulSet"
        ip = f"{POD_NETWORK}255.{next(self._numbers)}"
        pod: Manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{name}-0" if is_named else f"{name}-new",
                "namespace": namespace,
                "labels": template["metadata"]["labels"],
            },
            "spec": dict(template["spec"]),
            "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]},
        }
        if is_named:
            pod["spec"] |= {"hostname": f"{name}-0", "subdomain": workload["spec"]["serviceName"]}
        else:
            self.apply(_scaled(workload, workload["spec"]["replicas"] - 1))
        self.apply(pod)

    def pod_addresses(self, workload: str, namespace: str) -> set[str] | None:
        """Return None: the server under test assigns the addresses."""
        return None

    def _holding(self, kind: str, name: str, namespace: str) -> tuple[Path, list[Manifest]]:
        """Return the object's file and the other objects in it; for a new object the path of its file."""
        for path in _manifest_files(self._folder):
            objects = _read(path)
            others = [one for one in objects if _key(one) != (kind, name, namespace)]
            if len(others) < len(objects):
                return path, others
        return self._folder / f"{kind.lower()}-{namespace}-{name}.yaml", []

    def _write(self, path: Path, objects: list[Manifest]) -> None:
        """Replace the file in one step, as editors do."""
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_text(yaml.safe_dump_all(objects))
        fresh.rename(path)


def _manifest_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in (".yaml", ".yml", ".json"))


def _read(path: Path) -> list[Manifest]:
    found: list[Manifest] = []
    for document in yaml.safe_load_all(path.read_text()):
        found += document["items"] if document and document["kind"].endswith("List") else [document] if document else []
    for one in found:
        if one["kind"] != "Namespace":
            one["metadata"].setdefault("namespace", "default")
    return found


def _key(manifest: Manifest) -> tuple[str, str, str]:
    meta: dict[str, Any] = manifest["metadata"]
    return manifest["kind"], meta["name"], meta.get("namespace", "")


def _demo_object(kind: str, name: str, namespace: str) -> Manifest:
    return next(one for one in demo_objects() if _key(one) == (kind, name, namespace))


def _scaled(workload: Manifest, replicas: int) -> Manifest:
    return workload | {"spec": workload["spec"] | {"replicas": replicas}}
