"""deploy/ as kustomize renders it: what `kubectl apply -k` sends to the API server."""

import functools
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml
from peers import need

FOLDER = Path(__file__).resolve().parents[2] / "deploy"
WORKLOADS = {".": "Deployment", "deployment": "Deployment", "daemonset": "DaemonSet"}  # folder → kind of the workload
COMPONENTS = ("pods-verified", "multicluster")

Object = dict[str, Any]


@functools.cache
def render(variant: str, components: tuple[str, ...] = ()) -> tuple[Object, ...]:
    """Render a folder of deploy/, with components beside it as a user would name them. Skips without kustomize."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text).resolve()
        relative = {name: os.path.relpath(FOLDER / name, folder) for name in (variant, *components)}
        kustomization = {"resources": [relative[variant]], "components": [relative[name] for name in components]}
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        done = subprocess.run([need("kustomize"), "build", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "deprecated fields"
    return tuple(yaml.safe_load_all(done.stdout))


def the(objects: tuple[Object, ...], kind: str) -> Object:
    """Return the only object of a kind."""
    (found,) = (one for one in objects if one["kind"] == kind)
    return found


def workload_of(variant: str) -> Object:
    """Return the Deployment or DaemonSet of a variant."""
    return the(render(variant), WORKLOADS[variant])


def pod_of(variant: str) -> Object:
    """Return the spec of the pods of a variant."""
    spec: Object = workload_of(variant)["spec"]["template"]["spec"]
    return spec


def container_of(variant: str) -> Object:
    """Return the only container of the pods of a variant."""
    (container,) = pod_of(variant)["containers"]
    found: Object = container
    return found
