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
from differential.resolving import TRIES, is_late, make_certificates, server_context
from differential.resolving_differences import compare
from peers import need

from testing.controlplane import ControlPlane
from testing.peers import clusterdns
from testing.upstream.scripted import ScriptedUpstream

DISTRIBUTIONS = [Distribution(name) for name in names()]
LEAST_COREFILES = 55


@pytest.fixture(scope="module")
def outcomes(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Run both servers on every Corefile, and once more on those that differ and were asked late; collect replies."""
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
        found: dict[str, Outcome] = {}
        again = DISTRIBUTIONS
        for number in range(TRIES):
            found |= asyncio.run(run_all(again, programs, (theirs, ours), folder / str(number)))
            again = [one for one in again if may_be_late(one, found[one.name])]
            if not again:
                break
        return found


def may_be_late(distribution: Distribution, outcome: Outcome) -> bool:
    """Return whether the servers differ because a busy machine kept a question waiting."""
    return is_late(outcome.theirs, outcome.ours) and bool(differences(distribution, outcome))


def differences(distribution: Distribution, outcome: Outcome) -> list[str]:
    """List the differences between the replies that have no name."""
    return [
        text
        for step, theirs, ours in zip(outcome.steps, outcome.theirs, outcome.ours, strict=True)
        for text in compare(distribution.text, step, theirs, ours)
    ]


@pytest.mark.peer("coredns")
@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda one: one.name)
def test_no_difference_without_a_name(outcomes: dict[str, Outcome], distribution: Distribution) -> None:
    outcome = outcomes[distribution.name]
    assert not outcome.failure
    found = differences(distribution, outcome)
    shown = "\n".join(found)
    assert not found, f"{len(found)} differences:\n{shown}"


def test_no_distribution_is_missing() -> None:
    assert len(DISTRIBUTIONS) >= LEAST_COREFILES
