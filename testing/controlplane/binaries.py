"""Where the servers of the control plane are: built by `make control-plane`, or in the folder of KUBEBUILDER_ASSETS.

CLUSTERDNS_KUBERNETES says which release is meant, `newest` (the default) or `oldest`; build.sh builds the same one.
"""

import os
import shutil
from pathlib import Path

from testing.peers import MissingPeer, cache_folder

SERVERS = ("etcd", "kube-apiserver")
CONTROLLER_MANAGER = "kube-controller-manager"  # absent from the assets of envtest; what needs no controllers runs
HOW_TO_GET = "run `make control-plane` (needs Go) or set KUBEBUILDER_ASSETS, and have the openssl command"

_MODULE_FILES = {"newest": "go.mod", "oldest": "oldest.mod"}
_MODULES = ("k8s.io/kubernetes", "go.etcd.io/etcd/server/v3")


def find() -> Path:
    """Find the folder that holds the servers. Raises MissingPeer."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    folder = Path(assets) if assets else cache_folder() / "control-plane" / _versions()
    if not shutil.which("openssl") or not all((folder / name).is_file() for name in SERVERS):
        raise MissingPeer("the control plane", HOW_TO_GET)
    return folder


def find_controller_manager() -> Path:
    """Find the controller manager. Raises MissingPeer."""
    path = find() / CONTROLLER_MANAGER
    if not path.is_file():
        raise MissingPeer(CONTROLLER_MANAGER, "run `make control-plane` (needs Go)")
    return path


def _versions() -> str:
    """Return the name of the cached folder: the versions that the module file requires, as build.sh spells them."""
    required: dict[str, str] = {}
    module_file = Path(__file__).with_name(_MODULE_FILES[os.environ.get("CLUSTERDNS_KUBERNETES", "newest")])
    for line in module_file.read_text().splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] in _MODULES:
            required.setdefault(words[0], words[1])
    kubernetes, etcd = (required[module] for module in _MODULES)
    return f"kubernetes-{kubernetes}-etcd-{etcd}"
