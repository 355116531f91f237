"""Fixtures for tests of every folder."""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import peers
import pytest
from fakes.held_clock import HeldClock, held
from hypothesis import HealthCheck, settings

from testing import controlplane
from testing.controlplane import ControlPlane
from testing.peers import MissingPeer

# An example may take any time, and so may making one: on a busy machine both are a matter of luck.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[ControlPlane]:
    """Start a real control plane, or use that of another worker of the run. Each test makes its own namespaces."""
    base: Path = tmp_path_factory.getbasetemp()
    run_folder = base if worker_id == "master" else base.parent  # each worker has a folder inside the run's
    try:
        with controlplane.shared(run_folder / "control-plane") as running:
            yield running
    except MissingPeer as error:
        peers.skip_or_fail(error)


@pytest.fixture
async def held_clock() -> AsyncIterator[HeldClock]:
    """Hold the time of the test's event loop: it passes only when the test lets it."""
    with held(asyncio.get_running_loop()) as clock:
        yield clock


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give all skips because of a missing program one location, so that the summary has one line per program."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and peers.IS_MISSING in report.longrepr[2]:
        report.longrepr = (peers.__file__, 0, report.longrepr[2])
    return report
