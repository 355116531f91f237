"""A real control plane on loopback: etcd, kube-apiserver and kube-controller-manager.

    with controlplane.shared(folder) as control_plane:
        control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prod"}})

`binaries` finds what `make control-plane` (build.sh, the Go module beside it) has built; `supervisor` is a program that
starts and stops the servers; `control_plane` is its users' side. There is neither a kubelet nor a scheduler:
`ControlPlane.run_pods` and `set_pod_status` play the kubelet.
"""

from testing.controlplane.control_plane import ControlPlane, shared

__all__ = ["ControlPlane", "shared"]
