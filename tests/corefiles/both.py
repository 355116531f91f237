"""Every Corefile of this folder run by CoreDNS and by us, a few at a time, in front of one API server."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from corefiles.distribution import Around, Distribution, Put, Question
from differential.replies import Seen
from differential.resolving import Step, ask, patience_seconds, read_step

from testing.controlplane import ControlPlane
from testing.process import ServerFailed, ServerProcess

NAMESPACE = "corefiles"
AT_ONCE = 4
START_SECONDS = 30.0
POLL_SECONDS = 0.05
ROUNDS = 2
KNOWS = read_step("7.200.96.10.in-addr.arpa. PTR", "")


@dataclass
class Outcome:
    """What one Corefile came to: the replies of each side in step with the questions, or why it did not start."""

    steps: list[Step] = field(default_factory=list)
    theirs: list[Seen] = field(default_factory=list)
    ours: list[Seen] = field(default_factory=list)
    failure: str = ""


def create_objects(control_plane: ControlPlane) -> None:
    """What the questions are about; `web`, whose reverse name is waited for, comes last."""
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
    distributions: Sequence[Distribution], programs: tuple[Path, Path], arounds: tuple[Around, Around], folder: Path
) -> dict[str, Outcome]:
    """Run them, ask them, and stop them; programs and surroundings of CoreDNS first, then ours."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def run(distribution: Distribution) -> Outcome:
        puts = [
            distribution.put(folder / distribution.name / side, around)
            for side, around in zip(("theirs", "ours"), arounds, strict=True)
        ]
        async with turn:
            return await _run(distribution, programs, puts)

    outcomes = await asyncio.gather(*map(run, distributions))
    return dict(zip([one.name for one in distributions], outcomes, strict=True))


async def _run(distribution: Distribution, programs: tuple[Path, Path], puts: list[Put]) -> Outcome:
    questions = ROUNDS * distribution.questions()
    outcome = Outcome([question.step for question in questions])
    try:
        async with contextlib.AsyncExitStack() as running:
            starting = (
                running.enter_async_context(_running(program, put, "kubernetes" in distribution.words))
                for program, put in zip(programs, puts, strict=True)
            )
            await asyncio.gather(*starting)
            outcome.theirs, outcome.ours = await asyncio.gather(*(_ask_all(put, questions) for put in puts))
    except ServerFailed as failure:
        outcome.failure = str(failure)
    return outcome


async def _ask_all(put: Put, questions: list[Question]) -> list[Seen]:
    replies: list[Seen] = []
    for one in questions:
        replies.append(_without_port(await ask(one.step, *put.place(one), patience_seconds(replies))))
    return replies


def _without_port(seen: Seen) -> Seen:
    """Less the client's own port, which `whoami` tells."""
    additional = [
        line._replace(rdata="0 0 PORT .") if line.rtype == "SRV" and line.rdata.startswith("0 0 ") else line
        for line in seen.additional
    ]
    return replace(seen, additional=tuple(additional))


@contextlib.asynccontextmanager
async def _running(program: Path, put: Put, knows_objects: bool) -> AsyncIterator[None]:
    """Run a server once it knows the objects. Raises ServerFailed."""
    command = [str(program), "-conf", str(put.path), "-dns.port", put.ports["53"]]
    folder = put.path.parent
    server = ServerProcess(program.name, command, folder / "log", put.environment, cwd=folder)
    try:
        ends_at = server.started + START_SECONDS
        while not await _serves(put, knows_objects):
            server.require_running(f"answering, with {put.path}")
            if time.monotonic() > ends_at:
                raise ServerFailed(f"{program.name} does not answer, with {put.path}{server.tail()}")
            await asyncio.sleep(POLL_SECONDS)
        yield
        server.require_running("the end of the questions")
    finally:
        server.kill()  # not SIGTERM: lameduck takes up to 35 s


async def _serves(put: Put, knows_objects: bool) -> bool:
    host, port = put.first[0], int(put.ports[put.first[1]])
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return not knows_objects or bool((await ask(KNOWS, host, port)).answer)
