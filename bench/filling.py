"""`python -m bench.filling`: how long it takes to fill the index, from a snapshot and from the API server's lists.

    10,000 Services (`--services`), one in five headless, with ten endpoints each on average, in slices of at most 50.

Each of the `--rounds` is a process of its own. The table has the fastest: seconds, CPU seconds, and by how much the
resident set grew. Nothing is read from a disk or a network: a list is pages of JSON in memory.
"""

import argparse
import asyncio
import json
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address
from itertools import accumulate
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from bench import objects
from clusterdns.answers.table import AnswerTable
from clusterdns.cluster.api.lists import raw_items, read_list
from clusterdns.cluster.api.store import ObjectStore
from clusterdns.cluster.decoding import from_data
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.objects import EndpointSlice, Kind, Namespace, Object, Service
from clusterdns.cluster.snapshot.contents import CollectionState, SavedCollection, SnapshotHeader
from clusterdns.cluster.snapshot.format import DIGEST_BYTES, decode, encode, layout
from clusterdns.cluster.snapshot.restoring import restore
from clusterdns.cluster.turns import LoopTurns
from clusterdns.host.collector import collect_in_short_runs
from clusterdns.host.resources import resident_bytes
from clusterdns.telemetry.metrics import Registry
from testing.api import Manifest

SIZES = (1, 1, 2, 2, 3, 3, 5, 8, 25, 50)  # endpoints of ten Services
PER_NAMESPACE = 100
PAGE_LIMIT = 500
ROUNDS = 3
_MIB = 1 << 20


class Filled(NamedTuple):
    """What one filling took."""

    seconds: float
    cpu_seconds: float
    grown_mib: float


def cluster(services: int) -> dict[Kind, list[Manifest]]:
    """Make the objects, by kind."""
    found: dict[Kind, list[Manifest]] = {Namespace: [], Service: [], EndpointSlice: []}
    sizes = [SIZES[number % len(SIZES)] for number in range(services)]
    for number, (size, end) in enumerate(zip(sizes, accumulate(sizes), strict=True)):
        namespace, name = f"team-{number // PER_NAMESPACE:03}", f"service-{number:05}"
        if not number % PER_NAMESPACE:
            found[Namespace].append({"metadata": {"name": namespace}})
        is_headless = not number // len(SIZES) % 5
        service = objects.service(namespace, name, headless=is_headless)
        service["spec"].setdefault("clusterIP", str(IPv4Address("10.96.0.0") + number))
        addresses = [str(IPv4Address("10.128.0.0") + end - step) for step in range(size)]
        hostnames = [f"{name}-{step}" if is_headless else "" for step in range(size)]
        found[Service].append(service)
        found[EndpointSlice].append(objects.endpoint_slice(namespace, name, f"{name}-x7k2p", addresses, hostnames))
    return found


def snapshot(manifests: dict[Kind, list[Manifest]]) -> bytes:
    """Make the bytes of a snapshot of these objects; the checksum is left out."""
    states = []
    for kind, several in manifests.items():
        decoded: list[Object] = [from_data(kind, one).object for one in several]
        states.append(CollectionState(kind.__name__, kind, decoded))
    saved = tuple(SavedCollection(one.label, one.kind.__name__, len(one.objects)) for one in states)
    return b"".join(encode(SnapshotHeader("", layout(), "", "", 0.0, saved), states)) + bytes(DIGEST_BYTES)


def pages(manifests: dict[Kind, list[Manifest]]) -> list[tuple[Kind, bytes]]:
    """Make the pages of the lists of these objects."""
    found: list[tuple[Kind, bytes]] = []
    for kind, several in manifests.items():
        for start in range(0, len(several), PAGE_LIMIT):
            items = several[start : start + PAGE_LIMIT]
            page = {"kind": "List", "metadata": {"resourceVersion": "1"}, "items": items}
            found.append((kind, json.dumps(page, separators=(",", ":")).encode()))
    return found


async def decode_only(content: bytes) -> object:
    """Decode a snapshot."""
    return list(decode(content))


async def fill_from_snapshot(content: bytes) -> object:
    """Fill an index from a snapshot, as a start does before it binds sockets."""
    index = Index(call_later=lambda call: None)
    return await restore(content, index.steps), index


async def fill_from_lists(several: Sequence[tuple[Kind, bytes]]) -> object:
    """Fill an index from lists, as a start without a snapshot does."""
    index = Index(call_later=lambda call: None)
    index.subscribe(AnswerTable().forget)
    stores = {kind: ObjectStore(kind, index.steps, Registry()) for kind, _ in several}
    turns = LoopTurns()
    turns.begin()
    for kind, body in several:
        for raw in read_list(raw_items, body).items or ():
            stores[kind].put(raw)
            await turns.take(stores[kind].steps())
    return stores, index


def measure(run: Callable[[Any], Awaitable[object]], source: object, parent: Connection) -> None:
    """Run once, and send what it took."""
    collect_in_short_runs()

    async def timed() -> Filled:
        before, seconds, cpu_seconds = resident_bytes(), time.perf_counter(), time.process_time()
        kept = await run(source)
        seconds, cpu_seconds = time.perf_counter() - seconds, time.process_time() - cpu_seconds
        grown_mib = (resident_bytes() - before) / _MIB
        del kept
        return Filled(seconds, cpu_seconds, grown_mib)

    parent.send(asyncio.run(timed()))


def in_a_process(run: Callable[[Any], Awaitable[object]], source: object) -> Filled:
    """Measure in a new process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=measure, args=(run, source, theirs))
    process.start()
    theirs.close()
    filled: Filled = ours.recv()
    process.join()
    return filled


def main(words: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m bench.filling", description=__doc__)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(words)
    manifests = cluster(options.services)
    content = snapshot(manifests)
    for title, run, source in (
        ("a snapshot, decoded only", decode_only, content),
        ("a snapshot, restored", fill_from_snapshot, content),
        (f"lists in pages of {PAGE_LIMIT}", fill_from_lists, pages(manifests)),
    ):
        rounds = [in_a_process(run, source) for _ in range(options.rounds)]
        seconds, cpu_seconds, grown_mib = map(min, zip(*rounds, strict=True))
        print(f"{title:24} {seconds:6.3f} s, {cpu_seconds:6.3f} s of CPU, {grown_mib:6.1f} MiB")


if __name__ == "__main__":
    main()
