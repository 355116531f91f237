"""Forgetting across all tables of a configuration: at once for queries, some answers per turn of the event loop."""

import asyncio
import gc
import socket
import weakref

import pytest

from clusterdns.answers import table as tables
from clusterdns.answers.compiled import Answer, compile_answer
from clusterdns.corefile.load import parse
from clusterdns.server.assembly import assemble
from clusterdns.server.instance import Instance
from clusterdns.server.shared import SharedState
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.queries import QueryCounters, QueryOutcome
from clusterdns.wire.encode import EncodedMessage
from clusterdns.wire.runs import NO_ROTATION

COUNT = 1_000
OUTCOME = QueryOutcome("example.", "udp", "1", "A", "NOERROR", False, 57, 106)


def answer(counters: QueryCounters, number: int) -> Answer:
    encoded = EncodedMessage(b"", bytes(10), NO_ROTATION, b"", 0)
    return compile_answer(encoded, None, counters.counter(OUTCOME), ("all", number), False)


async def test_many_answers_are_forgotten_at_once_and_removed_in_later_turns() -> None:
    shared = SharedState()
    counters = QueryCounters(Registry(), "dns://:53")
    one, other = shared.new_table(), shared.new_table()
    for number in range(COUNT):
        (one, other)[number % 2].put(b"%d" % number, answer(counters, number))
    shared.forget(["all"])
    assert not one.entries
    assert not other.entries
    turns = 0
    while one.has_forgotten or other.has_forgotten:
        await asyncio.sleep(0)
        turns += 1
    assert turns >= COUNT // tables.MAX_REMOVALS
    (budget,) = shared.budgets
    assert budget.used_bytes == 0


async def test_a_few_answers_are_removed_in_the_turn_of_the_change() -> None:
    shared = SharedState()
    counters = QueryCounters(Registry(), "dns://:53")
    table = shared.new_table()
    for number in range(COUNT):
        table.put(b"%d" % number, answer(counters, number))
    shared.forget([1, 2])
    assert not table.has_forgotten
    assert len(table.entries) == COUNT - 2
    shared.forget_all()
    assert not table.entries


@pytest.mark.parametrize("is_forgotten", [False, True])
async def test_a_configuration_that_stops_counts_every_hit_and_gives_up_its_answers(is_forgotten: bool) -> None:
    registry = Registry()
    configuration = assemble(parse(".:53 {\n whoami\n prometheus\n}\n", "/Corefile", {}), registry, dns_port=53)
    instance = Instance(configuration, "")
    (point,) = configuration.listen_points
    dispatch, context = instance.dispatch_for(point, "udp", socket.AF_INET)
    for number in range(COUNT):
        context.answers.put(b"%d" % number, answer(dispatch.counters, number))
        context.answers.entries[b"%d" % number].counter.count += 2
    kept = weakref.ref(context.answers)
    shared = configuration.shared
    if is_forgotten:
        shared.forget(["all"])
    del dispatch, context, configuration, point
    await instance.stop()
    (budget,) = shared.budgets
    assert budget.used_bytes == 0
    requests = registry.counter("coredns_dns_requests_total", "", "server", "zone", "view", "proto", "family", "type")
    assert sum(series.value for series in requests.series.values()) == 2 * COUNT
    gc.collect()
    assert kept() is None
