"""A store of cached replies: bounded in number, and in bytes together with all other stores of the process.

SIEVE decides what is evicted, as in the answer table (`answers.sieve`); `cachetools.Cache` bounds the number. Expired
entries stay available for serve-stale. If an expired entry is asked for, it is replaced; if not, the hand gets to it.
"""

from collections.abc import Callable
from itertools import islice

from cachetools import Cache

from clusterdns.answers.sieve import MAX_RECENT_KEYS, RecentKeys, Sieve
from clusterdns.plugins.cache.entry import CacheEntry

MAX_BYTES = 40 << 20  # of all stores: two at CoreDNS's capacity, full of typical replies, take 20 to 28 MiB
MAX_REMOVALS = 128  # in a row: about half a millisecond


class CacheBudget:
    """The bytes that all stores of the process may take together. The largest store evicts first."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.used_bytes = 0
        self.most_bytes = max_bytes  # without memory pressure
        self._max_bytes = max_bytes
        self._stores: list[CacheStore] = []

    def add(self, store: "CacheStore") -> None:
        """Let a store, which is empty, share the budget."""
        self._stores.append(store)

    def remove(self, store: "CacheStore") -> None:
        """Remove a store, which must be empty."""
        self._stores.remove(store)

    def scale(self, share: float) -> None:
        """Limit the stores to this share of `most_bytes` from now on; `evict` enforces it."""
        self._max_bytes = int(self.most_bytes * share)

    def evict(self) -> bool:
        """Evict some of the entries beyond the budget; return whether there are more."""
        for store in self._stores:
            store.rest_hand()
        for _ in range(MAX_REMOVALS):
            if self.used_bytes <= self._max_bytes:
                break
            self._evict_one()
        return self.used_bytes > self._max_bytes

    def make_room(self, new_bytes: int) -> None:
        """Evict entries until those just stored, of this size, have taken the place of others."""
        limit = max(self._max_bytes, self.used_bytes - new_bytes)  # there may be more to evict since `scale`
        while self.used_bytes > limit:
            self._evict_one()

    def _evict_one(self) -> None:
        max(self._stores, key=lambda store: store.used_bytes).popitem()


class CacheStore(Cache[bytes, CacheEntry]):
    """Cached replies by their question, at most `maxsize`; keeps entries while it is open.

    An entry that comes again soon after its eviction counts as used: it is asked too seldom to be hit before a scan of
    made-up names evicts it, and gets the time for it.
    """

    def __init__(self, capacity: int, budget: CacheBudget, count_eviction: Callable[[], None]) -> None:
        super().__init__(capacity)
        self.used_bytes = 0
        self._budget = budget
        self._count_eviction = count_eviction
        self._order: Sieve[CacheEntry, bytes] = Sieve()
        self._evicted = RecentKeys(min(capacity, MAX_RECENT_KEYS))
        self._is_open = False

    def open(self) -> None:
        """Accept entries from now on."""
        self._is_open = True
        self._budget.add(self)

    def close(self) -> None:
        """Drop all entries, and accept no more."""
        if self._is_open:
            self._is_open = False
            for _ in iter(self.drop_some, False):
                pass
            self._budget.remove(self)

    def drop_some(self) -> bool:
        """Drop some of the entries; return whether there are more."""
        for key in tuple(islice(self, MAX_REMOVALS)):
            del self[key]
        return bool(self)

    def rest_hand(self) -> None:
        """Let eviction pass over entries in use as long as ever again; to be called once per turn of the event loop."""
        self._order.rest_hand()

    def use(self, key: bytes) -> CacheEntry | None:
        """Return the entry, if there is one, and remember its use."""
        entry = self.get(key)
        if entry is not None:
            entry.add_use()
        return entry

    def __setitem__(self, key: bytes, entry: CacheEntry) -> None:
        """Store an entry in place of the previous one, whose uses it gets; evict others as needed."""
        if not self._is_open:
            return
        previous = self.pop(key, None)
        if previous is not None:
            entry.uses = previous.uses
        elif key in self._evicted:
            entry.add_use()
        super().__setitem__(key, entry)
        self._order.add(entry, key)
        new_bytes = len(key) + entry.size_bytes
        self._add_bytes(new_bytes)
        self._budget.make_room(new_bytes)

    def __delitem__(self, key: bytes) -> None:
        """Remove an entry. Raises KeyError where there is none."""
        entry = self[key]
        super().__delitem__(key)
        self._order.remove(entry)
        self._add_bytes(-len(key) - entry.size_bytes)

    def popitem(self) -> tuple[bytes, CacheEntry]:
        """Evict the entry that SIEVE chooses. Raises KeyError if the store is empty."""
        key = self._order.next_to_go()
        self._evicted.add(key)
        self._count_eviction()
        return key, self.pop(key)

    def _add_bytes(self, count: int) -> None:
        self.used_bytes += count
        self._budget.used_bytes += count
