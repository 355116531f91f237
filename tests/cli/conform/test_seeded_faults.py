"""Each seeded fault of a server is found, by the cases that are about it."""

import asyncio
from collections.abc import Iterator

import pytest
from cli.conform.seeded import FAULTS, FaultyServer, SeededFault
from cli.conform.test_peers import FILE_COREFILE

from clusterdns.cli.conform import fixtures
from clusterdns.cli.conform.case import Ask, Case
from clusterdns.cli.conform.cases import rfc, spec
from clusterdns.cli.conform.exchange import ServerAddress
from clusterdns.cli.conform.runner import Runner
from clusterdns.cli.conform.served import ServedObjects
from testing.peers import clusterdns
from testing.ports import free_ports
from testing.process import ServerProcess
from testing.waiting import PATIENCE_SECONDS

SILENT = ("wrong ID", "silent on TCP", "opcode lost", "closes TCP")  # faults with replies that do not come
NEAR = 0.5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServer]:
    """A server whose fault is replaced, before clusterdns on the suite's objects."""
    folder = tmp_path_factory.mktemp("seeded")
    (port,) = free_ports(1)
    (folder / "fixtures.yaml").write_text(fixtures.text())
    (folder / "Corefile").write_text(FILE_COREFILE.format(port=port))
    command = [str(clusterdns()), "-conf", "Corefile"]
    with ServerProcess("clusterdns", command, folder / "log", cwd=folder) as right, FaultyServer(port) as faulty:
        right.wait_until(lambda: "clusterdns-" in right.out, "the banner")
        yield faulty


def failed(server: FaultyServer, fault: SeededFault, cases: list[Case], timeout_seconds: float) -> dict[str, str]:
    """Ask cases of the server with a fault, and return those that fail, with the reason."""
    server.fault = fault
    runner = Runner(ServerAddress(server.host, server.port), Ask("web.dns-conform.svc.cluster.local."), timeout_seconds)
    outcomes = asyncio.run(runner.run(cases, PATIENCE_SECONDS, lambda _: None))
    return {one.case.id: one.reason for one in outcomes if one.is_failure}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(server: FaultyServer, objects: ServedObjects, name: str) -> None:
    fault = FAULTS[name]
    ids = set(fault.cases.split())
    cases = [one for one in (*spec.cases(objects), *rfc.cases(objects)) if one.id in ids]
    assert len(cases) == len(ids)
    assert failed(server, SeededFault(""), cases, PATIENCE_SECONDS) == {}
    found = failed(server, fault, cases, NEAR if name in SILENT else PATIENCE_SECONDS)
    assert set(found) == ids
    assert all("; got " in reason or name in SILENT or "malformed" in reason for reason in found.values()), found
