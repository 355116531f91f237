"""`python killed_writer.py FOLDER KILLS`: processes that save snapshots without a pause, each killed at any moment.

Prints a line per kill: `whole` where the next start reads one state of the last process or one before, with `left`
where an unfinished file was beside it.
"""

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

from clusterdns.cluster.objects import Namespace
from clusterdns.cluster.snapshot.contents import CollectionState
from clusterdns.cluster.snapshot.format import decode
from clusterdns.cluster.snapshot.keeper import SnapshotContents, SnapshotKeeper
from clusterdns.telemetry.metrics import Registry

OBJECTS = 5_000
LONGEST_SECONDS = 0.03


def keeper(folder: str) -> SnapshotKeeper:
    return SnapshotKeeper(folder, "key", Registry())


async def save_for_ever(folder: str, process: int, started: int) -> None:
    one = keeper(folder)
    generation = 0

    async def take() -> SnapshotContents:
        objects = tuple(Namespace(f"{process}.{generation}") for _ in range(OBJECTS))
        return SnapshotContents("", [CollectionState("namespaces", Namespace, objects)])

    while True:
        await one._save(take, 60.0)
        if not generation:
            os.write(started, b".")
        generation += 1


async def read(folder: str) -> str:
    """What the next start finds."""
    loaded = await keeper(folder).load()
    if loaded is None:
        return "nothing"
    names = [one.name for _, group in decode(loaded.content) for one in group]
    return "whole" if len(names) == OBJECTS and len(set(names)) == 1 else "mixed"


def kill_one(folder: str, process: int) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        asyncio.run(save_for_ever(folder, process, writer))
    os.read(reader, 1)
    time.sleep(random.uniform(0, LONGEST_SECONDS))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader)
    os.close(writer)


if __name__ == "__main__":
    _, where, kills = sys.argv
    for number in range(int(kills)):
        kill_one(where, number)
        is_left = any(path.name.endswith(".new") for path in Path(where).iterdir())
        print(asyncio.run(read(where)), "left" if is_left else "", flush=True)
