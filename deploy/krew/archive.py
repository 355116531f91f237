"""Make the archive of the krew plugin, the same bytes each time: `python deploy/krew/archive.py dist/kubectl-dns.zip`.

Prints the SHA-256 that dns.yaml has.
"""

import hashlib
import sys
import zipfile
from pathlib import Path

SCRIPT = Path(__file__).parent / "kubectl-dns"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date that a ZIP file can have
_EXECUTABLE = 0o100755 << 16


def write_archive(path: Path) -> str:
    """Write the archive, and return its SHA-256."""
    entry = zipfile.ZipInfo(SCRIPT.name, _EPOCH)
    entry.external_attr = _EXECUTABLE
    entry.create_system = 3  # Unix
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(entry, SCRIPT.read_bytes())
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    print(write_archive(Path(sys.argv[1])))
