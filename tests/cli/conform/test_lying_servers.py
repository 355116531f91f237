"""The suite against servers that are silent, slow, wrong or hostile: a verdict for each case, in bounded time."""

import asyncio
import random
from collections.abc import Iterator

import pytest

from clusterdns.cli.conform.case import Ask, Case, CaseVerdict, Outcome
from clusterdns.cli.conform.cases import multicluster, rfc, spec
from clusterdns.cli.conform.exchange import ServerAddress
from clusterdns.cli.conform.report import as_json, junit
from clusterdns.cli.conform.runner import Runner
from clusterdns.cli.conform.served import ServedObjects
from testing.upstream.server import Ending, Response, Source, UpstreamServer
from testing.waiting import PATIENCE_SECONDS

NEAR = 0.05  # of a reply from this machine, where the test waits for replies that do not come
PROBE = Ask("web.dns-conform.svc.cluster.local.")


class LyingServer(UpstreamServer):
    """A server that replies to each query as its `lie` says."""

    lie = "silent"
    random = random.Random(8)

    def respond(self, query: bytes, source: Source) -> Response | None:
        """Make the reply; None to bytes that are not a query, as no server knows what to say to them."""
        made: dict[str, Response | None] = {
            "silent": Response(()),
            "echo": Response([query]),
            "wrong id": Response([bytes((query[0] ^ 1,)) + query[1:2] + b"\x80\0" + query[4:]]),
            "header": Response([query[:2] + b"\x80\0" + bytes(8)]),
            "nxdomain": Response([query[:2] + b"\x84\x03" + query[4:]]),
            "garbage": Response([query[:2] + self.random.randbytes(self.random.randrange(300))]),
            "huge": Response(
                [query[:2] + b"\x84\0\0\0" + (RECORDS + 1).to_bytes(2, "big") + bytes(4) + self._records()]
            ),
            "long": Response([query[:2] + b"\x84\0\0\0" + b"\xff\xff" + bytes(4) + self._records()]),
            "reset": Response([query], ending=Ending.RESET),
            "half": Response([query], ending=Ending.HALF),
            "close": Response([query], ending=Ending.CLOSE),
            "flood": Response([bytes(12)] * 50),
        }
        return made[self.lie]

    @staticmethod
    def _records() -> bytes:
        return (b"\3abc\0" + b"\0\1\0\1\0\0\0\0\0\4\x0a\0\0\1") + (
            b"\xc0\x0c\0\x21\0\1\0\0\0\0\0\x08" + bytes(6) + b"\xc0\x0c"
        ) * RECORDS


RECORDS = 3000  # with the first one some 60 KiB
LIES = ("silent", "echo", "wrong id", "header", "nxdomain", "garbage", "long", "reset", "half", "close", "flood")


@pytest.fixture
def server() -> Iterator[LyingServer]:
    with LyingServer() as running:
        yield running


async def outcomes_of(server: LyingServer, cases: list[Case], timeout_seconds: float) -> list[Outcome]:
    runner = Runner(ServerAddress(server.host, server.port), PROBE, timeout_seconds)
    seen: list[Outcome] = []
    outcomes = await runner.run(cases, PATIENCE_SECONDS, seen.append)
    assert len(seen) <= len(outcomes)
    return outcomes


def sample(objects: ServedObjects) -> list[Case]:
    """Every seventh case, so that each table and each way of asking is among them."""
    found = [*spec.cases(objects), *multicluster.cases(objects), *rfc.cases(objects)]
    chosen = found[::7]
    ways = {one.way: one for one in found}
    return [*chosen, *(one for one in ways.values() if one not in chosen)]


@pytest.mark.parametrize("lie", LIES)
async def test_each_case_has_a_verdict(server: LyingServer, objects: ServedObjects, lie: str) -> None:
    server.lie = lie
    cases = sample(objects)
    outcomes = await outcomes_of(server, cases, NEAR)
    assert [one.case for one in outcomes] == cases
    good = {one.case.id for one in outcomes if not one.is_failure}
    if lie != "nxdomain":
        assert good == set()
    assert all("\n" not in one.reason and one.reason for one in outcomes if one.is_failure)
    address = ServerAddress(server.host, server.port)
    assert as_json(address, outcomes).isascii()
    assert junit(address, outcomes).startswith(b"<?xml")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_an_answer_of_60_kib_is_read(server: LyingServer, objects: ServedObjects, transport: str) -> None:
    server.lie = "huge"
    cases = [one for one in rfc.cases(objects) if {ask.transport for ask in one.asks} == {transport}][:4]
    outcomes = await outcomes_of(server, cases, PATIENCE_SECONDS)
    assert {one.verdict for one in outcomes} == {CaseVerdict.FAIL}
    assert all(one.reason.startswith("expected the question ") for one in outcomes)


async def test_a_server_that_says_nxdomain_passes_what_is_absent(server: LyingServer, objects: ServedObjects) -> None:
    server.lie = "nxdomain"
    outcomes = await outcomes_of(server, spec.cases(objects), PATIENCE_SECONDS)
    good = {one.case.id for one in outcomes if not one.is_failure}
    assert "spec-2.4.1-a-empty-none" in good
    assert not any(one.startswith(("spec-2.3.1-a-", "spec-2.3.3-", "spec-2.5-cname")) for one in good)


async def test_the_suite_ends_at_its_limit(server: LyingServer, objects: ServedObjects) -> None:
    runner = Runner(ServerAddress(server.host, server.port), PROBE, 3600)
    outcomes = await runner.run(spec.cases(objects), 0.2, lambda _: None)
    assert {one.verdict for one in outcomes} == {CaseVerdict.NO_ANSWER}
    assert outcomes[0].reason == "not asked to the end: the suite's limit of 0.2 s is over; set --limit"
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_server_that_is_not_there_is_reported(objects: ServedObjects) -> None:
    with LyingServer() as gone:
        port = gone.port
    problem = await Runner(ServerAddress("127.0.0.1", port), PROBE, 10).reachable()
    assert problem == "no reply over UDP: connection refused; no connection over TCP: connection refused"
