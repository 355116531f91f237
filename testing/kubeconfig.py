"""Kubeconfig files: the one that a test cluster gives its users, and what an API client reads of any.

Credentials are client certificates or a token. The product reads kubeconfigs through its own
`clusterdns.cluster.api.credentials`.
"""

import base64
import json
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Entry = dict[str, Any]


@dataclass(frozen=True)
class KubeconfigContext:
    """The current context of a kubeconfig: an API server and one user of it."""

    server: str
    tls: ssl.SSLContext | None  # None: the API server speaks plain HTTP
    token: str  # "": the client certificate identifies the user


def write(folder: Path, user: str, server: str) -> Path:
    """Write `USER.kubeconfig` for the client certificate `USER.crt` of the folder; JSON is YAML."""
    path = folder / f"{user}.kubeconfig"
    credentials = {"client-certificate": f"{folder}/{user}.crt", "client-key": f"{folder}/{user}.key"}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority": f"{folder}/ca.crt"}}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
    }
    path.write_text(json.dumps(content))
    return path


def read(path: Path) -> KubeconfigContext:
    """Read the current context. Raises OSError, ssl.SSLError and LookupError."""
    config = yaml.safe_load(path.read_text())
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    server: str = cluster["server"]
    tls = _tls_context(cluster, user, path.parent) if server.startswith("https") else None
    return KubeconfigContext(server, tls, user.get("token", ""))


def _named(entries: list[Entry], name: str) -> Entry:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise LookupError(f"the kubeconfig has no entry named {name!r}")


def _tls_context(cluster: Entry, user: Entry, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=_content(cluster, "certificate-authority", folder).decode())
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Python 3.13 wants extensions that test authorities lack
    if "client-certificate" in user or "client-certificate-data" in user:
        with tempfile.NamedTemporaryFile() as pair:  # the ssl module reads client certificates from files only
            pair.write(_content(user, "client-certificate", folder) + b"\n" + _content(user, "client-key", folder))
            pair.flush()
            context.load_cert_chain(pair.name)
    return context


def _content(entry: Entry, key: str, folder: Path) -> bytes:
    """Decode `KEY-data`, which is base64, or read the file that KEY names."""
    inline = entry.get(f"{key}-data")
    return base64.b64decode(inline) if inline else (folder / entry[key]).read_bytes()
