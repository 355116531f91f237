"""Servers for one test each."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from process.running import MANIFEST, CorefileServer, Start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers, each in a folder of its own, in which `cluster/web.yaml` holds one Service."""
    started: list[CorefileServer] = []

    def start_one(corefile: str, *arguments: str, launcher: Sequence[str] = ()) -> CorefileServer:
        folder = tmp_path / f"server-{len(started)}"
        (folder / "cluster").mkdir(parents=True)
        (folder / "cluster" / "web.yaml").write_text(MANIFEST)
        started.append(CorefileServer(folder, corefile, arguments, launcher))
        return started[-1]

    yield start_one
    for server in started:
        server.kill()
