"""The command line of kube-apiserver, which `supervisor` and `ControlPlane.second_apiserver` start."""

from pathlib import Path

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
