"""Makes a loaded snapshot the state of a feed: its objects go to the index, and by collection to the stores.

`keeper` loads, `format` decodes. The work is done in parts, as a reload may do it beside a running configuration.
"""

from collections.abc import Callable, Iterable
from itertools import chain

from clusterdns.cluster.objects import Change, Kind, Object, ObjectKey, key_of
from clusterdns.cluster.snapshot.format import SnapshotError, decode
from clusterdns.cluster.turns import LoopTurns
from clusterdns.host.collector import collector_paused

KnownObjects = dict[str, dict[ObjectKey, Object]]  # by the label of their collection


async def restore(content: bytes, apply: Callable[[Change], Iterable[None]]) -> KnownObjects:
    """Apply every object as a change. Raises SnapshotError, and what was applied stays then."""
    known: KnownObjects = {}
    turns = LoopTurns()
    turns.begin()
    try:
        with collector_paused():
            for label, group in decode(content):
                objects = known.setdefault(label, {})
                changes = []
                for one in group:
                    key = key_of(one)
                    changes.append(Change(objects.get(key), one))
                    objects[key] = one
                await turns.take(chain.from_iterable(map(apply, changes)))
    except SnapshotError:
        raise
    except (ValueError, OSError) as error:  # of an address that is none: not written by this program
        raise SnapshotError(f"it has an object that cannot be used: {error}") from error
    return known


def count_by_kind(known: KnownObjects) -> dict[Kind, int]:
    """Count the objects of each kind."""
    counts: dict[Kind, int] = {}
    for objects in known.values():
        for one in objects.values():
            counts[type(one)] = counts.get(type(one), 0) + 1
    return counts
