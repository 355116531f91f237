"""The Corefiles of distributions and of users, served by clusterdns and by CoreDNS: every difference has a name.

Each Corefile gets the questions of `questions` and of its folder, all of them twice. `distribution` describes how a
Corefile is edited to run on loopback.
"""

import asyncio
import contextlib
from pathlib import Path

import pytest
from corefiles.both import Outcome, create_objects, run_all
from corefiles.distribution import Distribution, Surroundings, names
from differential.resolving import make_certificates, server_context
from differential.resolving_differences import compare
from peers import need

from testing.controlplane import ControlPlane
from testing.peers import clusterdns
from testing.upstream.scripted import ScriptedUpstream

DISTRIBUTIONS = [Distribution(name) for name in names()]
LEAST_COREFILES = 55


@pytest.fixture(scope="module")
def outcomes(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Run both servers on every Corefile, and collect their replies."""
    folder = tmp_path_factory.mktemp("corefiles")
    need("openssl")
    make_certificates(folder)
    tls = server_context(folder)
    create_objects(control_plane)
    programs = Path(need("coredns")), clusterdns()
    with contextlib.ExitStack() as stack:
        theirs, ours = (
            Surroundings(control_plane.kubeconfig, stack.enter_context(ScriptedUpstream(tls=tls)), folder)
            for _ in programs
        )
        return asyncio.run(run_all(DISTRIBUTIONS, programs, (theirs, ours), folder))


@pytest.mark.peer("coredns")
@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda one: one.name)
def test_no_difference_without_a_name(outcomes: dict[str, Outcome], distribution: Distribution) -> None:
    outcome = outcomes[distribution.name]
    assert not outcome.failure
    found = [
        text
        for step, theirs, ours in zip(outcome.steps, outcome.theirs, outcome.ours, strict=True)
        for text in compare(distribution.text, step, theirs, ours)
    ]
    shown = "\n".join(found)
    assert not found, f"{len(found)} differences:\n{shown}"


def test_no_distribution_is_missing() -> None:
    assert len(DISTRIBUTIONS) >= LEAST_COREFILES
