"""Runs every Corefile of this folder with CoreDNS and with clusterdns, a few at a time, on one API server."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from corefiles.distribution import Distribution, RoutedQuestion, RunnableCopy, Surroundings
from differential.replies import ComparedReply
from differential.resolving import Pace, Step, ask, patience_seconds, read_step

from testing.controlplane import ControlPlane
from testing.process import ServerFailed, ServerProcess

NAMESPACE = "corefiles"
AT_ONCE = 4
START_SECONDS = 60.0
POLL_SECONDS = 0.05
ROUNDS = 2
LAST_CREATED = read_step("7.200.96.10.in-addr.arpa. PTR", "")


@dataclass
class Outcome:
    """The replies of both servers to the questions of one Corefile, in order, or why a server did not start."""

    steps: list[Step] = field(default_factory=list)
    theirs: list[ComparedReply] = field(default_factory=list)
    ours: list[ComparedReply] = field(default_factory=list)
    failure: str = ""


def create_objects(control_plane: ControlPlane) -> None:
    """Create the objects that the questions are about; last `web`, for whose reverse name `_serves` waits."""
    meta = {"namespace": NAMESPACE}
    control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    pg = [{"name": "pg", "port": 5432, "protocol": "TCP"}]
    http = [{"name": "http", "port": 80, "protocol": "TCP"}]
    services = {
        "db": {"clusterIP": "None", "ports": pg},
        "ext": {"type": "ExternalName", "externalName": "www.example.org"},
        "balanced": {"type": "LoadBalancer", "clusterIP": "10.96.200.8", "ports": http},
        "registry": {"clusterIP": "10.96.200.9", "ports": http},
    }
    for name, spec in services.items():
        control_plane.apply({"apiVersion": "v1", "kind": "Service", "metadata": {**meta, "name": name}, "spec": spec})
    ingress = {"loadBalancer": {"ingress": [{"ip": "192.0.2.88", "ipMode": "VIP"}]}}
    control_plane.patch_status("Service", "balanced", NAMESPACE, ingress)
    control_plane.apply(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**meta, "name": "db-1", "labels": {"kubernetes.io/service-name": "db"}},
            "addressType": "IPv4",
            "ports": pg,
            "endpoints": [
                {"addresses": ["10.96.200.11"], "hostname": "db-0", "conditions": {"ready": True}},
                {
                    "addresses": ["10.96.200.12"],
                    "conditions": {"ready": True},
                    "targetRef": {"kind": "Pod", "name": "pod-db-1"},
                },
            ],
        }
    )
    web = {"clusterIP": "10.96.200.7", "ports": http}
    control_plane.apply({"apiVersion": "v1", "kind": "Service", "metadata": {**meta, "name": "web"}, "spec": web})


async def run_all(
    distributions: Sequence[Distribution],
    programs: tuple[Path, Path],
    surroundings: tuple[Surroundings, Surroundings],
    folder: Path,
) -> dict[str, Outcome]:
    """Run, ask and stop both servers on each; programs and surroundings are those of CoreDNS, then of clusterdns."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def run(distribution: Distribution) -> Outcome:
        copies = [
            distribution.copy(folder / distribution.name / side, one)
            for side, one in zip(("theirs", "ours"), surroundings, strict=True)
        ]
        async with limit:
            return await _run(distribution, programs, copies)

    outcomes = await asyncio.gather(*map(run, distributions))
    return dict(zip([one.name for one in distributions], outcomes, strict=True))


async def _run(distribution: Distribution, programs: tuple[Path, Path], copies: list[RunnableCopy]) -> Outcome:
    questions = ROUNDS * distribution.questions()
    outcome = Outcome([question.step for question in questions])
    try:
        async with contextlib.AsyncExitStack() as running:
            starting = (
                running.enter_async_context(_running(program, copy, "kubernetes" in distribution.words))
                for program, copy in zip(programs, copies, strict=True)
            )
            await asyncio.gather(*starting)
            outcome.theirs, outcome.ours = await asyncio.gather(*(_ask_all(copy, questions) for copy in copies))
    except ServerFailed as failure:
        outcome.failure = str(failure)
    return outcome


async def _ask_all(copy: RunnableCopy, questions: list[RoutedQuestion]) -> list[ComparedReply]:
    replies: list[ComparedReply] = []
    pace = Pace()
    for one in questions:
        reply = await ask(one.step, *copy.address(one), patience_seconds(replies))
        replies.append(_without_port(pace.note(one.step, reply)))
    return replies


def _without_port(seen: ComparedReply) -> ComparedReply:
    """Replace the client's port in the SRV record of `whoami`."""
    additional = [
        line._replace(rdata="0 0 PORT .") if line.rtype == "SRV" and line.rdata.startswith("0 0 ") else line
        for line in seen.additional
    ]
    return replace(seen, additional=tuple(additional))


@contextlib.asynccontextmanager
async def _running(program: Path, copy: RunnableCopy, has_kubernetes: bool) -> AsyncIterator[None]:
    """Run a server, and enter the context once it serves. Raises ServerFailed."""
    command = [str(program), "-conf", str(copy.path), "-dns.port", copy.ports["53"]]
    folder = copy.path.parent
    server = ServerProcess(program.name, command, folder / "log", copy.environment, cwd=folder)
    try:
        ends_at = server.started + START_SECONDS
        while not await _serves(copy, has_kubernetes):
            server.require_running(f"answering, with {copy.path}")
            if time.monotonic() > ends_at:
                raise ServerFailed(f"{program.name} does not answer, with {copy.path}{server.tail()}")
            await asyncio.sleep(POLL_SECONDS)
        yield
        server.require_running("the end of the questions")
    finally:
        server.kill()  # not SIGTERM: lameduck takes up to 35 s


async def _serves(copy: RunnableCopy, has_kubernetes: bool) -> bool:
    host, port = copy.first[0], int(copy.ports[copy.first[1]])
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return not has_kubernetes or bool((await ask(LAST_CREATED, host, port)).answer)
