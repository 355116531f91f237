"""Certificates that sign themselves, made with the openssl command."""

import subprocess
from pathlib import Path
from typing import NamedTuple

from testing import peers


class Certificate(NamedTuple):
    """Two PEM files."""

    cert: Path
    key: Path

    @staticmethod
    def write(folder: Path, name: str, address: str = "127.0.0.1") -> "Certificate":
        """Make `cert.pem` and `key.pem` in the folder, for a host name and an address."""
        made = Certificate(folder / "cert.pem", folder / "key.pem")
        command = [
            str(peers.program("openssl")),
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ]
        command += ["-nodes", "-days", "2", "-subj", f"/CN={name}"]
        command += ["-addext", f"subjectAltName=DNS:{name},IP:{address}"]
        subprocess.run([*command, "-out", made.cert, "-keyout", made.key], check=True, capture_output=True)
        return made
