"""The initial events of a watch that streams its list: applied as they arrive, by difference.

No second copy of the collection is kept: an object that is newer than all that was known is applied at once, and one
that is not newer and yet differs, which is rare, is held until the list's version shows that the list is not from an
older state. `watch` passes the events in.
"""

from collections.abc import Iterator

from clusterdns.cluster.api.errors import Backwards
from clusterdns.cluster.api.follow.position import Position, number_of
from clusterdns.cluster.api.store import Held, ObjectStore
from clusterdns.cluster.decoding import WatchEvent
from clusterdns.cluster.objects import ObjectKey

END_ANNOTATION = "k8s.io/initial-events-end"
_MAX_HELD = 10_000


class InitialEvents:
    """The events up to the bookmark that ends them, and the known objects that they have not named yet."""

    def __init__(self, store: ObjectStore, position: Position) -> None:
        self._store = store
        self._position = position
        self._floor = position.newest
        self._unlisted = store.known_keys()
        self._held: list[Held] = []

    def take(self, event: WatchEvent) -> None:
        """Begin to apply an event, or hold it. Raises Backwards where too many have to be held."""
        if event.type == "DELETED":
            self._store.remove(event.key)
            return
        self._unlisted.discard(event.key)
        number = number_of(event.version)
        if number is None or number > self._floor:
            self._position.saw(number)
            self._store.put(event.object)
        elif len(self._held) < _MAX_HELD:
            self._store.put(event.object, self._held)
        else:
            raise Backwards(f"{_MAX_HELD} objects differ from newer ones that are known")

    def keep(self, key: ObjectKey) -> None:
        """Note that the list has an object that cannot be used."""
        self._unlisted.discard(key)

    def finish(self, version: str) -> Iterator[None]:
        """Check the list's version, and complete the list: yields after each change. Raises Backwards."""
        self._position.check_list(version)
        for held in self._held:
            self._store.accept(held)
            yield
        for key in self._unlisted:
            self._store.remove(key)
            yield
