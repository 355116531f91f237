"""kill -9 at any moment of a save: the next start reads a whole snapshot."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

KILLS = 50


def test_after_each_kill_a_whole_snapshot_is_read(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).with_name("killed_writer.py")), str(tmp_path), str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert done.stderr == ""
    found = Counter(word for line in done.stdout.splitlines() for word in line.split())
    assert found["whole"] == KILLS
    assert found["left"]  # kills did meet unfinished files
    assert found.keys() == {"whole", "left"}
