"""A connection to the API server that dies in silence, in a network namespace where packets are dropped."""

import json
import subprocess
import sys
from pathlib import Path

from peers import missing, need

from testing.certificates import make_authority, sign

ROOT = Path(__file__).resolve().parents[3]


def test_connections_that_die_in_silence_are_noticed_within_8_seconds_and_replaced_within_2(tmp_path: Path) -> None:
    need("openssl")
    need("ip")
    in_network = [need("unshare"), "--map-root-user", "--net"]
    tried = subprocess.run([*in_network, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        missing("a network namespace", f"allow user namespaces ({tried.stderr.strip()})")
    make_authority(tmp_path)
    sign(tmp_path, "server", "/CN=server", "IP:10.9.0.2")
    command = [*in_network, sys.executable, "-m", "testing.silent_network", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    seconds = json.loads(done.stdout)
    assert seconds["noticed"] <= 8.0
    assert seconds["reconnected"] <= 2.0
