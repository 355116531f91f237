"""Processes that follow one another: whatever each has seen, missed and saved, the last one ends with the truth.

A process begins with a snapshot that one of those before it has saved at any moment, in the middle of faults, lost
events and audits.
"""

import asyncio
from typing import Any, NamedTuple

from fakes.audited import LONGEST, Audited, delays
from fakes.model_api import LIST_FAULTS, WATCH_FAULTS
from fakes.snapshots import header, with_checksum
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.snapshot.contents import CollectionState
from clusterdns.cluster.snapshot.format import encode
from clusterdns.cluster.snapshot.restoring import restore

LABEL = "services"


class Step(NamedTuple):
    """A change of one Service, whose event may be lost, and the time that passes after it."""

    name: str
    is_deletion: bool
    is_lost: bool
    seconds: float
    is_saved: bool  # a snapshot is written then


class Life(NamedTuple):
    """What happens in one process, and while none runs after it."""

    steps: list[Step]
    faults: list[str]
    event_seconds: list[float]
    between: list[Step]


SECONDS = st.lists(st.floats(0.0, 5.0), min_size=1, max_size=3)
STEPS = st.lists(
    st.builds(Step, st.sampled_from("abcde"), st.booleans(), st.booleans(), st.floats(0.0, 20.0), st.booleans()),
    max_size=8,
)
LIVES = st.lists(
    st.builds(
        Life, STEPS, st.lists(st.sampled_from(["", *sorted({*WATCH_FAULTS, *LIST_FAULTS})]), max_size=6), SECONDS, STEPS
    ),
    min_size=2,
    max_size=3,
)


def saved(process: Audited) -> bytes:
    several = [CollectionState(LABEL, process.store.kind, tuple(process.store.objects.values()))]
    return with_checksum(b"".join(encode(header(several), several)))


def contents(index: Index) -> dict[Any, Any]:
    services = {(one.namespace, one.name): one.service for one in index.services()}
    return services | {address: set(index.reverse.services(address)) for address in index.reverse.addresses()}


def change(process: Audited, step: Step) -> None:
    (process.delete if step.is_deletion else process.change)(step.name, is_lost=step.is_lost)


async def end_of(lives: list[Life], *, streams_lists: bool) -> None:
    process = Audited(streams_lists=streams_lists, jitter=0.3)
    snapshot = b""
    for life in lives:
        process = Audited(jitter=0.3, previous=process)
        if snapshot:
            process.store.objects = (await restore(snapshot, process.index.steps)).get(LABEL, {})
        process.api.event_delay = delays(life.event_seconds, process.time)
        async with process.running():
            await process.time.run(5.0)
            process.api.faults = list(life.faults)
            for step in life.steps:
                change(process, step)
                await process.time.run(step.seconds)
                if step.is_saved:
                    snapshot = saved(process)
            process.api.faults.clear()
            if life is lives[-1]:
                await process.time.run(60.0)
                for _ in range(4):
                    process.change("z")  # a watch without a line for a minute would be doubtful
                    await process.time.run(LONGEST)
        for step in life.between:
            if life is not lives[-1]:
                change(process, step)
    anew = Audited(previous=process)
    async with anew.running():
        await anew.time.run(60.0)
    assert process.addresses() == anew.addresses() == anew.truth
    assert contents(process.index) == contents(anew.index)


@settings(max_examples=40, deadline=None)
@given(LIVES, st.booleans())
def test_processes_with_snapshots_relists_and_audits_end_as_an_index_that_is_built_anew(
    lives: list[Life], streams_lists: bool
) -> None:
    asyncio.run(end_of(lives, streams_lists=streams_lists))
