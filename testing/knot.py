"""The configuration of a Knot that serves one zone file, for tests and benchmarks."""

import os
from pathlib import Path

_CONFIGURATION = """\
server:
    listen: {address}@{port}
    rundir: {folder}
    user: {user}
    udp-max-payload: 1232
database:
    storage: {folder}
log:
  - target: stdout
    any: warning
zone:
  - domain: {zone}.
    file: {folder}/zone
"""


def configure(folder: Path, address: str, port: int, zone: str, zone_text: str) -> Path:
    """Write the zone and the configuration into a folder; returns the configuration."""
    (folder / "zone").write_text(zone_text)
    user = "root" if os.geteuid() == 0 else str(os.geteuid())
    path = folder / "knot.conf"
    path.write_text(_CONFIGURATION.format(address=address, port=port, folder=folder, user=user, zone=zone))
    return path
