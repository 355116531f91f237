"""Certificates for tests, made by the openssl command."""

import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

from testing import peers

_NEW_KEY = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30")


class Certificate(NamedTuple):
    """A certificate and its key: two PEM files."""

    cert: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """Make the TLS context of a server that presents this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


def make_authority(folder: Path, *extensions: str) -> Certificate:
    """Make a certificate authority: `ca.crt` and `ca.key` in the folder, by default with a keyUsage."""
    chosen = extensions or ("keyUsage=critical,keyCertSign,cRLSign",)
    return _make(folder / "ca.crt", folder / "ca.key", "/CN=test-ca", *chosen)


def sign(folder: Path, name: str, subject: str, alternatives: str = "", *, is_authority: bool = False) -> Certificate:
    """Make `NAME.crt` and `NAME.key`, signed by the authority of the folder; `alternatives` is the subjectAltName."""
    extensions = [f"basicConstraints=CA:{str(is_authority).upper()}"]
    extensions += [f"subjectAltName={alternatives}"] * bool(alternatives)
    authority = ["-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key")]
    return _make(folder / f"{name}.crt", folder / f"{name}.key", subject, *extensions, options=authority)


def self_sign(folder: Path, host: str, address: str = "127.0.0.1") -> Certificate:
    """Make `cert.pem` and `key.pem` in the folder, for a host name and an address."""
    return _make(folder / "cert.pem", folder / "key.pem", f"/CN={host}", f"subjectAltName=DNS:{host},IP:{address}")


def _make(cert: Path, key: Path, subject: str, *extensions: str, options: list[str] | None = None) -> Certificate:
    command = [str(peers.find("openssl")), *_NEW_KEY, "-subj", subject, "-out", str(cert), "-keyout", str(key)]
    command += options or []
    for extension in extensions:
        command += ["-addext", extension]
    subprocess.run(command, check=True, capture_output=True)
    return Certificate(cert, key)
